package admin_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

func TestAddRoute(t *testing.T) {
	f := newFixture(t)
	f.fill()
	for _, test := range []struct {
		it   string
		ask  admin.AddRoute
		want admin.Route
	}{
		{
			"takes port 25 where none is given",
			admin.AddRoute{Domain: "A.example.", Host: "Relay.Example."},
			admin.Route{Domain: "a.example", Host: "relay.example", Port: 25, TLS: "may"},
		},
		{
			"asks for TLS where a password is sent",
			admin.AddRoute{Domain: "*", Host: "relay.example:587", User: "u", Password: "p w"},
			admin.Route{Domain: "*", Host: "relay.example", Port: 587, TLS: "must", Auth: true, User: "u"},
		},
		{
			"doesn't ask for it on this machine",
			admin.AddRoute{Domain: "b.example", Host: "127.0.0.1:2525", User: "u", Password: "p"},
			admin.Route{Domain: "b.example", Host: "127.0.0.1", Port: 2525, TLS: "may", Auth: true, User: "u"},
		},
		{
			"nor under its name",
			admin.AddRoute{Domain: "c.example", Host: "localhost:2525", User: "u", Password: "p"},
			admin.Route{Domain: "c.example", Host: "localhost", Port: 2525, TLS: "may", Auth: true, User: "u"},
		},
		{
			"takes the policy that is given",
			admin.AddRoute{Domain: "d.example", Host: "relay.example", User: "u", Password: "p", TLS: "None"},
			admin.Route{Domain: "d.example", Host: "relay.example", Port: 25, TLS: "none", Auth: true, User: "u"},
		},
		{
			"leaves the servers to MX",
			admin.AddRoute{Domain: "e.example", Host: "MX", TLS: "must"},
			admin.Route{Domain: "e.example", Host: "mx", TLS: "must"},
		},
		{
			"takes a bare IPv6 address",
			admin.AddRoute{Domain: "f.example", Host: "2001:DB8::1"},
			admin.Route{Domain: "f.example", Host: "2001:db8::1", Port: 25, TLS: "may"},
		},
		{
			"takes one with a port",
			admin.AddRoute{Domain: "g.example", Host: "[2001:db8::1]:465"},
			admin.Route{Domain: "g.example", Host: "2001:db8::1", Port: 465, TLS: "may"},
		},
		{
			"takes one in brackets",
			admin.AddRoute{Domain: "h.example", Host: "[::1]"},
			admin.Route{Domain: "h.example", Host: "::1", Port: 25, TLS: "may"},
		},
		{
			"is for an account",
			admin.AddRoute{Domain: "a.example", Host: "relay.example", From: "Alice@example.org"},
			admin.Route{Domain: "a.example", From: "alice@example.org", Host: "relay.example", Port: 25, TLS: "may"},
		},
		{
			"is for a sender's domain",
			admin.AddRoute{Domain: "a.example", Host: "relay.example", From: "@Example.org"},
			admin.Route{Domain: "a.example", From: "example.org", Host: "relay.example", Port: 25, TLS: "may"},
		},
		{
			"is for an address-literal",
			admin.AddRoute{Domain: "[192.0.2.1]", Host: "relay.example"},
			admin.Route{Domain: "[192.0.2.1]", Host: "relay.example", Port: 25, TLS: "may"},
		},
	} {
		t.Run(test.it, func(t *testing.T) {
			got, err := f.AddRoute(t.Context(), test.ask)
			if test.want.Created = f.now; err != nil || got != test.want {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, test.want)
			}
		})
	}
}

func TestAddRouteRefuses(t *testing.T) {
	f := newFixture(t)
	f.fill()
	for _, test := range []struct {
		it   string
		ask  admin.AddRoute
		kind admin.Kind
		says string
	}{
		{"what is no domain", admin.AddRoute{Domain: "a b", Host: "relay.example"}, admin.Invalid, `"a b" is not a domain name`},
		{"no host", admin.AddRoute{Domain: "a.example"}, admin.Invalid, `"" is not a server. It should look like smtp.example.net`},
		{"what is no host", admin.AddRoute{Domain: "a.example", Host: "my relay"}, admin.Invalid, `"my relay" is not a server`},
		{"an address of nobody", admin.AddRoute{Domain: "a.example", Host: "0.0.0.0"}, admin.Invalid, "not the address of a server"},
		{"port 0", admin.AddRoute{Domain: "a.example", Host: "relay.example:0"}, admin.Invalid, `"0" is not a port. It should be a number from 1 to 65535`},
		{"a port out of range", admin.AddRoute{Domain: "a.example", Host: "relay.example:65536"}, admin.Invalid, `"65536" is not a port`},
		{"a port that is a word", admin.AddRoute{Domain: "a.example", Host: "relay.example:smtp"}, admin.Invalid, `"smtp" is not a port`},
		{"CRLF in a user", admin.AddRoute{Domain: "a.example", Host: "relay.example", User: "u\r\nQUIT", Password: "p"}, admin.Invalid, "one line of text each"},
		{"LF in a password", admin.AddRoute{Domain: "a.example", Host: "relay.example", User: "u", Password: "p\n"}, admin.Invalid, "one line of text each"},
		{"a user alone", admin.AddRoute{Domain: "a.example", Host: "relay.example", User: "u"}, admin.Invalid, "There is no password for the user u"},
		{"a password alone", admin.AddRoute{Domain: "a.example", Host: "relay.example", Password: "p"}, admin.Invalid, "There is a password, but no user name"},
		{"a password for nobody knows whom", admin.AddRoute{Domain: "a.example", Host: "mx", User: "u", Password: "p"}, admin.Invalid, `Name it instead of "mx"`},
		{"another policy", admin.AddRoute{Domain: "a.example", Host: "mx", TLS: "maybe"}, admin.Invalid, `"maybe" is not a TLS policy. It is none, may or must.`},
		{"no TLS where it begins at once", admin.AddRoute{Domain: "a.example", Host: "relay.example:465", TLS: "none"}, admin.Invalid, "On port 465 TLS begins"},
		{"an account that isn't here", admin.AddRoute{Domain: "a.example", Host: "relay.example", From: "dave@example.org"}, admin.NotFound, "There is no account dave@example.org."},
		{"what is no sender", admin.AddRoute{Domain: "a.example", Host: "relay.example", From: "a b"}, admin.Invalid, `"a b" is not a domain name`},
	} {
		t.Run(test.it, func(t *testing.T) {
			_, err := f.AddRoute(t.Context(), test.ask)
			f.fails(err, test.kind, nil, test.says)
		})
	}
	if routes, err := f.Routes(t.Context()); err != nil || len(routes) != 0 || routes == nil {
		t.Errorf("routes are %+v, %v, want an empty list", routes, err)
	}
}

func TestRoutes(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	for _, ask := range []admin.AddRoute{
		{Domain: "a.example", Host: "relay.example:587", User: "u", Password: "hidden"},
		{Domain: "a.example", Host: "other.example", From: "bob@example.org"},
		{Domain: "b.example", Host: "other.example", From: "example.org"},
		{Domain: "b.example", Host: "other.example", From: "bob@example.org"},
		{Domain: "c.example", Host: "other.example", From: "example.org"},
	} {
		_, err := f.AddRoute(ctx, ask)
		f.must(err)
	}
	_, err := f.AddRoute(ctx, admin.AddRoute{Domain: "a.example", Host: "x.example", From: "bob@example.org"})
	f.fails(err, admin.Conflict, store.ErrConflict, "There is a route for a.example from bob@example.org already. Change or remove it.")
	routes, err := f.Routes(ctx)
	f.must(err)
	encoded, err := json.Marshal(routes)
	f.must(err)
	if strings.Contains(string(encoded), "hidden") {
		t.Errorf("the password is in %s", encoded)
	}
	want := `{"domain":"a.example","host":"relay.example","port":587,"tls":"must","auth":true,"user":"u","created":"2026-05-06T07:08:09Z"}`
	if len(routes) != 5 || routes[0].From != "bob@example.org" || !strings.Contains(string(encoded), want) {
		t.Errorf("routes are %s, want %s", encoded, want)
	}
	err = f.RemoveRoute(ctx, admin.RemoveRoute{Domain: "b.example"})
	f.fails(err, admin.NotFound, store.ErrNotFound, "There is no route for b.example. There is one for b.example from bob@example.org, and one for b.example from example.org: say which one is meant.")
	err = f.RemoveRoute(ctx, admin.RemoveRoute{Domain: "*"})
	f.fails(err, admin.NotFound, store.ErrNotFound, "There is no route for all domains (*).")
	f.must(f.RemoveRoute(ctx, admin.RemoveRoute{Domain: "A.example"}))
	f.must(f.RemoveRoute(ctx, admin.RemoveRoute{Domain: "c.example"})) // the only one
	f.must(f.RemoveRoute(ctx, admin.RemoveRoute{Domain: "b.example", From: "example.org"}))
	_, err = f.RemoveAccount(ctx, "bob@example.org")
	f.must(err)
	if routes, err := f.Routes(ctx); err != nil || len(routes) != 0 {
		t.Errorf("routes are %+v, %v, want none", routes, err)
	}
}

// Routes are made because mail waits.
func TestNewRouteHastensWhatWaits(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	f.accept("alice@example.org", 100, nil, "x@a.example", "y@b.example", "z@c.example")
	f.accept("bob@example.org", 200, nil, "x@c.example")
	items, err := f.store.Queue(ctx, store.QueueFilter{})
	f.must(err)
	var later store.Settlement
	for _, i := range items {
		later.Outcomes = append(later.Outcomes, store.Outcome{
			Item: i.ID, Message: i.Message, Recipient: i.Recipient.Address, Result: store.Deferred, Retry: f.now.Add(time.Hour), Reply: "451 later",
		})
	}
	f.must(f.store.Settle(ctx, later))
	for _, step := range []struct {
		it   string
		ask  admin.AddRoute
		want string // who waits still
	}{
		{"tries what is for its domain", admin.AddRoute{Domain: "a.example", Host: "relay.example"}, "y@b.example z@c.example x@c.example"},
		{"tries what is from its account", admin.AddRoute{Domain: "c.example", Host: "relay.example", From: "bob@example.org"}, "y@b.example z@c.example"},
		{"tries everything", admin.AddRoute{Domain: "*", Host: "relay.example"}, ""},
	} {
		_, err := f.AddRoute(ctx, step.ask)
		f.must(err)
		items, err := f.store.Queue(ctx, store.QueueFilter{})
		f.must(err)
		var waiting []string
		for _, i := range items {
			if i.Due.After(f.now) {
				waiting = append(waiting, i.Recipient.Address.String())
			}
		}
		if got := strings.Join(waiting, " "); got != step.want {
			t.Errorf("it %s: %q wait still, want %q", step.it, got, step.want)
		}
	}
}
