package admin_test

import (
	"io"
	"mime"
	"mime/quotedprintable"
	netmail "net/mail"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// ask accepts a mail to alice that is to be answered, and returns its ID.
func (f *fixture) ask(from, headerID string, o store.OwedAnswer) store.MessageID {
	f.t.Helper()
	sender, err := mail.ParseAddress(from)
	f.must(err)
	account, err := f.store.AccountByAddress(f.t.Context(), mail.Address{Local: "alice", Domain: "example.org"})
	f.must(err)
	o.Account, o.Recipient = account.ID, account.Address
	a := store.Acceptance{
		ID: f.store.NewMessageID(), At: f.now, HeaderID: headerID,
		Envelope: mail.Envelope{Sender: sender}, Body: strings.NewReader("hi\r\n"), Size: 4,
		Local:   []store.LocalDelivery{{Account: account.ID, Recipient: account.Address}},
		Answers: []store.OwedAnswer{o},
	}
	f.must(f.store.Accept(f.t.Context(), a))
	return a.ID
}

func (f *fixture) alice() store.AccountID {
	f.t.Helper()
	account, err := f.store.AccountByAddress(f.t.Context(), mail.Address{Local: "alice", Domain: "example.org"})
	f.must(err)
	return account.ID
}

func (f *fixture) setAway(v store.Vacation) {
	f.t.Helper()
	v.On = true
	f.must(f.store.SetVacation(f.t.Context(), f.alice(), v))
}

// written returns the text of the only message in the queue, and its trail.
func (f *fixture) written() (string, store.QueueItem, store.Trail) {
	f.t.Helper()
	list, err := f.store.Queue(f.t.Context(), store.QueueFilter{})
	f.must(err)
	if len(list) != 1 {
		f.t.Fatalf("the queue holds %+v", list)
	}
	body, err := f.store.OpenMessage(f.t.Context(), list[0].Message)
	f.must(err)
	defer body.Close()
	text, err := io.ReadAll(body)
	f.must(err)
	trails, err := f.store.Trails(f.t.Context(), store.TrailQuery{Text: list[0].Message.String()})
	f.must(err)
	return string(text), list[0], trails.Trails[0]
}

func TestAnswerIsWellFormed(t *testing.T) {
	f := newFixture(t)
	f.fill()
	f.setAway(store.Vacation{Subject: "Bis Montag weg – Grüße", Text: "Ich bin weg.\r\n\n.\nFrom here\n" + strings.Repeat("ä", 300)})
	asked := f.ask("Some.One@far.test", "2@far.test", store.OwedAnswer{Subject: "Hello", History: "<0@far.test> <1@far.test>"})
	f.must(f.SendAnswers(t.Context()))
	text, item, trail := f.written()
	if !item.Sender.IsNull() || !item.Envelope.Sender.IsNull() || item.Recipient.Address.String() != "Some.One@far.test" ||
		item.Recipient.Notify != mail.NotifyNever || !item.Ours || item.Account != 0 || item.Envelope.UTF8 || item.Envelope.EightBit {
		t.Errorf("it is sent as %+v", item)
	}
	if first := trail.Events[0]; first.Report == nil || *first.Report != asked || first.Reason != "vacation notice of alice@example.org" {
		t.Errorf("its trace begins with %+v", first)
	}
	if strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\n") || strings.ContainsFunc(text, func(r rune) bool { return r > '~' || r == 0 }) {
		t.Errorf("it isn't ASCII in lines: %q", text)
	}
	for line := range strings.Lines(text) {
		if len(line) > 100 {
			t.Errorf("a long line: %q", line)
		}
	}
	m, err := netmail.ReadMessage(strings.NewReader(text))
	f.must(err)
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	f.must(err)
	for field, want := range map[string]string{
		"From": `"Alice" <alice@example.org>`, "To": "<Some.One@far.test>", "Auto-Submitted": "auto-replied",
		"In-Reply-To": "<2@far.test>", "References": "<0@far.test> <1@far.test> <2@far.test>",
		"Date": f.now.Format(time.RFC1123Z), "Message-ID": "<" + trail.HeaderID + ">", "MIME-Version": "1.0",
		"Content-Type": "text/plain; charset=utf-8", "Content-Transfer-Encoding": "quoted-printable",
	} {
		if got := m.Header.Get(field); got != want || len(m.Header[textproto.CanonicalMIMEHeaderKey(field)]) != 1 {
			t.Errorf("%s is %q, want %q", field, m.Header[textproto.CanonicalMIMEHeaderKey(field)], want)
		}
	}
	if subject != "Bis Montag weg – Grüße" {
		t.Errorf("the subject is %q", subject)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	f.must(err)
	if want := "Ich bin weg.\r\n\r\n.\r\nFrom here\r\n" + strings.Repeat("ä", 300) + "\r\n"; string(body) != want {
		t.Errorf("the text is %q", body)
	}
}

func TestAnswerWithoutMuch(t *testing.T) {
	for _, tt := range []struct{ it, headerID, subject, want string }{
		{"says what it answers", "1@x", "Grüße aus\tX", "Auto: Grüße aus\tX"},
		{"has some subject", "1@x", "", "Auto: your message"},
		{"refers to nothing that is no ID", "a b> <c", "x", "Auto: x"},
		{"refers to no ID that isn't there", "", "x", "Auto: x"},
		{"refers to no ID that isn't ASCII", "ä@x", "x", "Auto: x"},
	} {
		t.Run(tt.it, func(t *testing.T) {
			f := newFixture(t)
			f.fill()
			f.setAway(store.Vacation{Text: "Away."})
			f.ask("grå@far.test", tt.headerID, store.OwedAnswer{Subject: tt.subject, History: "<0@x>"})
			f.must(f.SendAnswers(t.Context()))
			text, item, _ := f.written()
			if !item.Envelope.UTF8 || item.Recipient.Address.String() != "grå@far.test" {
				t.Errorf("it is sent as %+v", item)
			}
			m, err := netmail.ReadMessage(strings.NewReader(text))
			f.must(err)
			if got, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil || got != tt.want {
				t.Errorf("the subject is %q, %v", got, err)
			}
			if refers := m.Header.Get("References") + m.Header.Get("In-Reply-To"); (refers != "") != (tt.headerID == "1@x") {
				t.Errorf("it refers to %q", refers)
			}
		})
	}
}

func TestAnswerGoesOnce(t *testing.T) {
	f := newFixture(t)
	f.fill()
	f.setAway(store.Vacation{Text: "Away."})
	bob, err := f.store.AccountByAddress(t.Context(), mail.Address{Local: "bob", Domain: "example.org"})
	f.must(err)
	held := func() int {
		t.Helper()
		entries, err := f.store.Entries(t.Context(), bob.ID)
		f.must(err)
		return len(entries)
	}
	for day, want := range []int{1, 1, 1, 1, 1, 1, 1, 2, 2} {
		f.ask("bob@example.org", "1@x", store.OwedAnswer{})
		f.must(f.SendAnswers(t.Context()))
		f.must(f.SendAnswers(t.Context()))
		if got := held(); got != want {
			t.Errorf("on day %d bob has %d notices, want %d", day, got, want)
		}
		f.now = f.now.Add(24 * time.Hour)
	}
	f.ask("nobody@example.org", "1@x", store.OwedAnswer{})
	f.must(f.SendAnswers(t.Context()))
	if left, err := f.store.Answers(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("to nobody is owed %+v, %v", left, err)
	}
}
