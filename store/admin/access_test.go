package admin_test

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

func TestAccessIsReadAsPeopleWriteIt(t *testing.T) {
	for _, tt := range []struct{ written, want string }{
		{"192.0.2.1", "192.0.2.1"},
		{" 192.0.2.1 ", "192.0.2.1"},
		{"[192.0.2.1]", "192.0.2.1"},
		{"192.0.2.1/32", "192.0.2.1"},
		{"192.0.2.77/24", "192.0.2.0/24"},
		{"2001:DB8::1", "2001:db8::1"},
		{"[IPv6:2001:db8::1]", "2001:db8::1"},
		{"2001:db8::1/32", "2001:db8::/32"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"::ffff:192.0.2.77/120", "192.0.2.0/24"},
		{"Example.ORG", "example.org"},
		{"example.org.", "example.org"},
		{"@example.org", "example.org"},
		{"*@example.org", "example.org"},
		{"*.example.org", "example.org"},
		{".example.org", "example.org"},
		{"exämple.org", "xn--exmple-cua.org"},
		{"xyz", "xyz"},
		{"Eve@Example.org", "eve@example.org"},
		{"<eve@example.org>", "eve@example.org"},
		{"eve@exämple.org", "eve@xn--exmple-cua.org"},
		{`"a b"@example.org`, `"a b"@example.org`},
	} {
		f := newFixture(t)
		e, err := f.AddAccess(t.Context(), admin.AddAccess{Action: "block", What: tt.written})
		if err != nil || e.What != tt.want {
			t.Errorf("%q: got %q, %v, want %q", tt.written, e.What, err, tt.want)
			continue
		}
		f.must(f.RemoveAccess(t.Context(), admin.RemoveAccess{Action: "block", What: tt.written}))
		list, err := f.AccessEntries(t.Context(), "")
		if len(list) != 0 || err != nil {
			t.Errorf("%q: it is still there: %+v, %v", tt.written, list, err)
		}
	}
}

func TestAccessThatMakesNoSense(t *testing.T) {
	f := newFixture(t)
	for _, tt := range []struct {
		request admin.AddAccess
		says    string
	}{
		{admin.AddAccess{Action: "deny", What: "192.0.2.1"}, `"deny" is neither block nor allow`},
		{admin.AddAccess{Action: "block"}, `"" is no address`},
		{admin.AddAccess{Action: "block", What: "what is this"}, `"what is this" is no address (192.0.2.1), network`},
		{admin.AddAccess{Action: "block", What: "192.0.2"}, "is no address"},
		{admin.AddAccess{Action: "block", What: "192.0.2.256"}, "is no address"},
		{admin.AddAccess{Action: "block", What: "192.0.2.1-192.0.2.9"}, "is no address"},
		{admin.AddAccess{Action: "block", What: "192.0.2.0/33"}, "is no address"},
		{admin.AddAccess{Action: "block", What: "192.0.2.0/-1"}, "is no address"},
		{admin.AddAccess{Action: "block", What: "192.0.2.0/024"}, "is no address"},
		{admin.AddAccess{Action: "block", What: "fe80::1%eth0"}, "is no address"},
		{admin.AddAccess{Action: "block", What: "::ffff:192.0.2.1/64"}, "is no address"},
		{admin.AddAccess{Action: "block", What: "eve @example.org"}, `is not a mail address. It should look like eve@example.org.`},
		{admin.AddAccess{Action: "block", What: "0.0.0.0/0"}, "0.0.0.0/0 is everybody"},
		{admin.AddAccess{Action: "block", What: "::/0"}, "::/0 is everybody"},
		{admin.AddAccess{Action: "block", What: "192.0.2.1", Expires: "soon"}, `"soon" is not a length of time. It should look like 12h, 30d or 2w`},
		{admin.AddAccess{Action: "block", What: "192.0.2.1", Expires: "30"}, "is not a length of time"},
		{admin.AddAccess{Action: "block", What: "192.0.2.1", Expires: "-1h"}, "is not a length of time"},
		{admin.AddAccess{Action: "block", What: "192.0.2.1", Expires: "1d-1h"}, "is not a length of time"},
		{admin.AddAccess{Action: "block", What: "192.0.2.1", Expires: "65535w"}, "is not a length of time"},
		{admin.AddAccess{Action: "block", What: "192.0.2.1", Note: strings.Repeat("x", 501)}, "The note is too long"},
	} {
		_, err := f.AddAccess(t.Context(), tt.request)
		f.fails(err, admin.Invalid, nil, tt.says)
	}
	if list, err := f.AccessEntries(t.Context(), ""); len(list) != 0 || err != nil {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestAccess(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	heeded := func(addr string) store.AccessAction {
		e, _ := f.store.Access().Network(netip.MustParseAddr(addr), f.now)
		return e.Action
	}
	e, err := f.AddAccess(ctx, admin.AddAccess{Action: "block", What: "192.0.2.0/24", Note: " guesses\r\npasswords ", Expires: "1w1d12h"})
	f.must(err)
	if want := (admin.AccessEntry{
		What: "192.0.2.0/24", Action: "block", Note: "guesses  passwords", Created: f.now, Expires: f.now.Add((8*24 + 12) * time.Hour),
	}); e != want || heeded("192.0.2.1") != store.Block {
		t.Errorf("got %+v, want %+v; heeded: %v", e, want, heeded("192.0.2.1"))
	}
	for _, what := range []string{"eve@example.org", "example.org", "198.51.100.1"} {
		_, err := f.AddAccess(ctx, admin.AddAccess{Action: "allow", What: what})
		f.must(err)
	}
	wantList := func(action, want string) {
		t.Helper()
		list, err := f.AccessEntries(ctx, action)
		f.must(err)
		var got []string
		for _, e := range list {
			got = append(got, e.Action+" "+e.What)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("the list %q has %q, want %q", action, got, want)
		}
	}
	wantList("", "block 192.0.2.0/24, allow 198.51.100.1, allow example.org, allow eve@example.org")
	wantList("block", "block 192.0.2.0/24")

	e, err = f.AddAccess(ctx, admin.AddAccess{Action: "allow", What: "192.0.2.9/24"})
	f.must(err)
	if e.Replaced != "block" || !e.Expires.IsZero() || heeded("192.0.2.1") != store.Allow {
		t.Errorf("replaced: %+v, heeded %v", e, heeded("192.0.2.1"))
	}
	f.fails(f.RemoveAccess(ctx, admin.RemoveAccess{Action: "block", What: "192.0.2.0/24"}), admin.NotFound, store.ErrNotFound,
		"192.0.2.0/24 is not in the block list but in the allow list.")
	f.fails(f.RemoveAccess(ctx, admin.RemoveAccess{Action: "block", What: "192.0.2.1"}), admin.NotFound, store.ErrNotFound,
		"192.0.2.1 is not in the block list.")
	f.must(f.RemoveAccess(ctx, admin.RemoveAccess{Action: "allow", What: "192.0.2.0/24"}))
	if heeded("192.0.2.1") != 0 {
		t.Error("what was removed is heeded")
	}

	_, err = f.AddAccess(ctx, admin.AddAccess{Action: "block", What: "203.0.113.1", Expires: "90m"})
	f.must(err)
	f.now = f.now.Add(90 * time.Minute)
	wantList("block", "")
	if heeded("203.0.113.1") != 0 {
		t.Error("what has ended is heeded")
	}
}

func TestAccessAsJSON(t *testing.T) {
	at := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	for _, tt := range []struct {
		e    admin.AccessEntry
		want string
	}{
		{admin.AccessEntry{What: "example.org", Action: "block", Created: at}, `{"what":"example.org","action":"block","note":"","created":"2026-05-06T07:08:09Z","expires":null}`},
		{admin.AccessEntry{What: "example.org", Action: "block", Note: "x", Created: at, Expires: at.Add(time.Hour)}, `{"what":"example.org","action":"block","note":"x","created":"2026-05-06T07:08:09Z","expires":"2026-05-06T08:08:09Z"}`},
	} {
		b, err := json.Marshal(tt.e)
		if err != nil || string(b) != tt.want {
			t.Errorf("got %s, %v, want %s", b, err, tt.want)
		}
		var back admin.AccessEntry
		if err := json.Unmarshal(b, &back); err != nil || back != tt.e {
			t.Errorf("it comes back as %+v, %v", back, err)
		}
	}
}

func TestConcerns(t *testing.T) {
	f := newFixture(t)
	f.must(f.store.Raise(t.Context(), store.Concern{Key: "blocklist bl.test", Text: "It refuses us.", Cure: "/lists"}))
	list, err := f.Concerns(t.Context())
	if err != nil || len(list) != 1 || list[0].Text != "It refuses us." || !list[0].Since.Equal(f.now) {
		t.Errorf("%+v, %v", list, err)
	}
}
