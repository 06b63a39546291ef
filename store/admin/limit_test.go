package admin_test

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

func TestLimits(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	f.store.SetAllowances(store.Allowances{Account: store.Allowance{MessagesPerHour: 100, RecipientsPerDay: 1000}})
	for range 3 {
		f.accept("alice@example.org", 10, nil, "a@far.test", "b@far.test")
	}
	_, err := f.SetLimit(ctx, admin.SetLimit{Name: "Alice@example.org", MessagesPerHour: "5", RecipientsPerDay: "none"})
	f.must(err)
	_, err = f.SetLimit(ctx, admin.SetLimit{Name: "example.org", RecipientsPerHour: "6"})
	f.must(err)
	got, err := f.Limits(ctx, "alice@example.org")
	f.must(err)
	text, err := json.Marshal(got)
	f.must(err)
	const none = `{"limit":null,"source":"configuration","used":3,"left":null}`
	want := `{"name":"alice@example.org","scope":"account",` +
		`"messages_per_hour":{"limit":5,"source":"own","used":3,"left":2,"frees":"2026-05-06T08:09:00Z"},"messages_per_day":` + none + `,` +
		`"recipients_per_hour":{"limit":null,"source":"configuration","used":6,"left":null},` +
		`"recipients_per_day":{"limit":null,"source":"own","used":6,"left":null},"within":[` +
		`{"name":"example.org","scope":"domain","messages_per_hour":` + none + `,"messages_per_day":` + none + `,` +
		`"recipients_per_hour":{"limit":6,"source":"own","used":6,"left":0,"frees":"2026-05-06T08:09:00Z"},` +
		`"recipients_per_day":{"limit":null,"source":"configuration","used":6,"left":null}},` +
		`{"name":"server","scope":"server","messages_per_hour":` + none + `,"messages_per_day":` + none + `,` +
		`"recipients_per_hour":{"limit":null,"source":"configuration","used":6,"left":null},` +
		`"recipients_per_day":{"limit":null,"source":"configuration","used":6,"left":null}}]}`
	if string(text) != want {
		t.Errorf("limits are\n%s\nwant\n%s", text, want)
	}
	names := func() string {
		t.Helper()
		all, err := f.AllLimits(ctx)
		f.must(err)
		var list []string
		for _, l := range all {
			list = append(list, l.Name)
		}
		return strings.Join(list, " ")
	}
	if got := names(); got != "server example.org alice@example.org" {
		t.Errorf("listed are %s", got)
	}
	back, err := f.SetLimit(ctx, admin.SetLimit{Name: "alice@example.org", MessagesPerHour: "default", RecipientsPerDay: "default"})
	f.must(err)
	if l := back.MessagesPerHour; *l.Limit != 100 || l.Source != "configuration" || *l.Left != 97 || *back.RecipientsPerDay.Limit != 1000 {
		t.Errorf("after default: %+v", back)
	}
	if got := names(); got != "server example.org" {
		t.Errorf("listed are %s", got)
	}
}

func TestSetLimitRefuses(t *testing.T) {
	f := newFixture(t)
	f.fill()
	_, err := f.AddDomain(t.Context(), admin.AddDomain{Name: "backup.example", Backup: true})
	f.must(err)
	for _, row := range []struct {
		request admin.SetLimit
		kind    admin.Kind
		says    string
	}{
		{admin.SetLimit{Name: "bob@example.org"}, admin.Invalid, "Say which limit"},
		{admin.SetLimit{Name: "bob@example.org", MessagesPerDay: "0"}, admin.Invalid, "Say none for any number"},
		{admin.SetLimit{Name: "bob@example.org", MessagesPerDay: "-1"}, admin.Invalid, `"-1" is not a limit`},
		{admin.SetLimit{Name: "bob@example.org", MessagesPerDay: "many"}, admin.Invalid, `"many" is not a limit`},
		{admin.SetLimit{Name: "bob@example.org", MessagesPerDay: "10000000000"}, admin.Invalid, "from 1 to 1000000000"},
		{admin.SetLimit{Name: "eve@example.org", MessagesPerDay: "1"}, admin.NotFound, "There is no account eve@example.org"},
		{admin.SetLimit{Name: "example.net", MessagesPerDay: "1"}, admin.NotFound, "There is no domain example.net"},
		{admin.SetLimit{Name: "backup.example", MessagesPerDay: "1"}, admin.Invalid, "is a backup domain"},
		{admin.SetLimit{MessagesPerDay: "1"}, admin.Invalid, "Say whose limits"},
	} {
		_, err := f.SetLimit(t.Context(), row.request)
		f.fails(err, row.kind, nil, row.says)
	}
}

func TestDevices(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	for network, shown := range map[string]string{
		"192.0.2.7": "192.0.2.7", " 192.0.2.8/32 ": "192.0.2.8", "192.0.2.0/28": "192.0.2.0/28", "2001:db8::/32": "2001:db8::/32",
		"::ffff:198.51.100.0/120": "198.51.100.0/24", "10.0.0.0/8": "10.0.0.0/8", "::1": "::1",
	} {
		d, err := f.AddDevice(ctx, admin.AddDevice{Network: network, Account: "bob@example.org"})
		f.must(err)
		if d.Network != shown || d.Account != "bob@example.org" || d.Status != "enabled" {
			t.Errorf("%q is shown as %+v", network, d)
		}
	}
	for network, says := range map[string]string{
		"0.0.0.0/0": "which makes an open relay", "10.0.0.0/7": "at most /8", "2001::/16": "at most /32", "::/0": "open relay",
		"::ffff:0:0/0": "holds all of IPv4", "192.0.2.7/28": "Did you mean the network 192.0.2.0/28, or the address 192.0.2.7 alone?",
		"localhost": "is not an IP address or network", "fe80::1%eth0": "is not an IP address", "": "is not an IP address",
		"0.0.0.0": "is not an address that a device can have", "224.0.0.1": "is not an address that a device can have",
	} {
		_, err := f.AddDevice(ctx, admin.AddDevice{Network: network, Account: "bob@example.org"})
		f.fails(err, admin.Invalid, nil, says)
	}
	_, err := f.AddDevice(ctx, admin.AddDevice{Network: "192.0.2.7", Account: "alice@example.org"})
	f.fails(err, admin.Conflict, store.ErrConflict, "192.0.2.7 sends as bob@example.org already.")
	_, err = f.AddDevice(ctx, admin.AddDevice{Network: "192.0.2.9", Account: "eve@example.org"})
	f.fails(err, admin.NotFound, store.ErrNotFound, "There is no account eve@example.org.")
	f.must(f.DisableAccount(ctx, "bob@example.org", false))
	list, err := f.Devices(ctx)
	f.must(err)
	if len(list) != 7 || list[0].Network != "10.0.0.0/8" || list[0].Status != "disabled" || !list[0].Created.Equal(f.now) {
		t.Errorf("devices are %+v", list)
	}
	f.must(f.RemoveDevice(ctx, "192.0.2.7"))
	f.fails(f.RemoveDevice(ctx, "192.0.2.7/32"), admin.NotFound, store.ErrNotFound, "192.0.2.7 is not a device.")
}

// The user and the admins are told once, and hear what to do.
func TestLimitNotices(t *testing.T) {
	f := newFixture(t)
	f.fill() // alice is an admin
	ctx := t.Context()
	f.store.SetAllowances(store.Allowances{Account: store.Allowance{MessagesPerHour: 10}})
	for range 9 {
		f.accept("bob@example.org", 10, nil, "a@far.test")
	}
	for range 3 {
		f.must(f.SendNotices(ctx))
	}
	f.now = f.now.Add(3 * time.Hour)
	for range 9 {
		f.accept("bob@example.org", 10, nil, "a@far.test")
	}
	f.must(f.SendNotices(ctx))
	user, admins := f.only("bob@example.org"), f.only("alice@example.org")
	for _, want := range []string{
		"From: Mail server <postmaster@example.org>\r\nTo: <bob@example.org>\r\nSubject: You have sent 9 of 10 messages an hour\r\n",
		"Auto-Submitted: auto-generated\r\n",
		"Your account bob@example.org\r\nhas sent 9 messages to other servers in the last hour.\r\n" +
			"The limit is 10, so 1 more can be sent at the moment.\r\n",
		"From 08:09 UTC on more is left than now.\r\n", "Only the people behind postmaster@example.org can change the limit.\r\n",
	} {
		if !strings.Contains(user, want) {
			t.Errorf("the user's mail lacks %q:\n%s", want, user)
		}
	}
	for _, want := range []string{
		"To: <alice@example.org>\r\nSubject: bob@example.org has sent 9 of 10 messages an hour\r\n", "The account bob@example.org\r\nhas sent 9 messages",
		"The account has been told too.\r\n", "postroom limit set bob@example.org --messages-per-hour 20\r\n", "postroom account disable bob@example.org\r\n",
	} {
		if !strings.Contains(admins, want) {
			t.Errorf("the admin's mail lacks %q:\n%s", want, admins)
		}
	}
	for _, text := range []string{user, admins} {
		if strings.Count(text, "\n") != strings.Count(text, "\r\n") || !strings.HasSuffix(text, "\r\n") {
			t.Errorf("lines don't end with CRLF:\n%s", text)
		}
	}
}

// only returns the one message in an account's maildrop.
func (f *fixture) only(address string) string {
	f.t.Helper()
	account, err := f.store.AccountByAddress(f.t.Context(), f.address(address))
	f.must(err)
	entries, err := f.store.Entries(f.t.Context(), account.ID)
	f.must(err)
	if len(entries) != 1 {
		f.t.Fatalf("%s has %d messages, want 1", address, len(entries))
	}
	body, err := f.store.OpenEntry(f.t.Context(), account.ID, entries[0].Message)
	f.must(err)
	defer body.Close()
	text, err := io.ReadAll(body)
	f.must(err)
	return string(text)
}
