package delivery

import (
	"context"
	"strings"
	"testing"
	"time"

	"postroom/delivery/smtpclient"
	"postroom/delivery/smtpclient/smtptest"
	"postroom/store"
	"postroom/store/mail"
)

// concluding returns a run that only concludes, and a message of alice's.
func concluding(t *testing.T) (*site, *run, store.MessageID) {
	s := newSite(t)
	r := &run{d: s.withDefaults()}
	r.log = r.d.Log
	return s, r, s.put(letter, "waits@there.test")
}

// item is a recipient of a message that came in some time ago.
func (s *site) item(id store.MessageID, to string, age time.Duration) store.QueueItem {
	a := address(s.t, to)
	return store.QueueItem{
		ID: 1, Message: id, Sender: s.alice.Address, Recipient: mail.Recipient{Address: a}, Domain: a.Domain,
		Envelope: mail.Envelope{Sender: s.alice.Address}, Created: s.now().Add(-age), Expires: s.now(),
	}
}

var (
	noUser    = fate{result: store.Failed, answer: smtpclient.Answer{Code: 550, Enhanced: [3]int{5, 1, 1}, Text: "550 5.1.1 No such user", Remote: true}, host: "mx1.there.test"}
	noServer  = fate{result: store.Deferred, answer: smtpclient.Answer{Text: "connect to mx1.there.test (192.0.2.1): timed out"}, host: "mx1.there.test"}
	noReports = fate{result: store.Sent, answer: smtpclient.Answer{Code: 250, Text: "250 ok", Remote: true}, host: "mx1.there.test", relayedWithoutDSN: true}
)

// postmaster makes postmaster@our.test somebody.
func (s *site) postmaster() store.AccountID {
	s.t.Helper()
	root, err := s.store.AddAccount(s.t.Context(), store.Account{Address: address(s.t, "root@our.test"), Admin: true, Created: s.now()})
	if err != nil {
		s.t.Fatal(err)
	}
	return root.ID
}

func TestWhoIsToldOfAForward(t *testing.T) {
	for _, test := range []struct {
		name      string
		authentic bool
		words     []string
		not       string
	}{
		{"its sender, if that is proven", true, []string{"To: <carol@far.test>", "to team@our.test, which forwards its mail", "Final-Recipient: rfc822; team@our.test"}, "bob@there.test"},
		{"who answers for the alias otherwise", false, []string{
			"To: <postmaster@our.test>", "from carol@far.test to team@our.test could not be forwarded to bob@there.test",
			"carol@far.test has not been told", "Final-Recipient: rfc822; bob@there.test",
		}, "At noon?"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, r, id := concluding(t)
			root := s.postmaster()
			item := s.item(id, "bob@there.test", time.Hour)
			item.Via, item.Sender, item.Authentic = address(t, "team@our.test"), address(t, "srs0=x=far.test=carol@our.test"), test.authentic
			item.Envelope.Sender = address(t, "carol@far.test")
			u := r.conclude(t.Context(), &work{items: []store.QueueItem{item}}, []fate{noUser})
			if len(u.reports) != 1 {
				t.Fatalf("%d reports", len(u.reports))
			}
			a, body := u.reports[0].acceptance, string(u.reports[0].body)
			for _, words := range test.words {
				if !strings.Contains(body, words) {
					t.Errorf("the report lacks %q: %s", words, body)
				}
			}
			if strings.Contains(body, test.not) {
				t.Errorf("the report has %q: %s", test.not, body)
			}
			last := u.outcomes[0].Events[len(u.outcomes[0].Events)-1]
			toRoot := len(a.Local) == 1 && a.Local[0].Account == root && strings.Contains(last.Reason, "postmaster@our.test is told: nothing proves")
			toCarol := len(a.Outbound) == 1 && a.Outbound[0].Recipient.Notify == mail.NotifyNever && a.Outbound[0].Sender.IsNull() && last.Reason == ""
			if toCarol != test.authentic || toRoot == test.authentic || last.Report == nil || !a.Envelope.Sender.IsNull() {
				t.Errorf("it goes to %+v %+v, the event is %+v", a.Local, a.Outbound, last)
			}
		})
	}
}

func TestForwardedBounceIsToldToNobody(t *testing.T) {
	s, r, id := concluding(t)
	s.postmaster()
	item := s.item(id, "bob@there.test", time.Hour)
	item.Via, item.Sender, item.Envelope.Sender = address(t, "team@our.test"), mail.Address{}, mail.Address{}
	u := r.conclude(t.Context(), &work{items: []store.QueueItem{item}}, []fate{noUser})
	last := u.outcomes[0].Events[len(u.outcomes[0].Events)-1]
	if len(u.reports) != 0 || u.outcomes[0].Result != store.Failed || last.Reason != untoldNull {
		t.Errorf("%d reports, the outcome is %+v", len(u.reports), u.outcomes[0])
	}
}

func TestOneReportForEachAction(t *testing.T) {
	s, r, id := concluding(t)
	r.d.Schedule.DelayNotice = 4 * time.Hour
	w, fates := &work{}, []fate{}
	add := func(to string, f fate, change func(*store.QueueItem)) {
		item := s.item(id, to, 5*time.Hour)
		item.Expires = s.now().Add(time.Hour)
		change(&item)
		w.items, fates = append(w.items, item), append(fates, f)
	}
	plain := func(*store.QueueItem) {}
	asked := func(i *store.QueueItem) { i.Recipient.Notify = mail.NotifySuccess }
	for _, to := range []string{"late1@there.test", "late2@there.test", "late3@there.test"} {
		add(to, noServer, plain)
	}
	add("gone1@there.test", noUser, plain)
	add("gone2@there.test", noUser, plain)
	add("taken@there.test", noReports, asked)
	add("here@our.test", fate{}, func(i *store.QueueItem) { i.Owed = store.OwedDelivered })
	add("team@our.test", fate{}, func(i *store.QueueItem) { i.Owed = store.OwedExpanded })
	u := r.conclude(t.Context(), w, fates)
	var got []string
	for _, rep := range u.reports {
		_, rest, _ := strings.Cut(string(rep.body), "\r\nAction: ")
		action, _, _ := strings.Cut(rest, "\r\n")
		got = append(got, action)
		if n := strings.Count(string(rep.body), "\r\nAction: "+action); n != map[string]int{"delayed": 3, "failed": 2}[action] && n != 1 {
			t.Errorf("the report on what is %s has %d recipients", action, n)
		}
	}
	if strings.Join(got, " ") != "failed delayed delivered relayed expanded" {
		t.Errorf("the reports are on %q", got)
	}
	for _, o := range u.outcomes {
		if last := o.Events[len(o.Events)-1]; last.Report == nil {
			t.Errorf("the outcome %+v has no report", o)
		}
	}
	if o := u.outcomes[7]; o.Result != store.Told || o.Events[0].Kind != store.Reported || o.Events[0].Outcome != "expanded" {
		t.Errorf("what is owed became %+v", o)
	}
}

func TestBackupDomainIsNamed(t *testing.T) {
	s, r, id := concluding(t)
	if _, err := s.store.AddDomain(t.Context(), store.Domain{Name: "held.test", Backup: true, Created: s.now()}); err != nil {
		t.Fatal(err)
	}
	item := s.item(id, "bob@held.test", 21*24*time.Hour)
	u := r.conclude(t.Context(), &work{items: []store.QueueItem{item}}, []fate{noServer})
	if len(u.reports) != 1 || !strings.Contains(string(u.reports[0].body), "the mail server of the domain held.test, whose mail we keep meanwhile, could not be reached for 21 days.") {
		t.Errorf("the reports are %+v", u.reports)
	}
}

func TestRelayIsNamed(t *testing.T) {
	s, r, id := concluding(t)
	item := s.item(id, "bob@there.test", 5*24*time.Hour)
	u := r.conclude(t.Context(), &work{key: "relay smart.our.test:587 as our.test", items: []store.QueueItem{item}}, []fate{noServer})
	if len(u.reports) != 1 || !strings.Contains(string(u.reports[0].body), "the mail server through which we send, smart.our.test, could not be reached") {
		t.Errorf("the reports are %+v", u.reports)
	}
}

func TestSuccessThatIsNotReported(t *testing.T) {
	s, r, id := concluding(t)
	item := s.item(id, "bob@there.test", time.Hour)
	item.Recipient.Notify = mail.NotifySuccess
	r.d.Queue = noBodies{s.store}
	u := r.conclude(t.Context(), &work{items: []store.QueueItem{item}}, []fate{noReports})
	if o := u.outcomes[0]; o.Result != store.Sent || len(u.reports) != 0 || o.Events[len(o.Events)-1].Reason != untoldUnwritten {
		t.Errorf("the outcome is %+v", o)
	}
	item.Owed, item.Expires = store.OwedDelivered, s.now().Add(time.Hour)
	u = r.conclude(t.Context(), &work{items: []store.QueueItem{item}}, []fate{{}})
	if o := u.outcomes[0]; o.Result != store.Deferred || !o.Retry.After(s.now()) || len(o.Events) != 0 {
		t.Errorf("what is owed became %+v", o)
	}
	item.Expires = s.now()
	u = r.conclude(t.Context(), &work{items: []store.QueueItem{item}}, []fate{{}})
	if o := u.outcomes[0]; o.Result != store.Told || o.Events[0].Reason != untoldUnwritten {
		t.Errorf("in the end it became %+v", o)
	}
}

// noBodies has lost what messages say.
type noBodies struct{ Queue }

func (noBodies) OpenMessage(context.Context, store.MessageID) (*store.Body, error) {
	return nil, store.ErrNotFound
}

func TestRelayedToAServerWithoutDSN(t *testing.T) {
	for _, test := range []struct {
		name       string
		extensions []string
		told       bool
	}{
		{"a server with DSN reports itself", []string{"PIPELINING", "DSN"}, false},
		{"for one without we report", []string{"PIPELINING"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, remote := newSite(t), &smtptest.Server{Extensions: test.extensions}
			s.mx("there.test", remote.Start(t, "127.0.0.5"))
			s.run()
			a := store.Acceptance{Envelope: mail.Envelope{Sender: s.alice.Address, ID: "order 7"}}
			a.Outbound = []store.Outbound{{Recipient: mail.Recipient{Address: address(t, "bob@there.test"), Notify: mail.NotifySuccess, Original: "rfc822;Bob@there.test"}}}
			id := s.accept(a, letter)
			s.await(id, store.Relayed, 1)
			if !test.told {
				if drop := s.drop(); len(drop) != 0 {
					t.Errorf("alice has %s", drop)
				}
				return
			}
			e := s.await(id, store.Reported, 1)
			drop := s.drop()
			if len(drop) != 1 || e.Report == nil || e.Outcome != "relayed" {
				t.Fatalf("alice has %s, the event is %+v", drop, e)
			}
			for _, want := range []string{"Action: relayed\r\nStatus: 2.1.9\r\n", "Original-Envelope-Id: order 7", "Original-Recipient: rfc822; Bob@there.test", "text/rfc822-headers"} {
				if !strings.Contains(drop[0], want) {
					t.Errorf("the report lacks %q: %s", want, drop[0])
				}
			}
		})
	}
}

func TestBounceOfABounce(t *testing.T) {
	s, remote := newSite(t), &smtptest.Server{}
	remote.Script = func(_ int, line string) *smtptest.Step {
		if strings.HasPrefix(line, "RCPT") {
			return smtptest.Say("550 5.1.1 No such user")
		}
		return nil
	}
	s.mx("there.test", remote.Start(t, "127.0.0.5"))
	s.run()
	a := store.Acceptance{Envelope: mail.Envelope{Sender: address(t, "forged@there.test")}}
	a.Outbound = []store.Outbound{{Recipient: mail.Recipient{Address: address(t, "x@gone.test")}}}
	first := s.await(s.accept(a, letter), store.Bounced, 1)
	second := s.await(*first.Report, store.Bounced, 1)
	if second.Report != nil || second.Reason != untoldNull || second.Recipient != "forged@there.test" {
		t.Errorf("the report's end is %+v", second)
	}
	s.until(func() bool { return len(s.queue()) == 0 })
	if remote.Count() != 0 || len(s.drop()) != 0 {
		t.Error("somebody has got something")
	}
}

// A report to the outside fits a server that takes 7-bit mail alone.
func TestReportToASimpleServer(t *testing.T) {
	s, remote := newSite(t), &smtptest.Server{Extensions: []string{"PIPELINING"}}
	s.mx("there.test", remote.Start(t, "127.0.0.5"))
	s.run()
	a := store.Acceptance{Envelope: mail.Envelope{Sender: address(t, "bob@there.test")}}
	a.Outbound = []store.Outbound{{Recipient: mail.Recipient{Address: address(t, "x@gone.test")}}}
	bounced := s.await(s.accept(a, strings.Replace(letter, "Lunch", "Frühstück", 1)), store.Bounced, 1)
	s.await(*bounced.Report, store.Relayed, 1)
	if got := remote.Messages(); len(got) != 1 || strings.ContainsFunc(got[0].Data, func(r rune) bool { return r > '~' }) {
		t.Errorf("the server has %+v", got)
	}
}

func TestRelayIn(t *testing.T) {
	for key, want := range map[string]string{
		"there.test": "", "relay smart.test:587": "smart.test", "relay [2001:db8::1]:25 as our.test": "2001:db8::1", "relay smart.test:25 user x tls must": "smart.test",
	} {
		if got := relayIn(key); got != want {
			t.Errorf("relayIn(%q) = %q, want %q", key, got, want)
		}
	}
}

func TestOwedReportsAreWritten(t *testing.T) {
	s := newSite(t)
	s.run()
	list := address(t, "team@our.test")
	a := store.Acceptance{
		ID: s.store.NewMessageID(), At: s.now(), Body: strings.NewReader(letter), Size: int64(len(letter)),
		Envelope: mail.Envelope{Sender: s.alice.Address},
		Local:    []store.LocalDelivery{{Account: s.alice.ID, Recipient: s.alice.Address}},
		Owed: []store.OwedReport{
			{Recipient: mail.Recipient{Address: s.alice.Address, Notify: mail.NotifySuccess}, Kind: store.OwedDelivered},
			{Recipient: mail.Recipient{Address: list, Notify: mail.NotifySuccess, Original: "rfc822;All@our.test"}, Kind: store.OwedExpanded},
		},
	}
	if err := s.store.Accept(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	s.await(a.ID, store.Reported, 2)
	drop := strings.Join(s.drop(), "\n")
	for _, want := range []string{
		"Your message has been delivered to alice@our.test.", "Final-Recipient: rfc822; alice@our.test\r\nAction: delivered\r\nStatus: 2.1.5",
		"Your message to team@our.test has been sent on", "Original-Recipient: rfc822; All@our.test\r\nFinal-Recipient: rfc822; team@our.test\r\nAction: expanded",
	} {
		if !strings.Contains(drop, want) {
			t.Errorf("the reports lack %q: %s", want, drop)
		}
	}
	for _, e := range s.events(a.ID) {
		if e.Kind == store.Reported && e.Report == nil || e.Kind == store.Attempt {
			t.Errorf("the trace has %+v", e)
		}
	}
}

func TestForwardThatFails(t *testing.T) {
	for name, authentic := range map[string]bool{"of a proven sender": true, "of another": false} {
		t.Run(name, func(t *testing.T) {
			s, remote := newSite(t), &smtptest.Server{}
			s.postmaster()
			s.mx("far.test", remote.Start(t, "127.0.0.5"))
			s.run()
			a := store.Acceptance{
				ID: s.store.NewMessageID(), At: s.now(), Body: strings.NewReader(letter), Size: int64(len(letter)),
				Envelope: mail.Envelope{Sender: address(t, "carol@far.test")}, Authentic: authentic,
				Outbound: []store.Outbound{{
					Sender: address(t, "srs0=x=far.test=carol@our.test"), Via: address(t, "team@our.test"),
					Recipient: mail.Recipient{Address: address(t, "bob@gone.test")},
				}},
			}
			if err := s.store.Accept(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			e := s.await(a.ID, store.Bounced, 1)
			if e.Report == nil || strings.Contains(e.Reason, "postmaster@our.test is told") == authentic {
				t.Fatalf("bounced is %+v", e)
			}
			if !authentic {
				s.await(*e.Report, store.Delivered, 1)
			} else if s.await(*e.Report, store.Relayed, 1); !strings.Contains(remote.Messages()[0].Data, "the domain of that other address does not exist") {
				t.Errorf("carol has %s", remote.Messages()[0].Data)
			}
			if told := remote.Count() > 0; told != authentic {
				t.Errorf("carol was told: %v", told)
			}
		})
	}
}
