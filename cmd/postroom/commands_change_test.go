package main

import (
	"strings"
	"testing"
)

func TestChangeCommands(t *testing.T) {
	p := newPlace(t)
	p.do("", "domain", "add", "example.org")
	p.do("correct horse battery\n", "account", "add", "alice@example.org", "--password-stdin", "--admin")
	p.do("correct horse battery\n", "account", "add", "bob@example.org", "--password-stdin")
	p.do("secret\n", "route", "add", "far.example", "smtp.example.net:587", "--user", "me", "--password-stdin")
	p.do("", "source", "add", "127.0.0.1", "--name", "one.example.org")
	p.do("", "device", "add", "192.0.2.7", "alice@example.org")
	p.do("", "block", "add", "spam.example", "--note", "spams")
	for _, test := range []struct {
		args string
		want string
	}{
		{"account change alice@example.org --name Alice --quota 2GB", "alice@example.org is now: name Alice, quota 2.0 GB, enabled, admin."},
		{"account change alice@example.org --quota 0", "quota none"},
		{"account change bob@example.org --admin --json", `"admin": true`},
		{"account change alice@example.org --no-admin", "name Alice, quota none, enabled."},
		{"route change far.example smtp2.example.net --tls may", "goes to smtp2.example.net:25, over TLS if it can be had, logged in as me."},
		{"source change 127.0.0.1 --name two.example.org", "Mail from everybody leaves from 127.0.0.1 as two.example.org."},
		{"device change 192.0.2.7 bob@example.org", "192.0.2.7 sends as bob@example.org from now on."},
		{"block change spam.example --note sleeps --expires 30d", "spam.example is blocked until"},
		{"block change spam.example --expires 0", "spam.example is blocked until it is removed; note: sleeps."},
	} {
		if got := p.do("", strings.Fields(test.args)...); !strings.Contains(got, test.want) {
			t.Errorf("%s says %q, want %q", test.args, got, test.want)
		}
	}
	for _, test := range []struct {
		args   string
		status int
		want   string
	}{
		{"account change bob@example.org --no-admin", statusFailed, "Make somebody else one first."},
		{"account change bob@example.org", statusUsage, "say what is to be different"},
		{"route change far.example", statusUsage, "say what is to be different"},
		{"route change near.example mx", statusFailed, "There is no route for near.example."},
		{"allow change spam.example --note x", statusFailed, "in the block list"},
		{"block change spam.example", statusUsage, "say what is to be different"},
		{"device change 192.0.2.8 bob@example.org", statusFailed, "192.0.2.8 is not a device."},
	} {
		if got := p.fails(test.status, "", strings.Fields(test.args)...); !strings.Contains(got, test.want) {
			t.Errorf("%s says %q, want %q", test.args, got, test.want)
		}
	}
	if got := p.do("other\n", "route", "change", "far.example", "--password-stdin"); !strings.Contains(got, "logged in as me") {
		t.Errorf("a new password: %q", got)
	}
}
