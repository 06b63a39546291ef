package web

import (
	"testing"
	"time"

	"postroom/store"
)

func TestWhereabouts(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	next := now.Add(5 * time.Minute)
	const alice, dana = "alice@example.org", "dana@partner.example"
	accepted := store.Event{Time: ago(time.Hour), Kind: store.Accepted}
	delivered := store.Event{Time: ago(time.Hour), Kind: store.Delivered, Recipient: "info@example.org", Account: alice}
	collected := store.Event{Time: ago(10 * time.Minute), Kind: store.Collected, Account: alice}
	deleted := store.Event{Time: ago(9 * time.Minute), Kind: store.Deleted, Account: alice}
	queued := store.Event{Time: ago(time.Hour), Kind: store.Queued, Recipient: dana}
	attempt := store.Event{Time: ago(time.Hour), Kind: store.Attempt, Recipient: dana, Host: "mx.partner.example"}
	deferred := store.Event{Time: ago(time.Hour), Kind: store.Postponed, Recipient: dana, Next: &next}
	sent := store.Event{Time: ago(3 * time.Minute), Kind: store.Relayed, Recipient: dana}
	tests := []struct {
		name   string
		events []store.Event
		want   string
	}{
		{"is unknown without a recipient", []store.Event{accepted}, "It was accepted; nothing more is known of it."},
		{"is in the maildrop", []store.Event{accepted, delivered}, "It is in the maildrop of alice@example.org and has not been collected yet."},
		{"is collected", []store.Event{accepted, delivered, collected}, "alice@example.org collected it 10 min ago; it is still in the maildrop."},
		{"is collected and deleted", []store.Event{delivered, collected, deleted}, "alice@example.org collected it, and deleted it from the maildrop 9 min ago."},
		{"is deleted unread", []store.Event{delivered, deleted}, "It was deleted from the maildrop of alice@example.org 9 min ago without having been collected."},
		{"waits for the first attempt", []store.Event{accepted, queued}, "It waits in the queue for dana@partner.example; it is due now."},
		{"waits for the next attempt", []store.Event{queued, attempt, deferred}, "It waits in the queue: dana@partner.example could not be reached so far; the next attempt is in 5 min."},
		{"is due when asked for", []store.Event{queued, attempt, deferred, {Kind: store.Hastened, Recipient: dana}}, "It waits in the queue: dana@partner.example could not be reached so far; it is due now."},
		{"is held", []store.Event{queued, {Kind: store.Held}}, "It is held in the queue and is not sent to dana@partner.example until it is released."},
		{"stays held when an attempt is asked for", []store.Event{queued, {Kind: store.Held, Recipient: dana}, {Kind: store.Hastened, Recipient: dana}}, "It is held in the queue and is not sent to dana@partner.example until it is released."},
		{"waits again when released", []store.Event{queued, {Kind: store.Held}, {Kind: store.Released}}, "It waits in the queue for dana@partner.example; it is due now."},
		{"is sent", []store.Event{queued, attempt, sent}, "mx.partner.example took it for dana@partner.example 3 min ago."},
		{"is bounced", []store.Event{queued, attempt, {Time: ago(time.Minute), Kind: store.Bounced, Recipient: dana}}, "It could not be delivered to dana@partner.example; its sender was told 1 min ago."},
		{"is cancelled", []store.Event{queued, {Time: ago(time.Minute), Kind: store.Cancelled}}, "It was taken out of the queue 1 min ago and is not sent to dana@partner.example."},
		{"is refused", []store.Event{{Time: ago(time.Minute), Kind: store.Rejected}}, "It was refused 1 min ago and never became ours."},
		{"differs by recipient", []store.Event{accepted, delivered, queued, attempt, deferred}, "2 recipients: 1 deferred, 1 in maildrop."},
		{"is the same for all", []store.Event{accepted, delivered, {Kind: store.Delivered, Account: "bob@example.org"}}, "It is in the maildrops of all 2 recipients and has not been collected yet."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := whereabouts(fatesOf(tt.events), now); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestFormats(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		0: "just now", -4 * time.Second: "just now", -30 * time.Second: "30 s ago", -90 * time.Second: "1 min ago",
		-25 * time.Hour: "1 day ago", -72 * time.Hour: "3 days ago", 90 * time.Minute: "in 1 h", 5 * time.Second: "in 5 s",
	} {
		if got := relative(now.Add(d), now); got != want {
			t.Errorf("%v from now is %q, want %q", d, got, want)
		}
	}
	if got := relative(time.Time{}, now); got != "never" {
		t.Errorf("no time is %q", got)
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1 KB", 1449: "1.4 KB", 99_900: "99.9 KB", 999_600: "1 MB", 2e9: "2 GB", 123_456_789: "123 MB"} {
		if got := octets(n); got != want {
			t.Errorf("%d octets are %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{7: "7", 1234: "1\u202f234", -1234567: "-1\u202f234\u202f567"} {
		if got := number(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

func TestQuotaIsRead(t *testing.T) {
	for text, want := range map[string]int64{"": 0, "0": 0, "2GB": 2e9, "1.5 gb": 15e8, "500MB": 5e8, "10k": 1e4, "123": 123, " 7 B ": 7} {
		if got, err := parseOctets(text); err != nil || got != want {
			t.Errorf("%q is read as %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"much", "-1", "-1GB", "2XB", "GB", "1e30", "NaN", "Inf", "2GBB", "1 2 x"} {
		if got, err := parseOctets(text); err == nil {
			t.Errorf("%q is read as %d", text, got)
		}
	}
}
