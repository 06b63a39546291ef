package sqlite

import (
	"errors"
	"testing"

	"postroom/store"
	"postroom/store/mail"
)

func TestSenders(t *testing.T) {
	f := newDirectory(t)
	fillDirectory(t, f)
	bob, ctx := f.id(t, "bob@example.org"), t.Context()
	may := func(text string) bool {
		t.Helper()
		ok, err := f.MaySend(ctx, bob, address(t, text))
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	add := func(a mail.Address) {
		t.Helper()
		if err := f.AddSender(ctx, store.Sender{Account: bob, Address: a}); err != nil {
			t.Fatal(err)
		}
	}
	all := mail.Address{Domain: "example.net"}
	if may("shop@example.org") || may("any@example.net") || may("alice@example.org") {
		t.Error("bob may send as others from the start")
	}
	add(address(t, "Shop@example.org"))
	add(address(t, "alice@example.org"))
	add(all)
	for text, want := range map[string]bool{
		"shop@example.org": true, "SHOP+x@example.org": true, "alice@example.org": true, "alice+list@example.org": true,
		"other@example.org": false, "any@example.net": true, "dave@example.net": true, `""@example.net`: false, "bob+work@example.org": false,
		"shop@elsewhere.example": false,
	} {
		if got := may(text); got != want {
			t.Errorf("as %s: %v, want %v", text, got, want)
		}
	}
	for what, err := range map[string]error{
		"twice":                     f.AddSender(ctx, store.Sender{Account: bob, Address: address(t, "shop@example.org")}),
		"of a backup domain":        f.AddSender(ctx, store.Sender{Account: bob, Address: address(t, "x@backup.example")}),
		"for nobody":                f.AddSender(ctx, store.Sender{Account: 999, Address: address(t, "y@example.org")}),
		"taking what isn't granted": f.RemoveSender(ctx, bob, address(t, "y@example.org")),
	} {
		want := store.ErrNotFound
		if what == "twice" {
			want = store.ErrConflict
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	list, err := f.Senders(ctx, bob)
	if err != nil || len(list) != 3 || list[0].Address != all || list[2].Address != address(t, "shop@example.org") {
		t.Errorf("the list is %+v, %v", list, err)
	}
	if err := f.RemoveSender(ctx, bob, all); err != nil || may("any@example.net") || !may("shop@example.org") {
		t.Errorf("after one right is taken: %v", err)
	}
	add(all)
	for _, err := range []error{
		f.RemoveAlias(ctx, all), f.RemoveAccount(ctx, f.id(t, "dave@example.net")),
		f.RemoveAccount(ctx, f.id(t, "abuse@example.net")), f.RemoveDomain(ctx, "example.net"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	f.domain(t, "example.net", false)
	if may("any@example.net") {
		t.Error("the right has outlived the domain")
	}
}
