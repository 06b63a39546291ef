package web

import (
	"slices"
	"testing"
	"time"

	"postroom/store"
	"postroom/web/phrase"
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
	forwarded := store.Event{Time: ago(time.Hour), Kind: store.Queued, Recipient: dana, Via: "info@example.org"}
	report := store.MessageID(7)
	bounced := func(recipient, reason string, report *store.MessageID) store.Event {
		return store.Event{Time: ago(time.Minute), Kind: store.Bounced, Recipient: recipient, Reason: reason, Report: report}
	}
	const unwanted = "nobody is told: its sender didn't want a report"
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
		{"is bounced", []store.Event{queued, attempt, bounced(dana, "", &report)}, "It could not be delivered to dana@partner.example and was given up 1 min ago; its sender was told."},
		{"is bounced to nobody", []store.Event{queued, attempt, bounced(dana, unwanted, nil)}, "It could not be delivered to dana@partner.example and was given up 1 min ago; nobody is told: its sender didn't want a report."},
		{"is bounced to somebody else", []store.Event{forwarded, bounced(dana, "postmaster@example.org is told: nothing proves that it was x@y.example who sent this", &report)}, "It could not be delivered to dana@partner.example (sent on from info@example.org) and was given up 1 min ago; postmaster@example.org is told: nothing proves that it was x@y.example who sent this."},
		{"is bounced, and no more is known", []store.Event{queued, bounced(dana, "", nil)}, "It could not be delivered to dana@partner.example and was given up 1 min ago."},
		{"is bounced for all", []store.Event{bounced(dana, "", &report), bounced(alice, "", &report)}, "It could not be delivered to any of its 2 recipients; its sender was told."},
		{"is bounced to nobody for all", []store.Event{bounced(dana, unwanted, nil), bounced(alice, unwanted, nil)}, "It could not be delivered to any of its 2 recipients; nobody is told: its sender didn't want a report."},
		{"is bounced for all, not all told", []store.Event{bounced(dana, unwanted, nil), bounced(alice, "", &report)}, "It could not be delivered to any of its 2 recipients."},
		{"is sent on by an alias", []store.Event{forwarded, attempt, sent}, "mx.partner.example took it for dana@partner.example (sent on from info@example.org) 3 min ago."},
		{"stays where it is when that is reported", []store.Event{accepted, delivered, {Kind: store.Reported, Recipient: "info@example.org", Outcome: "delivered", Report: &report}}, "It is in the maildrop of alice@example.org and has not been collected yet."},
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

func TestSteps(t *testing.T) {
	report := store.MessageID(7)
	tests := []struct {
		it    string
		event store.Event
		title string
		facts []fact
		link  string
	}{
		{"names the address it is sent on from", store.Event{Kind: store.Queued, Recipient: "b@y.example", Via: "a@x.example"}, "Queued for sending", []fact{{Name: "Sent on", Value: "a@x.example → b@y.example"}}, ""},
		{"says that the sender was told", store.Event{Kind: store.Bounced, Report: &report}, "Failed: it went back to its sender", nil, "The report to the sender"},
		{
			"says that somebody else was told",
			store.Event{Kind: store.Bounced, Report: &report, Reason: "postmaster@x.example is told: …"},
			"Failed for good",
			[]fact{{Name: "Who hears of it", Value: "postmaster@x.example is told: …"}},
			"The report",
		},
		{
			"says that nobody was told",
			store.Event{Kind: store.Bounced, Reason: "nobody is told: …"},
			"Failed for good",
			[]fact{{Name: "Who hears of it", Value: "nobody is told: …"}},
			"",
		},
		{"says that it is late", store.Event{Kind: store.Delayed, Report: &report}, "The sender was told that it is late", nil, "The report to the sender"},
		{"tells of a delivery", store.Event{Kind: store.Reported, Outcome: "delivered", Report: &report}, "The sender was told that it was delivered", nil, "The report to the sender"},
		{"tells of handing on", store.Event{Kind: store.Reported, Outcome: "relayed", Report: &report}, "The sender was told that it was handed on to a server that reports no more", nil, "The report to the sender"},
		{"tells of an expansion", store.Event{Kind: store.Reported, Outcome: "expanded", Report: &report}, "The sender was told that it was sent on to several others", nil, "The report to the sender"},
		{
			"tells nobody of a delivery",
			store.Event{Kind: store.Reported, Outcome: "delivered", Reason: "nobody is told: …"},
			"It arrived",
			[]fact{{Name: "Who hears of it", Value: "nobody is told: …"}},
			"",
		},
		{
			"shows how we came",
			store.Event{Kind: store.Attempt, Outcome: "sent", Source: "192.0.2.1 (out.example.org)", Reason: "STARTTLS refused: 454 no"},
			"Attempt: taken",
			[]fact{{Name: "From our address", Value: "192.0.2.1 (out.example.org)", Code: true}, {Name: "Note", Value: "STARTTLS refused: 454 no"}},
			"",
		},
		{"keeps what it doesn't know", store.Event{Kind: "new"}, "new", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.it, func(t *testing.T) {
			got := stepOf(tt.event, time.Now())
			if got.Title != tt.title || got.LinkTo != tt.link || !slices.Equal(got.Facts, tt.facts) {
				t.Errorf("got  %q, %q, %+v\nwant %q, %q, %+v", got.Title, got.LinkTo, got.Facts, tt.title, tt.link, tt.facts)
			}
		})
	}
}

func TestCertificateInWords(t *testing.T) {
	for _, tt := range []struct{ judged, outcome, want string }{
		{"", "sent", ""},
		{"trusted", "sent", "valid for this host"},
		{"trusted (MTA-STS policy of example.net)", "sent", "valid for this host; decided by MTA-STS policy of example.net"},
		{"matches TLSA 3 1 1 (DANE)", "sent", "the one that its domain names in signed DNS (TLSA 3 1 1); decided by DANE"},
		{"not trusted: self-signed certificate", "sent", "doesn’t prove who it was: self-signed certificate. Nothing demands a better one, so it was good enough for encryption"},
		{"not trusted: self-signed certificate", "deferred", "doesn’t prove who it was: self-signed certificate"},
		{"not trusted: it is for a, not for b (the administrator's TLS policy)", "deferred", "doesn’t prove who it was: it is for a, not for b; decided by the administrator's TLS policy"},
		{"something new", "sent", "something new"},
	} {
		if got := certificate(store.Event{Certificate: tt.judged, Outcome: tt.outcome}); got != tt.want {
			t.Errorf("%q is said as %q, want %q", tt.judged, got, tt.want)
		}
	}
}

func TestFormats(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		0: "just now", -4 * time.Second: "just now", -30 * time.Second: "30 s ago", -90 * time.Second: "1 min ago",
		-25 * time.Hour: "1 day ago", -72 * time.Hour: "3 days ago", 90 * time.Minute: "in 1 h", 5 * time.Second: "in 5 s",
	} {
		if got := phrase.Relative(now.Add(d), now); got != want {
			t.Errorf("%v from now is %q, want %q", d, got, want)
		}
	}
	if got := phrase.Relative(time.Time{}, now); got != "never" {
		t.Errorf("no time is %q", got)
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1 KB", 1449: "1.4 KB", 99_900: "99.9 KB", 999_600: "1 MB", 2e9: "2 GB", 123_456_789: "123 MB"} {
		if got := phrase.Octets(n); got != want {
			t.Errorf("%d octets are %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{7: "7", 1234: "1\u202f234", -1234567: "-1\u202f234\u202f567"} {
		if got := phrase.Number(n); got != want {
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
