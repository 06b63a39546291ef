package delivery

import (
	"testing"
	"time"

	"postroom/delivery/dsn"
	"postroom/delivery/smtpclient"
	"postroom/store"
	"postroom/store/mail"
)

// remote is what a server has answered.
func remote(code int, enhanced [3]int, words string) smtpclient.Answer {
	return smtpclient.Answer{Code: code, Enhanced: enhanced, Text: words, Remote: true}
}

func TestCauses(t *testing.T) {
	none := [3]int{}
	for _, test := range []struct {
		name   string
		answer smtpclient.Answer
		cause  dsn.Cause
		code   [3]int
	}{
		{"an unknown user by code", remote(550, [3]int{5, 1, 1}, "550 5.1.1 no"), dsn.NoAddress, [3]int{5, 1, 1}},
		{"an unknown user by words", remote(550, none, "550 No such user here"), dsn.NoAddress, [3]int{5, 1, 1}},
		{"an unknown user behind a policy's code", remote(550, [3]int{5, 7, 1}, "550 5.7.1 User unknown"), dsn.NoAddress, [3]int{5, 7, 1}},
		{"an unknown user as Exchange Online says it", remote(550, [3]int{5, 4, 1}, "550 5.4.1 Recipient address rejected: Access denied."), dsn.NoAddress, [3]int{5, 4, 1}},
		{"an unknown user of Domino", remote(550, none, "550 bob (bob@there.test) not listed in Domino Directory"), dsn.NoAddress, [3]int{5, 1, 1}},
		{"a full mailbox by code", remote(552, [3]int{5, 2, 2}, "552 5.2.2 no"), dsn.Full, [3]int{5, 2, 2}},
		{"a full mailbox by words", remote(552, none, "552 Mailbox is full"), dsn.Full, [3]int{5, 2, 2}},
		{"a full mailbox by words and a vague code", remote(554, [3]int{5, 0, 0}, "554 5.0.0 Quota exceeded"), dsn.Full, [3]int{5, 0, 0}},
		{"a disabled mailbox", remote(550, [3]int{5, 2, 1}, "550 5.2.1 try later"), dsn.Disabled, [3]int{5, 2, 1}},
		{"a disabled mailbox by words", remote(550, none, "550 This account has been disabled"), dsn.Disabled, [3]int{5, 2, 1}},
		{"a mailbox that gets too much", remote(450, [3]int{4, 2, 1}, "450 4.2.1 The user is receiving mail at a rate that prevents it"), dsn.TooMuch, [3]int{4, 2, 1}},
		{"a blocklist", remote(554, [3]int{5, 7, 1}, "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org"), dsn.Listed, [3]int{5, 7, 1}},
		{"a bad reputation", remote(550, none, "550 Rejected: poor reputation of 192.0.2.1"), dsn.Listed, [3]int{5, 7, 1}},
		{"a missing reverse name", remote(550, [3]int{5, 7, 25}, "550 5.7.25 no"), dsn.Listed, [3]int{5, 7, 25}},
		{"spam", remote(554, [3]int{5, 7, 1}, "554 5.7.1 Looks like SPAM"), dsn.Spam, [3]int{5, 7, 1}},
		{"a virus", remote(554, [3]int{5, 6, 0}, "554 5.6.0 virus found"), dsn.Spam, [3]int{5, 6, 0}},
		{"DMARC", remote(550, [3]int{5, 7, 1}, "550 5.7.1 rejected by DMARC policy"), dsn.Unproven, [3]int{5, 7, 1}},
		{"SPF by code", remote(550, [3]int{5, 7, 23}, "550 5.7.23 no"), dsn.Unproven, [3]int{5, 7, 23}},
		{"a sender without the right", remote(550, [3]int{5, 7, 1}, "550 5.7.1 not authorized to send to this group"), dsn.Forbidden, [3]int{5, 7, 1}},
		{"a sender that doesn't exist", remote(550, none, "550 Sender address rejected: domain does not exist"), dsn.Forbidden, [3]int{5, 7, 1}},
		{"a policy without a reason", remote(554, [3]int{5, 7, 1}, "554 5.7.1 policy"), dsn.Refused, [3]int{5, 7, 1}},
		{"a name that means something", remote(554, [3]int{5, 7, 1}, "554 5.7.1 <spam@blocklist.test>: policy"), dsn.Refused, [3]int{5, 7, 1}},
		{"no reason at all", remote(550, none, "550 no"), dsn.Refused, [3]int{5, 0, 0}},
		{"too large by code", remote(552, [3]int{5, 3, 4}, "552 5.3.4 no"), dsn.Unfit, [3]int{5, 3, 4}},
		{"too large by words", remote(552, none, "552 Message too large"), dsn.Unfit, [3]int{5, 3, 4}},
		{"no REQUIRETLS", smtpclient.Answer{Code: 550, Enhanced: [3]int{5, 7, 30}, Text: "x"}, dsn.Unfit, [3]int{5, 7, 30}},
		{"no 8BITMIME", smtpclient.Answer{Code: 554, Enhanced: [3]int{5, 6, 3}, Text: "x"}, dsn.Unfit, [3]int{5, 6, 3}},
		{"a loop", smtpclient.Answer{Code: 550, Enhanced: [3]int{5, 4, 6}, Text: "x"}, dsn.Loop, [3]int{5, 4, 6}},
		{"a domain that doesn't exist", smtpclient.Answer{Code: 550, Enhanced: [3]int{5, 1, 2}, Text: "x"}, dsn.NoAddress, [3]int{5, 1, 2}},
		{"a domain without a server", smtpclient.Answer{Code: 550, Enhanced: [3]int{5, 4, 4}, Text: "x"}, dsn.NoAddress, [3]int{5, 4, 4}},
		{"a refused connection", smtpclient.Answer{Text: "connect to mx (192.0.2.1): connection refused"}, dsn.Unreachable, [3]int{4, 4, 1}},
		{"DNS trouble", smtpclient.Answer{Text: "lookup there.test: SERVFAIL"}, dsn.Unreachable, [3]int{4, 4, 3}},
		{"a lost connection", smtpclient.Answer{Text: "mx (192.0.2.1), at DATA: the server closed the connection"}, dsn.Unreachable, [3]int{4, 4, 2}},
		{"other trouble of our own", smtpclient.Answer{Text: "the message could not be read here"}, dsn.Unreachable, [3]int{4, 0, 0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := causeOf(test.answer); got != test.cause {
				t.Errorf("the cause is %d, want %d", got, test.cause)
			}
			if got := codeOf(test.answer); got != test.code {
				t.Errorf("the code is %v, want %v", got, test.code)
			}
		})
	}
}

func TestUnprotectedConnection(t *testing.T) {
	for words, want := range map[string][3]int{
		"TLS with mx (192.0.2.1): the certificate has expired": {4, 7, 5},
		"TLS with mx (192.0.2.1): no STARTTLS is offered":      {4, 7, 10},
	} {
		answer := smtpclient.Answer{Text: words}
		if got := codeOf(answer); got != want || lasting(answer) != dsn.NoTLS {
			t.Errorf("%q is %v, cause %d", words, got, lasting(answer))
		}
	}
}

func TestTroubleOfOurSettings(t *testing.T) {
	const login = "the login at the relay smart.test failed, refused: 535 5.7.8 bad credentials"
	for it, test := range map[string]struct {
		answer smtpclient.Answer
		want   dsn.Cause
	}{
		"a login that fails":                {smtpclient.Answer{Enhanced: codeConfig, Text: login}, dsn.Misconfigured},
		"a login that failed some time ago": {smtpclient.Answer{Text: login}, dsn.Misconfigured},
		"a relay that wants a login":        {smtpclient.Answer{Remote: true, Enhanced: codeConfig, Text: "530 5.7.0 log in first"}, dsn.Misconfigured},
		"the settings of another server":    {smtpclient.Answer{Remote: true, Code: 451, Enhanced: codeConfig, Text: "451 4.3.5 wrong settings"}, dsn.Unreachable},
	} {
		if got := lasting(test.answer); got != test.want {
			t.Errorf("%s is cause %d, want %d", it, got, test.want)
		}
	}
}

func TestJudge(t *testing.T) {
	now := time.Date(2026, 3, 4, 15, 0, 0, 0, time.UTC)
	alice, carol := address(t, "alice@our.test"), address(t, "carol@far.test")
	schedule := Schedule{Waits: []time.Duration{time.Hour}, DelayNotice: 4 * time.Hour}
	young := store.QueueItem{
		ID: 1, Message: 2, Sender: alice, Recipient: mail.Recipient{Address: address(t, "bob@there.test")},
		Created: now.Add(-time.Hour), Expires: now.Add(100 * time.Hour), Envelope: mail.Envelope{Sender: alice},
	}
	with := func(change ...func(*store.QueueItem)) store.QueueItem {
		item := young
		for _, c := range change {
			c(&item)
		}
		return item
	}
	late := func(i *store.QueueItem) { i.Created = now.Add(-5 * time.Hour) }
	expired := func(i *store.QueueItem) { i.Created, i.Expires, i.Delayed = now.Add(-120*time.Hour), now, true }
	told := func(i *store.QueueItem) { i.Delayed = true }
	notify := func(n mail.Notify) func(*store.QueueItem) {
		return func(i *store.QueueItem) { i.Recipient.Notify = n }
	}
	nobody := func(i *store.QueueItem) { i.Sender, i.Envelope.Sender = mail.Address{}, mail.Address{} }
	forward := func(i *store.QueueItem) {
		i.Via, i.Sender, i.Envelope.Sender = address(t, "team@our.test"), address(t, "srs0=x@our.test"), carol
	}
	owed := func(o store.Owed) func(*store.QueueItem) { return func(i *store.QueueItem) { i.Owed = o } }
	refused := fate{result: store.Failed, answer: remote(550, [3]int{5, 1, 1}, "550 5.1.1 no")}
	unreached := fate{result: store.Deferred, answer: smtpclient.Answer{Text: "connect to mx (192.0.2.1): timed out"}}
	greylisted := fate{result: store.Deferred, answer: remote(451, [3]int{4, 7, 1}, "451 4.7.1 Greylisted")}
	full := fate{result: store.Deferred, answer: remote(452, [3]int{4, 2, 2}, "452 4.2.2 full")}
	sent := fate{result: store.Sent, answer: remote(250, [3]int{2, 0, 0}, "250 2.0.0 ok")}
	blind := sent
	blind.relayedWithoutDSN = true

	for _, test := range []struct {
		name   string
		item   store.QueueItem
		fate   fate
		result store.Result
		action dsn.Action // empty: nobody is told
		cause  dsn.Cause
		status [3]int
		last   store.Kind
	}{
		{"fails what is refused", young, refused, store.Failed, dsn.Failed, dsn.NoAddress, [3]int{5, 1, 1}, store.Bounced},
		{"tells nobody who doesn't want it", with(notify(mail.NotifyNever)), refused, store.Failed, "", 0, [3]int{}, store.Bounced},
		{"tells nobody who wants to hear of success alone", with(notify(mail.NotifySuccess)), refused, store.Failed, "", 0, [3]int{}, store.Bounced},
		{"tells no null sender", with(nobody), refused, store.Failed, "", 0, [3]int{}, store.Bounced},
		{"reports a forward", with(forward), refused, store.Failed, dsn.Failed, dsn.NoAddress, [3]int{5, 1, 1}, store.Bounced},
		{"waits", young, unreached, store.Deferred, "", 0, [3]int{}, store.Postponed},
		{"waits when greylisted", young, greylisted, store.Deferred, "", 0, [3]int{}, store.Postponed},
		{"tells of a delay", with(late), unreached, store.Deferred, dsn.Delayed, dsn.Unreachable, [3]int{4, 4, 1}, store.Delayed},
		{"tells of a delay by a full mailbox", with(late), full, store.Deferred, dsn.Delayed, dsn.Full, [3]int{4, 2, 2}, store.Delayed},
		{"tells of a delay once", with(late, told), unreached, store.Deferred, "", 0, [3]int{}, store.Postponed},
		{"tells of no delay who wants only failures", with(late, notify(mail.NotifyFailure)), unreached, store.Deferred, "", 0, [3]int{}, store.Postponed},
		{"tells of no delay whose sender is unproven", with(late, forward), unreached, store.Deferred, "", 0, [3]int{}, store.Postponed},
		{"gives up in the end", with(expired), unreached, store.Failed, dsn.Failed, dsn.Unreachable, [3]int{5, 4, 7}, store.Bounced},
		{"gives up a server that doesn't take it", with(expired), greylisted, store.Failed, dsn.Failed, dsn.Unreachable, [3]int{5, 4, 7}, store.Bounced},
		{"says that the mailbox stayed full", with(expired), full, store.Failed, dsn.Failed, dsn.Full, [3]int{5, 4, 7}, store.Bounced},
		{"is glad", young, sent, store.Sent, "", 0, [3]int{}, store.Relayed},
		{"leaves success to a server with DSN", with(notify(mail.NotifySuccess)), sent, store.Sent, "", 0, [3]int{}, store.Relayed},
		{"reports success in place of one without", with(notify(mail.NotifySuccess)), blind, store.Sent, dsn.Relayed, dsn.Refused, [3]int{2, 0, 0}, store.Reported},
		{"reports no success unasked", with(notify(mail.NotifyFailure)), blind, store.Sent, "", 0, [3]int{}, store.Relayed},
		{"reports no success to a null sender", with(nobody, notify(mail.NotifySuccess)), blind, store.Sent, "", 0, [3]int{}, store.Reported},
		{"reports what is delivered", with(owed(store.OwedDelivered)), fate{}, store.Told, dsn.Delivered, 0, [3]int{}, store.Reported},
		{"reports what is expanded", with(owed(store.OwedExpanded)), fate{}, store.Told, dsn.Expanded, 0, [3]int{}, store.Reported},
		{"reports nothing when stopped", with(owed(store.OwedExpanded)), fate{result: store.Interrupted}, store.Interrupted, "", 0, [3]int{}, ""},
		{"gives back what is interrupted", with(expired), fate{result: store.Interrupted}, store.Interrupted, "", 0, [3]int{}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			j := schedule.judge(test.item, test.fate, now, 0)
			if j.outcome.Result != test.result || j.outcome.Item != 1 || j.outcome.Message != 2 {
				t.Errorf("the outcome is %+v", j.outcome)
			}
			if (j.notice != nil) != (test.action != "") {
				t.Fatalf("the notice is %+v", j.notice)
			}
			if n := j.notice; n != nil && (n.action != test.action || n.recipient.Cause != test.cause || n.recipient.Status != test.status) {
				t.Errorf("the notice is %+v", n)
			}
			var last store.Kind
			if n := len(j.outcome.Events); n > 0 {
				last = j.outcome.Events[n-1].Kind
			}
			if last != test.last {
				t.Errorf("the last event is %q, want %q", last, test.last)
			}
		})
	}
}

// What nobody wants to hear of is not asked for again as late.
func TestLateOnlyOnce(t *testing.T) {
	now := time.Date(2026, 3, 4, 15, 0, 0, 0, time.UTC)
	schedule := Schedule{DelayNotice: 4 * time.Hour}
	item := store.QueueItem{Created: now.Add(-5 * time.Hour), Expires: now.Add(time.Hour)}
	f := fate{result: store.Deferred, answer: smtpclient.Answer{Text: "connect to mx: timed out"}}
	if j := schedule.judge(item, f, now, 0); !j.outcome.Delayed || j.notice != nil {
		t.Errorf("without a sender it is %+v", j)
	}
	item.Delayed = true
	if j := schedule.judge(item, f, now, 0); j.outcome.Delayed {
		t.Errorf("again it is %+v", j)
	}
}
