package storetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// A VacationStore is what the tests of vacation notices need.
type VacationStore interface {
	SetVacation(ctx context.Context, account store.AccountID, v store.Vacation) error
	Vacation(ctx context.Context, account store.AccountID) (store.Vacation, error)
	IsAway(account store.AccountID, at time.Time) bool
	Answers(ctx context.Context) ([]store.Answer, error)
	AnswersChanged() <-chan struct{}
	DropAnswer(ctx context.Context, id int64) error
}

// RunVacations runs the tests of vacation notices, which are part of Run.
func RunVacations(t *testing.T, b Backend) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *fixture)
	}{
		{"it knows who is away when", knowsWhoIsAway},
		{"it owes a vacation notice with all that it is made of", owesAnswers},
		{"it owes one notice a week to each sender", owesOneAnswerAWeek},
		{"it owes none of who isn't away, is disabled or is gone", owesNoOldAnswers},
		{"it takes a notice once", takesAnswerOnce},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newFixture(t, b)) })
	}
}

func (f *fixture) setAway(account store.AccountID, v store.Vacation) {
	f.t.Helper()
	f.must(f.SetVacation(f.t.Context(), account, v))
}

func knowsWhoIsAway(t *testing.T, f *fixture) {
	since, until := f.now.Add(time.Hour), f.now.Add(2*time.Hour)
	f.setAway(f.alice, store.Vacation{On: true, Subject: "s", Text: "t", Since: since, Until: until})
	f.setAway(f.bob, store.Vacation{On: true, Text: "always"})
	f.setAway(f.carol, store.Vacation{Text: "off"})
	for range 2 {
		for _, test := range []struct {
			account store.AccountID
			at      time.Time
			want    bool
		}{
			{f.alice, since.Add(-time.Microsecond), false},
			{f.alice, since, true},
			{f.alice, until.Add(-time.Microsecond), true},
			{f.alice, until, false},
			{f.bob, f.now, true},
			{f.carol, f.now, false},
		} {
			if got := f.IsAway(test.account, test.at); got != test.want {
				t.Errorf("%d is away at %v: %v", test.account, test.at, got)
			}
		}
		got, err := f.Vacation(t.Context(), f.alice)
		f.must(err)
		if !got.On || got.Subject != "s" || got.Text != "t" || !got.Since.Equal(since) || !got.Until.Equal(until) {
			t.Errorf("got %+v", got)
		}
		f.reopen()
	}
	f.must(f.RemoveAccount(t.Context(), f.bob))
	if f.IsAway(f.bob, f.now) {
		t.Error("a removed account is away")
	}
	if err := f.SetVacation(t.Context(), f.bob, store.Vacation{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of a removed account: %v", err)
	}
}

// asking returns a message to an account that is to be answered.
func (f *fixture) asking(sender string, account store.AccountID) store.Acceptance {
	a := f.local(f.message("text\r\n"), account)
	a.Envelope.Sender = address(sender)
	a.Answers = []store.OwedAnswer{{Account: account, Recipient: address("to@example.org"), Subject: "Grüße", History: "<0@x>"}}
	return a
}

// answers returns what is owed.
func (f *fixture) answers() []store.Answer {
	f.t.Helper()
	list, err := f.Answers(f.t.Context())
	f.must(err)
	return list
}

// answer accepts the notice that is owed.
func (f *fixture) answer(o store.Answer) (store.MessageID, error) {
	a := f.message("away\r\n")
	a.Envelope, a.Origin, a.AnswerTo = mail.Envelope{}, store.FromUs, &o
	a = outbound(a, o.Sender.String())
	return a.ID, f.Accept(f.t.Context(), a)
}

func owesAnswers(t *testing.T, f *fixture) {
	f.setAway(f.alice, store.Vacation{On: true, Subject: "Away", Text: "back soon"})
	id := f.accept(f.asking("Some.One@far.test", f.alice))
	select {
	case <-f.AnswersChanged():
	default:
		t.Error("nothing tells that a notice is owed")
	}
	f.reopen()
	list := f.answers()
	if len(list) != 1 {
		t.Fatalf("owed: %+v", list)
	}
	got := list[0]
	if got.Account != f.alice || got.From != address("alice@example.org") || got.Vacation.Text != "back soon" || got.Message != id ||
		got.Sender != address("Some.One@far.test") || got.HeaderID != "one@example.net" || got.Recipient != address("to@example.org") ||
		got.Subject != "Grüße" || got.History != "<0@x>" || !got.At.Equal(f.now) {
		t.Errorf("owed: %+v", got)
	}
	notice, err := f.answer(got)
	f.must(err)
	if left := f.answers(); len(left) != 0 {
		t.Errorf("still owed: %+v", left)
	}
	events := f.trails(id.String())[0].Events
	last := events[len(events)-1]
	if last.Kind != store.Answered || last.Recipient != "to@example.org" || last.Report == nil || *last.Report != notice {
		t.Errorf("the trace ends with %+v", last)
	}
}

func owesOneAnswerAWeek(t *testing.T, f *fixture) {
	f.setAway(f.alice, store.Vacation{On: true, Text: "t"})
	f.setAway(f.bob, store.Vacation{On: true, Text: "t"})
	owed := func(what string, want int) []store.Answer {
		t.Helper()
		list := f.answers()
		if len(list) != want {
			t.Fatalf("%s: %d are owed, want %d: %+v", what, len(list), want, list)
		}
		return list
	}
	f.accept(f.asking("s@far.test", f.alice))
	f.accept(f.asking("S@FAR.test", f.alice))
	list := owed("two mails of one sender", 1)
	_, err := f.answer(list[0])
	f.must(err)
	f.accept(f.asking("s@far.test", f.alice))
	owed("a third", 0)
	f.accept(f.asking("s@far.test", f.bob))
	f.accept(f.asking("other@far.test", f.alice))
	for _, o := range owed("another account and another sender", 2) {
		f.must(f.DropAnswer(t.Context(), o.ID))
	}
	f.now = f.now.Add(store.AnswerEvery - time.Second)
	f.reopen()
	f.accept(f.asking("s@far.test", f.alice))
	owed("within the week, after a restart", 0)
	f.now = f.now.Add(time.Second)
	f.accept(f.asking("s@far.test", f.alice))
	owed("after a week", 1)
}

func owesNoOldAnswers(t *testing.T, f *fixture) {
	ctx := t.Context()
	on := store.Vacation{On: true, Text: "t"}
	f.accept(f.asking("s@far.test", f.alice))
	if list := f.answers(); len(list) != 0 {
		t.Errorf("of who never was away: %+v", list)
	}
	for what, end := range map[string]func() error{
		"of who is back":     func() error { return f.SetVacation(ctx, f.alice, store.Vacation{Text: "t"}) },
		"of who is disabled": func() error { return f.SetStanding(ctx, f.alice, store.Disabled) },
		"a day later":        func() error { f.now = f.now.Add(25 * time.Hour); return nil },
	} {
		f.must(f.SetStanding(ctx, f.alice, store.Enabled))
		f.setAway(f.alice, on)
		f.accept(f.asking("s@far.test", f.alice))
		if list := f.answers(); len(list) != 1 {
			t.Fatalf("%s: at first %+v", what, list)
		}
		f.must(end())
		if list := f.answers(); len(list) != 0 {
			t.Errorf("%s: %+v", what, list)
		}
	}
	f.must(f.SetStanding(ctx, f.alice, store.Enabled))
	f.setAway(f.alice, on)
	f.accept(f.asking("s@far.test", f.alice))
	f.must(f.RemoveAccount(ctx, f.alice))
	if list := f.answers(); len(list) != 0 {
		t.Errorf("of who is gone: %+v", list)
	}
	a := f.asking("s@far.test", f.bob)
	a.Answers[0].Account = f.alice // gone since the session looked
	f.accept(a)
}

func takesAnswerOnce(t *testing.T, f *fixture) {
	f.setAway(f.alice, store.Vacation{On: true, Text: "t"})
	f.accept(f.asking("s@far.test", f.alice))
	o := f.answers()[0]
	_, err := f.answer(o)
	f.must(err)
	id, err := f.answer(o)
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a second notice: %v", err)
	}
	if trails := f.trails(id.String()); len(trails) != 0 {
		t.Errorf("it has left a trace: %+v", trails)
	}
	f.setAway(f.alice, store.Vacation{On: true, Text: strings.Repeat("x", 10)})
	f.accept(f.asking("s@far.test", f.alice))
	if list := f.answers(); len(list) != 0 {
		t.Errorf("a new text lets a second notice out: %+v", list)
	}
}
