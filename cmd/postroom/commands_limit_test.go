package main

import (
	"strings"
	"testing"
)

// Limits and devices are the same through the control socket of a running server
// and without one.
func TestLimitCommands(t *testing.T) {
	t.Run("while no server runs", func(t *testing.T) { testLimitCommands(t, newPlace(t)) })
	t.Run("while a server runs", func(t *testing.T) {
		p := newPlace(t)
		p.listen()
		testLimitCommands(t, p)
	})
}

func testLimitCommands(t *testing.T, p *place) {
	for _, step := range []struct {
		args string
		want string // what it prints holds this
	}{
		{"domain add example.org", "Added"},
		{"account add alice@example.org --generate", "alice@example.org"},
		{"limit show", "server  messages an hour    any number  configuration  0     any number"},
		{"limit show --json", `"name": "server"`},
		{"limit show alice@example.org", "alice@example.org  messages an hour    100         configuration  0     100"},
		{"limit show alice@example.org", "                   messages a day      any number  configuration  0     any number"},
		{"limit show alice@example.org --json", `"left": 1000`},
		{"limit set alice@example.org --messages-per-hour 7 --recipients-per-day none", "alice@example.org  messages an hour    7           own"},
		{"limit show alice@example.org", "                   recipients a day    any number  own "},
		{"limit set example.org --recipients-per-hour 30", "example.org  messages an hour"},
		{"limit set server --messages-per-day 5000", "server  messages an hour"},
		{"limit show alice@example.org", "example.org        recipients an hour  30          own            0     30"},
		{"limit show", "                   messages a day      5000        own            0     5000"},
		{"limit show", "alice@example.org  messages an hour    7           own            0     7"},
		{"limit set alice@example.org --messages-per-hour default --recipients-per-day default", "messages an hour    100         configuration"},
		{"device list", "No devices: everybody logs in."},
		{"device list --json", "[]\n"},
		{"device add 192.0.2.7 alice@example.org", "192.0.2.7 sends as alice@example.org, without logging in.\n"},
		{"device add 2001:db8::/64 alice@example.org", "2001:db8::/64 sends as"},
		{"account disable alice@example.org", ""},
		{"device add 192.0.2.0/28 alice@example.org", "That account is disabled: nothing is taken until postroom account enable alice@example.org."},
		{"device list", "192.0.2.7      alice@example.org  disabled    20"},
		{"device list --json", `"network": "192.0.2.7"`},
		{"device remove 192.0.2.7", "192.0.2.7 has to log in to send.\n"},
	} {
		if got := p.do("", strings.Fields(step.args)...); !strings.Contains(got, step.want) {
			t.Errorf("%s: got\n%s\nwant %q in it", step.args, got, step.want)
		}
	}
	if got := p.do("", "limit", "show"); strings.Contains(got, "alice") {
		t.Errorf("who has no limits of its own any more is listed:\n%s", got)
	}
	for _, step := range []struct {
		status     int
		args, want string
	}{
		{statusUsage, "limit set alice@example.org", "say which limit"},
		{statusFailed, "limit set alice@example.org --messages-per-hour many", `"many" is not a limit`},
		{statusFailed, "limit show eve@example.org", "There is no account eve@example.org."},
		{statusUsage, "limit set", "name"},
		{statusFailed, "device add 0.0.0.0/0 alice@example.org", "which makes an open relay"},
		{statusFailed, "device add 192.0.2.1/28 alice@example.org", "Did you mean the network 192.0.2.0/28"},
		{statusFailed, "device add 192.0.2.0/28 alice@example.org", "sends as alice@example.org already"},
		{statusFailed, "device remove 192.0.2.7", "is not a device"},
	} {
		if got := p.fails(step.status, "", strings.Fields(step.args)...); !strings.Contains(got, step.want) {
			t.Errorf("%s: got %q, want %q in it", step.args, got, step.want)
		}
	}
}
