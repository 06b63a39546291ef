package admin

import (
	"strings"
	"testing"
	"time"

	"postroom/store"
)

// parsedAt is a Friday.
var parsedAt = time.Date(2026, 11, 20, 9, 30, 0, 0, time.FixedZone("here", 3600))

func TestSearchIsUnderstood(t *testing.T) {
	for _, test := range []struct {
		it     string
		search TraceSearch
		want   string // the sentence
	}{
		{"takes everything", TraceSearch{}, "Messages"},
		{"takes an address", TraceSearch{Text: " Alice@example.org "}, "Messages to or from Alice@example.org"},
		{"takes a Message-ID in brackets", TraceSearch{Text: "<m@example.org>"}, "Messages with the Message-ID m@example.org"},
		{"takes an ID", TraceSearch{Text: "38fr9aaw00000"}, "Messages with the ID, the Message-ID or the address 38fr9aaw00000"},
		{"takes an IP", TraceSearch{Text: "192.0.2.7"}, "Messages from or to the address 192.0.2.7"},
		{"takes an IP in brackets", TraceSearch{Text: "[IPv6:2001:DB8::7]"}, "Messages from or to the address 2001:db8::7"},
		{"takes a network", TraceSearch{Text: "192.0.2.7/24"}, "Messages from or to the network 192.0.2.0/24"},
		{"takes a host", TraceSearch{Text: "mx1.partner.example"}, "Messages from or to the host mx1.partner.example"},
		{"takes an outcome", TraceSearch{Text: "Bounced"}, "Messages bounced"},
		{"takes all together", TraceSearch{Text: "refused since monday alice@example.org until 2026-11-19 18:00 from.example"}, "Messages to or from alice@example.org, from or to the host from.example, refused, since Mon, 16 Nov 2026, until Thu, 19 Nov 2026 18:00"},
		{"takes what it doesn't know as it stands", TraceSearch{Text: `"odd one"@example.org`}, `Messages to or from "odd one"@example.org`},
		{"takes two addresses as they stand", TraceSearch{Text: "a@example.org b@example.org"}, "Messages with the ID, the Message-ID or the address a@example.org b@example.org"},
		{"takes a word as it stands", TraceSearch{Text: "localhost"}, "Messages with the ID, the Message-ID or the address localhost"},
		{"takes since without a time as it stands", TraceSearch{Text: "since"}, "Messages with the ID, the Message-ID or the address since"},
		{"takes filters of their own", TraceSearch{Host: "mx.example", IP: "192.0.2.1", Outcome: "waiting", Since: "2h", Until: "today"}, "Messages from or to the host mx.example, from or to the address 192.0.2.1, waiting in the queue now, since Fri, 20 Nov 2026 07:30, until Fri, 20 Nov 2026"},
		{"takes another word for an outcome", TraceSearch{Outcome: "rejected"}, "Messages refused"},
		{"takes a host without dots if it is said to be one", TraceSearch{Host: "localhost"}, "Messages from or to the host localhost"},
	} {
		t.Run(test.it, func(t *testing.T) {
			m, err := parseSearch(test.search, parsedAt)
			if err != nil {
				t.Fatal(err)
			}
			if got := m.sentence(nil); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestSearchIsNotUnderstood(t *testing.T) {
	for _, test := range []struct {
		it     string
		search TraceSearch
		want   string
	}{
		{"says what an IP looks like", TraceSearch{IP: "192.0.2"}, "neither an IP address nor a network"},
		{"says what a host looks like", TraceSearch{Host: "a@b"}, "not the name of a host"},
		{"names the outcomes", TraceSearch{Outcome: "lost"}, "one of delivered, sent, waiting"},
		{"says what a time looks like", TraceSearch{Since: "soon"}, "a day like 2026-11-20"},
		{"says what is there twice", TraceSearch{Text: "refused", Outcome: "sent"}, "Say the outcome once"},
		{"says what time is there twice", TraceSearch{Text: "a@b.example since today", Since: "yesterday"}, "Say since when once"},
		{"says that the end comes first", TraceSearch{Since: "today", Until: "yesterday"}, "the end comes before the start"},
		{"knows positions", TraceSearch{Older: "nonsense"}, "not a position"},
		{"goes one way", TraceSearch{Older: "38fr9aaw00000", Newer: "38fr9aaw00000"}, "not for both at once"},
		{"has a bound", TraceSearch{Limit: 5000}, "1 to 1000"},
	} {
		t.Run(test.it, func(t *testing.T) {
			_, err := parseSearch(test.search, parsedAt)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestTimesAreRead(t *testing.T) {
	for text, want := range map[string]string{
		"today": "2026-11-20 00:00 day", "yesterday": "2026-11-19 00:00 day", "friday": "2026-11-20 00:00 day", "Saturday": "2026-11-14 00:00 day",
		"2026-02-28": "2026-02-28 00:00 day", "2026-02-28 07:05": "2026-02-28 07:05", "2026-02-28T07:05": "2026-02-28 07:05",
		"2026-02-28T07:05:09Z": "2026-02-28 08:05", "90m": "2026-11-20 08:00", "2h": "2026-11-20 07:30", "7d": "2026-11-13 09:30", "1w": "2026-11-13 09:30",
		"2026-02-30": "", "h": "", "-2h": "", "99999d": "", "": "", "x": "",
	} {
		at, day, err := parseWhen(text, parsedAt)
		got := ""
		if err == nil {
			got = at.Format("2006-01-02 15:04")
		}
		if day {
			got += " day"
		}
		if got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// FuzzSearch: whatever stands in the search field is understood somehow, nothing of
// it is lost, and what it is understood as can be looked for.
func FuzzSearch(f *testing.F) {
	for _, text := range []string{
		"alice@example.org refused since monday until 2026-11-20 09:30", "192.0.2.0/24 sent", "<a b@c>", "since since", "mx.example.org 38fr9aaw00000",
		"\x00.x", "[::ffff:192.0.2.1]", "until 2h", "fe80::1%eth0", "a.b c.d", "queued held",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parseSearch(TraceSearch{Text: text}, parsedAt)
		if err != nil {
			if !strings.Contains(err.Error(), "the end comes before the start") {
				t.Fatalf("%q fails: %v", text, err)
			}
			return
		}
		if (m.query == store.TrailQuery{}) != (strings.TrimSpace(text) == "") {
			t.Errorf("%q is looked for as %+v", text, m.query)
		}
		if m.query.IP.IsValid() && (m.query.IP != m.query.IP.Masked() || m.query.IP.Addr().Is4In6() || m.query.IP.Addr().Zone() != "") {
			t.Errorf("%q gives the network %v", text, m.query.IP)
		}
		if m.sentence(nil) == "" {
			t.Errorf("%q has no sentence", text)
		}
		if literal := m.literally(); m.guessed && (literal.query.Text != strings.TrimSpace(text) || literal.query.Host != "") {
			t.Errorf("%q is literally %+v", text, literal.query)
		}
	})
}
