package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

func TestPrintTrail(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	next := at.Add(5 * time.Minute)
	var out bytes.Buffer
	printTrail(&out, store.Trail{
		ID: 1, HeaderID: "abc@example.org", From: "alice@example.org", To: []string{"joe@elsewhere.example"},
		Events: []store.Event{
			{Time: at, Kind: store.Accepted, Client: "192.0.2.7", Helo: "laptop", Protocol: "ESMTPSA", Account: "alice@example.org", Size: 4096},
			{Time: at, Kind: store.Queued, Recipient: "joe@elsewhere.example"},
			{
				Time: at.Add(time.Second), Kind: store.Attempt, Recipient: "joe@elsewhere.example", Host: "mx.elsewhere.example", IP: "192.0.2.99",
				TLS: "TLS 1.3 TLS_AES_128_GCM_SHA256", Reply: "450 4.2.1 try \x1b[31mlater", Outcome: "deferred",
			},
			{Time: at.Add(time.Second), Kind: store.Postponed, Recipient: "joe@elsewhere.example", Next: &next},
		},
	})
	want := `0000000000002  from alice@example.org  to joe@elsewhere.example
<abc@example.org>
  2026-03-01 12:00:00.000  accepted  -                      as alice@example.org by ESMTPSA from 192.0.2.7 (laptop) 4.1 KB
  2026-03-01 12:00:00.000  queued    joe@elsewhere.example
  2026-03-01 12:00:01.000  attempt   joe@elsewhere.example  deferred at mx.elsewhere.example [192.0.2.99] TLS: 1.3 TLS_AES_128_GCM_SHA256 “450 4.2.1 try ?[31mlater”
  2026-03-01 12:00:01.000  deferred  joe@elsewhere.example  next 2026-03-01 12:05:00
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestWordsOfADestination(t *testing.T) {
	const lost = "mx.a.example (192.0.2.9), at greeting: timed out"
	for _, test := range []struct{ it, host, reply, want string }{
		{"names who said it", "mx.a.example", "450 4.2.1 later", "mx.a.example: 450 4.2.1 later"},
		{"names a host once", "mx.a.example", lost, lost},
		{"has none of whom nobody knows", "", "lookup a.example: timed out", "lookup a.example: timed out"},
		{"says that nothing is known", "", "", "no reason known"},
	} {
		if got := wordsOf(admin.Destination{Host: test.host, LastReply: test.reply}); got != test.want {
			t.Errorf("it %s: %q, want %q", test.it, got, test.want)
		}
	}
}

func TestTableIsSafeFromItsText(t *testing.T) {
	var out bytes.Buffer
	table := newTable(&out, "A", "B")
	table.row("one\ttab\nline", "\xff\x1b]0;x\x07")
	table.row("ü", "")
	table.flush()
	if got, want := out.String(), "A             B\none?tab?line  �?]0;x?\nü\n"; got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	if strings.ContainsAny(out.String(), "\x1b\x07\t") {
		t.Error("control characters")
	}
}

func TestTimesInWords(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		after time.Duration
		want  string
	}{
		{-time.Hour, "now"},
		{0, "now"},
		{30 * time.Second, "in 30 s"},
		{90 * time.Second, "in 1 min"},
		{3 * time.Hour, "in 3 h"},
		{47 * time.Hour, "in 47 h"},
		{100 * time.Hour, "in 4 days"},
	} {
		if got := in(now, now.Add(test.after)); got != test.want {
			t.Errorf("in %v: %q, want %q", test.after, got, test.want)
		}
	}
	if got := ago(now, time.Time{}); got != "never" {
		t.Errorf("the zero time: %q", got)
	}
	if got := ago(now, now.Add(-26*time.Hour)); got != "26 h ago" {
		t.Errorf("a day ago: %q", got)
	}
}
