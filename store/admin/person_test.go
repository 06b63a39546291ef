package admin_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

// warns checks that something isn't done before somebody has read a warning.
func (f *fixture) warns(err error, says string) {
	f.t.Helper()
	e, ok := errors.AsType[*admin.Error](err)
	if !ok || e.Kind != admin.Doubtful || !slices.ContainsFunc(e.Warnings(), func(w string) bool { return strings.Contains(w, says) }) {
		f.t.Errorf("got %v, want a warning that says %q", err, says)
	}
}

func TestAliasWarnings(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	f.must(dropped(f.AddDomain(ctx, admin.AddDomain{Name: "held.example", Backup: true})))
	f.must(dropped(f.AddAccount(ctx, admin.NewAccount{Address: "gone@example.org"})))
	f.must(f.DisableAccount(ctx, "gone@example.org", true))
	for _, tt := range []struct{ source, target, says string }{
		{"info@example.org", "nobody@example.org", "Nobody has the address nobody@example.org: nothing arrives there."},
		{"info@example.org", "nobody@example.org", "None of its targets takes mail, so mail for it is refused."},
		{"info@example.org", "gone@example.org", "The account gone@example.org is disabled, and its mail refused"},
		{"info@example.org", "x@held.example", "Mail for x@held.example is only held here"},
		{"alice+news@example.org", "bob@example.org", "It takes the mail with this tag away from alice@example.org."},
	} {
		request := admin.NewAlias{Source: tt.source, Targets: []string{tt.target}, Strict: true}
		f.warns(dropped(f.AddAlias(ctx, request)), tt.says)
		request.Strict = false
		added, err := f.AddAlias(ctx, request)
		if err != nil || len(added.Problems) == 0 {
			t.Errorf("%s: added with %q, %v", tt.source, added.Problems, err)
		}
		_, err = f.RemoveAlias(ctx, tt.source)
		f.must(err)
	}
	f.must(dropped(f.AddAlias(ctx, admin.NewAlias{Source: "info@example.org", Targets: []string{"bob@example.org", "nobody@example.org"}})))
	f.must(dropped(f.AddAlias(ctx, admin.NewAlias{Source: "alice+x@example.org", Targets: []string{"info@example.org"}})))
	list, err := f.Aliases(ctx)
	f.must(err)
	list, err = f.InspectAliases(ctx, list)
	f.must(err)
	if len(list) != 2 || len(list[0].Problems) != 1 || !strings.Contains(list[0].Problems[0], "nobody@example.org (where info@example.org leads)") || len(list[1].Problems) != 1 {
		t.Errorf("the list has %+v", list)
	}
	f.fails(dropped(f.ChangeAlias(ctx, admin.NewAlias{Source: "info@example.org", Targets: []string{"alice+x@example.org"}, Strict: true})), admin.Invalid, store.ErrLoop, "lead back to itself")
	f.fails(dropped(f.ChangeAlias(ctx, admin.NewAlias{Source: "no@example.org", Targets: []string{"bob@example.org"}})), admin.NotFound, store.ErrNotFound, "no alias")
	changed, err := f.ChangeAlias(ctx, admin.NewAlias{Source: "Info@example.org", Targets: []string{"bob@example.org"}, Strict: true})
	if err != nil || changed.Source != "info@example.org" || len(changed.Problems) != 0 {
		t.Errorf("changed to %+v, %v", changed, err)
	}
}

func TestForwardOfAccount(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	set := func(strict bool, targets ...string) error {
		return dropped(f.SetForward(ctx, admin.SetForward{Address: "bob@example.org", Targets: targets, Keep: true, Strict: strict}))
	}
	f.fails(set(false, "bob"), admin.Invalid, nil, "not a mail address")
	f.fails(set(false, "Bob@example.org", "bob+x@example.org"), admin.Invalid, store.ErrLoop, "lead back to bob@example.org itself")
	f.fails(set(false, strings.Fields(strings.Repeat("x@a.test y@a.test ", 1)+manyAddresses(20))...), admin.Invalid, nil, "20 addresses at most")
	f.warns(set(true, "nobody@example.org"), "all of it stays in the maildrop")
	f.warns(set(true, "x@far.test", "bob@example.org"), "a copy stays in its maildrop")
	f.must(set(true, "x@far.test", "X@FAR.test", "alice@example.org"))
	got, err := f.Account(ctx, "bob@example.org")
	f.must(err)
	if got.Personal == nil || got.Forward == nil || strings.Join(got.Forward.Targets, " ") != "x@far.test alice@example.org" || !got.Forward.Keep {
		t.Errorf("it is shown as %+v", got.Personal)
	}
	removed, err := f.RemoveAccount(ctx, "bob@example.org")
	if err != nil || len(removed.Forward) != 2 {
		t.Errorf("removed %+v, %v", removed, err)
	}
}

func manyAddresses(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(string(rune('a'+i)) + "@b.test ")
	}
	return b.String()
}

func TestVacationOfAccount(t *testing.T) {
	f := newFixture(t) // 6 May 2026, 07:08 UTC
	f.fill()
	ctx := t.Context()
	for _, tt := range []struct {
		says string
		v    admin.SetVacation
	}{
		{"needs a text", admin.SetVacation{On: true, Text: " \n"}},
		{"one line", admin.SetVacation{On: true, Text: "x", Subject: "a\r\nBcc: b"}},
		{"lines of text", admin.SetVacation{On: true, Text: "a\x00b"}},
		{"too long", admin.SetVacation{On: true, Text: strings.Repeat("x", 30_000)}},
		{"is not a day", admin.SetVacation{On: true, Text: "x", From: "6.5.2026"}},
		{"before the first", admin.SetVacation{On: true, Text: "x", From: "2026-05-08", Until: "2026-05-07"}},
		{"passed already", admin.SetVacation{On: true, Text: "x", Until: "2026-05-05"}},
	} {
		tt.v.Address = "bob@example.org"
		f.fails(dropped(f.SetVacation(ctx, tt.v)), admin.Invalid, nil, tt.says)
	}
	request := admin.SetVacation{Address: "bob@example.org", On: true, Subject: " Away ", Text: "a\r\nb\r\n", From: "2026-05-07", Until: "2026-05-07"}
	got, err := f.SetVacation(ctx, request)
	f.must(err)
	want := admin.Vacation{On: true, Subject: "Away", Text: "a\nb", From: "2026-05-07", Until: "2026-05-07", State: "waits"}
	if got != want {
		t.Errorf("got %+v", got)
	}
	for _, step := range []struct {
		after time.Duration
		state string
	}{{24 * time.Hour, "answers"}, {16 * time.Hour, "answers"}, {time.Hour, "over"}} {
		f.now = f.now.Add(step.after)
		if got, err := f.Vacation(ctx, "bob@example.org"); err != nil || got.State != step.state {
			t.Errorf("at %v it %s, %v, want %s", f.now, got.State, err, step.state)
		}
	}
	off, err := f.EndVacation(ctx, "bob@example.org")
	if err != nil || off.State != "off" || off.Text != "a\nb" {
		t.Errorf("turned off: %+v, %v", off, err)
	}
}

func TestSendersOfAccount(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	add := func(sender string) error {
		return dropped(f.AddSender(ctx, admin.SenderRight{Address: "bob@example.org", Sender: sender}))
	}
	f.fails(add("x@far.test"), admin.NotFound, store.ErrNotFound, "no domain far.test")
	f.fails(add("x"), admin.Invalid, nil, "not a mail address")
	f.must(add("Shop@example.org"))
	f.must(add("@example.org"))
	f.fails(add("shop@example.org"), admin.Conflict, store.ErrConflict, "may send as shop@example.org already")
	list, err := f.Senders(ctx, "bob@example.org")
	if err != nil || len(list) != 2 || list[0].Sender != "@example.org" || list[1].Sender != "shop@example.org" {
		t.Errorf("the list is %+v, %v", list, err)
	}
	f.must(f.RemoveSender(ctx, admin.SenderRight{Address: "bob@example.org", Sender: "SHOP@example.org"}))
	f.fails(f.RemoveSender(ctx, admin.SenderRight{Address: "bob@example.org", Sender: "shop@example.org"}), admin.NotFound, store.ErrNotFound, "was not let send")
}
