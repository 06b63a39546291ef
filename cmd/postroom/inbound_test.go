package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

func TestTheAdminsListsAtTheDoor(t *testing.T) {
	l := startLists(t, map[string]string{"8.100.51.198.bl.test": "127.0.0.2 spammer", "2.0.0.127.bl.test": "127.0.0.2"})
	s := startDoor(t, l, "POSTROOM_INBOUND_BLOCKLISTS=bl.test")
	mail := letterFrom("mx.far.test", "eve@far.test", "eve@far.test")
	s.from("198.51.100.7").says("250 2.0.0", mail...)

	for _, tt := range []struct{ action, what, refusal string }{
		{"block", "198.51.100.0/24", "550 5.7.1 The administrator of this server has blocked your address 198.51.100.7; to ask why, reach postmaster@judge.test another way"},
		{"block", "Eve@far.test", "550 5.7.1 The administrator of this server has blocked the sender <eve@far.test>;"},
		{"block", "*.far.test", "550 5.7.1 The administrator of this server has blocked the sender"},
	} {
		s.do(tt.action, "add", tt.what, "--note", "private reasons")
		s.from("198.51.100.7").says(tt.refusal, mail[:3]...)
		s.do(tt.action, "remove", tt.what)
	}
	s.do("block", "add", "author.test")
	s.from("198.51.100.7").says("550 5.7.1 The administrator of this server has blocked the author <me@author.test>;",
		letterFrom("mx.far.test", "eve@far.test", "me@author.test")...)
	s.from("198.51.100.7").says("250 2.0.0", mail...)

	// Postmaster isn't spared what the admin has said, and the trace says it all.
	s.do("block", "add", "198.51.100.7", "--note", "private reasons", "--expires", "1h")
	c := s.from("198.51.100.7")
	c.says("550 5.7.1", "EHLO x", "MAIL FROM:<traced@far.test>", "RCPT TO:<postmaster@judge.test>")
	c.conn.Close()
	kind, checks := s.traced("traced@far.test")
	want := store.CheckResult{Check: "list", Result: "blocked", Detail: "198.51.100.7/32: private reasons"}
	if kind != store.Rejected || !slices.Contains(checks, want) {
		t.Errorf("the trace has %s %+v, want %+v", kind, checks, want)
	}
	var list []admin.AccessEntry
	s.list(&list, "block", "list")
	if len(list) != 2 || list[0].What != "198.51.100.7" || list[0].Note != "private reasons" || list[0].Expires.Sub(list[0].Created) != time.Hour {
		t.Errorf("the list is %+v", list)
	}

	// What is allowed passes the blocklists.
	s.from("198.51.100.8").says("550 5.7.1 198.51.100.8 is listed by bl.test", mail[:3]...)
	s.do("allow", "add", "198.51.100.8")
	s.from("198.51.100.8").says("250 2.0.0", letterFrom("mx.far.test", "partner@far.test", "partner@far.test")...)
	kind, checks = s.traced("partner@far.test")
	if kind != store.Accepted || len(checks) < 2 || checks[0].Result != "allowed" || checks[1].Result != "listed" {
		t.Errorf("the trace has %s %+v", kind, checks)
	}
}

func TestBlocklistsAtTheDoor(t *testing.T) {
	l := startLists(t, map[string]string{
		"8.100.51.198.bl.test": "127.0.0.2 spammer; see https://bl.test/?8",
		"2.0.0.127.bl.test":    "127.0.0.2",
		"1.0.0.127.bl.test":    "127.0.0.2 loopback isn't spared",
		"8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.test": "127.0.0.2",
		"spam.test.dbl.test": "127.0.1.2 a bad domain",
	})
	s := startDoor(t, l, "POSTROOM_INBOUND_BLOCKLISTS=bl.test,none.test", "POSTROOM_INBOUND_DOMAIN_BLOCKLISTS=dbl.test")
	for _, tt := range []struct {
		from  string
		said  []string
		reply string
	}{
		{"198.51.100.7", letterFrom("mx.far.test", "x@far.test", "x@far.test"), "250 2.0.0"},
		{"198.51.100.8", letterFrom("mx.far.test", "x@far.test", "x@far.test")[:3], `550 5.7.1 198.51.100.8 is listed by bl.test: "spammer; see https://bl.test/?8"; have it removed there, or write to postmaster@judge.test`},
		{"2001:db8::8", letterFrom("mx.far.test", "x@far.test", "x@far.test")[:3], "550 5.7.1 2001:db8::8 is listed by bl.test;"},
		{"127.0.0.1", letterFrom("mx.far.test", "x@far.test", "x@far.test")[:3], "550 5.7.1 127.0.0.1 is listed by bl.test"},
		{"198.51.100.8", []string{"EHLO x", "MAIL FROM:<x@far.test>", "RCPT TO:<Postmaster@judge.test>"}, "250 "},
		{"198.51.100.8", []string{"EHLO x", "MAIL FROM:<x@far.test>", "RCPT TO:<abuse@judge.test>"}, "250 "},
		{"198.51.100.7", letterFrom("spam.test", "x@far.test", "x@far.test")[:3], `550 5.7.1 the domain spam.test (of EHLO) is listed by dbl.test: "a bad domain"`},
		{"198.51.100.7", letterFrom("mx.far.test", "x@spam.test", "x@far.test")[:3], `550 5.7.1 the domain spam.test (of MAIL FROM) is listed`},
		{"198.51.100.7", letterFrom("mx.far.test", "x@far.test", "x@spam.test"), `550 5.7.1 the domain spam.test (of From) is listed by dbl.test`},
	} {
		s.from(tt.from).says(tt.reply, tt.said...)
	}
	s.from("198.51.100.9").says("250 2.0.0", letterFrom("mx.far.test", "clean@far.test", "clean@far.test")...)
	kind, checks := s.traced("clean@far.test")
	if kind != store.Accepted || len(checks) < 2 || checks[0].Check != "blocklist" || checks[0].Result != "not listed" || checks[1].Check != "domain_blocklist" {
		t.Errorf("the trace has %s %+v", kind, checks)
	}
}

func TestBadListsStopNoMail(t *testing.T) {
	l := startLists(t, map[string]string{"2.0.0.127.bl.test": "127.0.0.2"})
	s := startDoor(t, l,
		"POSTROOM_INBOUND_BLOCKLISTS=slow.test,late.test,garbage.test,lying.test,refusing.test,bl.test,void.test",
		"POSTROOM_INBOUND_DOMAIN_BLOCKLISTS=slow.test,garbage.test,lying.test")
	strangers := make([]*stranger, 20)
	for i := range strangers {
		strangers[i] = s.from(fmt.Sprintf("198.51.100.%d", i))
	}
	var sending sync.WaitGroup
	var served atomic.Int64
	for _, c := range strangers {
		sending.Go(func() {
			began := time.Now()
			c.says("250 2.0.0", letterFrom("mx.far.test", "x@far.test", "x@far.test")...)
			served.Add(1)
			if took := time.Since(began); took > 15*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	// Our own users don't wait for lists, nor for those who do.
	s.submit("alice@judge.test", "bob@judge.test", plainLetter("alice@judge.test", "bob@judge.test"))
	if n := served.Load(); n > 0 {
		t.Errorf("%d who wait for slow lists were served before one of our own", n)
	}
	l.release()
	sending.Wait()
	if kind, checks := s.traced("x@far.test"); kind != store.Accepted || len(checks) == 0 || !strings.Contains(checks[0].Detail, "lying.test could not be asked") {
		t.Errorf("the trace has %s %+v", kind, checks)
	}
	for zone, says := range map[string]string{
		"slow.test":     "it doesn't answer in time",
		"garbage.test":  "is of no use",
		"lying.test":    "outside 127.0.0.0/8",
		"refusing.test": "refuses to answer us (127.255.255.254)",
		"void.test":     "doesn't have 127.0.0.2",
	} {
		s.awaitConcern("blocklist "+zone, says)
	}
	if s.hasConcern("blocklist bl.test") != "" {
		t.Error("a list that is well is a concern too")
	}
}

func (s *site) hasConcern(key string) string {
	s.t.Helper()
	var list []admin.Concern
	s.list(&list, "concerns")
	for _, c := range list {
		if c.Key == key {
			return c.Text
		}
	}
	return ""
}

func (s *site) awaitConcern(key, says string) {
	s.t.Helper()
	s.until("the admin is told of "+key, func() bool { return strings.Contains(s.hasConcern(key), says) })
}

func TestOurOwnAddressesAreLookedUp(t *testing.T) {
	l := startLists(t, map[string]string{
		"2.0.0.127.bl.test": "127.0.0.2",
		"mx.judge.test":     "9.8.7.6",
		"6.7.8.9.bl.test":   "127.0.0.4 open relay",
	})
	s := startDoor(t, l, "POSTROOM_INBOUND_BLOCKLISTS=bl.test,all.test", "POSTROOM_LISTEN_METRICS=127.0.0.1:0")
	s.awaitConcern("listed 9.8.7.6 bl.test", "Our address 9.8.7.6 is in the blocklist bl.test (open relay)")
	s.awaitConcern("blocklist all.test", "has 127.0.0.1, which none may have")
	if text := s.do("concerns"); !strings.Contains(text, "Our address 9.8.7.6") {
		t.Errorf("postroom concerns says %q", text)
	}
	s.until("the metric counts the concerns", func() bool {
		var list []admin.Concern
		s.list(&list, "concerns")
		return s.metric("postroom_concerns") == strconv.Itoa(len(list)) && len(list) >= 2
	})
	l.set("6.7.8.9.bl.test", "")
	if err := syscall.Kill(s.PID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.until("the concern is over", func() bool { return s.hasConcern("listed 9.8.7.6 bl.test") == "" })
	if s.hasConcern("blocklist all.test") == "" {
		t.Error("what isn't over is forgotten")
	}
}

// metric returns the value of a metric.
func (s *site) metric(name string) string {
	s.t.Helper()
	at := regexp.MustCompile(`msg=listening service=metrics address=(\S+)`).FindStringSubmatch(s.LogTail())
	if at == nil {
		s.t.Fatal("no metrics are served")
	}
	answer, err := http.Get("http://" + at[1] + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return "missing"
}

func TestRatesAtTheDoor(t *testing.T) {
	s := startDoor(t, startLists(t, nil), "POSTROOM_SMTP_CONNECTIONS_PER_MINUTE=3", "POSTROOM_SMTP_MESSAGES_PER_MINUTE=2")
	for range 3 {
		s.from("198.51.100.7").says("220 ")
	}
	refused := func() {
		t.Helper()
		s.from("198.51.100.7").says("421 4.7.0 Too many connections a minute from your network, please try again in a minute")
	}
	refused()
	s.from("198.51.100.8").says("220 ")
	for range 10 {
		s.from("127.0.0.1").says("220 ")
	}
	s.from("2001:db8::1").says("220 ")

	// What is remembered outlives a change of the configuration.
	text, err := os.ReadFile(s.Config())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Config(), append(text, "\n[trace]\nkeep = \"5d\"\n[delivery]\nconcurrency = 7\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(s.PID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.until("the configuration is read again", func() bool { return strings.Contains(s.LogTail(), "changed=[delivery.concurrency]") })
	refused()

	// An allowed network may come as often as it likes.
	s.do("allow", "add", "198.51.100.7")
	s.from("198.51.100.7").says("220 ")

	c := s.from("198.51.100.9")
	c.says("250", "EHLO x")
	for i, want := range []string{"250 ", "250 ", "450 4.7.1 Too many messages a minute from your network"} {
		if err := c.conn.PrintfLine("MAIL FROM:<%d@far.test>", i); err != nil {
			t.Fatal(err)
		}
		if reply := c.hears(); !strings.HasPrefix(reply, want) {
			t.Errorf("message %d: got %q, want %q", i, reply, want)
		}
		if err := c.conn.PrintfLine("RSET"); err != nil {
			t.Fatal(err)
		}
		c.hears()
	}
}

func TestBannerDelayAtTheDoor(t *testing.T) {
	s := startDoor(t, startLists(t, nil), "POSTROOM_SMTP_BANNER_DELAY=1s")
	began := time.Now()
	s.from("198.51.100.7").says("220 ")
	if took := time.Since(began); took < time.Second {
		t.Errorf("the greeting came after %v", took)
	}
	c := s.from("198.51.100.7")
	if err := c.conn.PrintfLine("EHLO early.test"); err != nil {
		t.Fatal(err)
	}
	if reply := c.hears(); !strings.HasPrefix(reply, "554 5.5.1 You spoke before the greeting") {
		t.Errorf("got %q", reply)
	}
	began = time.Now()
	if s.from("127.0.0.1").says("220 "); time.Since(began) > time.Second {
		t.Error("loopback isn't exempt")
	}
}
