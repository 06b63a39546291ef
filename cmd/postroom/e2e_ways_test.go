package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"postroom/cmd/postroom/bench"
)

// startHost starts a server that is somebody else's to the others of its test: it
// has a name and a domain of its own, with users.
func startHost(t *testing.T, domain string, env []string, users ...string) *site {
	t.Helper()
	s := prepareSite(t, append([]string{"POSTROOM_HOSTNAME=mx." + domain, "POSTROOM_DELIVERY_RETRY=1s"}, env...)...)
	s.start()
	for i := range users {
		users[i] += "@" + domain
	}
	s.addAccounts(users...)
	return s
}

// leadTo has a server send a domain's mail to another one.
func (s *site) leadTo(domain string, other *site) {
	s.t.Helper()
	s.do("route", "add", domain, other.SMTP)
}

// give runs a command that takes a password.
func (s *site) give(secret string, args ...string) string {
	s.t.Helper()
	out, err := s.Command(s.t.Context(), secret+"\n", args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(out)
}

// A queued is what queue list --json says of a recipient.
type queued struct {
	To        string   `json:"to"`
	Status    string   `json:"status"`
	Attempts  int      `json:"attempts"`
	LastReply string   `json:"last_reply"`
	HeldBy    []string `json:"held_by"`
}

// awaitQueued waits until a recipient in the queue is as ok wants it.
func (s *site) awaitQueued(to, what string, ok func(queued) bool) queued {
	s.t.Helper()
	var found queued
	s.until(to+" "+what, func() bool {
		var list []queued
		s.list(&list, "queue", "list")
		for _, q := range list {
			if q.To == to && ok(q) {
				found = q
				return true
			}
		}
		return false
	})
	return found
}

// plainLetter is a message that a mail program sends.
func plainLetter(from, to string) []byte {
	return fmt.Appendf(nil, "From: <%s>\r\nTo: <%s>\r\nSubject: hello\r\nDate: Mon, 02 Jan 2006 15:04:05 +0000\r\nMessage-ID: <%s.%s>\r\n\r\nHello\r\n", from, to, to, from)
}

func TestRelayTakesOurLogin(t *testing.T) {
	relay := startHost(t, "relay.test", []string{"POSTROOM_AUTH_REQUIRE_TLS=true"}, "me")
	relay.addAccounts("carol@third.test")
	s := startHost(t, "laptop.test", nil)
	s.addAccounts("me@relay.test") // who has an account at the relay too
	const mistyped = "opne-sesame"
	s.give(mistyped, "route", "add", "*", relay.Submission, "--user", "me@relay.test", "--password-stdin")
	want := plainLetter("me@relay.test", "carol@third.test")
	id := acceptedAs(t, s.submit("me@relay.test", "carol@third.test", want))
	q := s.awaitQueued("carol@third.test", "waits for the right password", func(q queued) bool { return q.LastReply != "" })
	if !strings.Contains(q.LastReply, "535 ") {
		t.Errorf("it waits because of %q", q.LastReply)
	}
	logged, err := os.ReadFile(s.Log())
	if err != nil {
		t.Fatal(err)
	}
	shown := s.do("route", "list", "--json") + s.do("route", "list") + s.do("queue", "list", "--json") + s.do("queue", "show", id) +
		s.do("queue", "destinations", "--json") + s.do("trace", id, "--json") + string(logged)
	for _, secret := range []string{mistyped, base64.StdEncoding.EncodeToString([]byte("\x00me@relay.test\x00" + mistyped))} {
		if strings.Contains(shown, secret) {
			t.Errorf("%s is shown:\n%s", secret, shown)
		}
	}
	s.do("queue", "pause", "third.test") // or it would be looked for by MX
	s.do("route", "remove", "*")
	s.give(password, "route", "add", "*", relay.Submission, "--user", "me@relay.test", "--password-stdin")
	if text := s.do("route", "list", "--json") + s.do("route", "list"); strings.Contains(text, password) {
		t.Error("the list shows the password")
	}
	s.do("queue", "resume", "third.test")
	s.do("queue", "retry", "--all")
	theirs := acceptedAs(t, s.awaitEvent(id, "sent", "carol@third.test").Reply)
	relay.awaitEvent(theirs, "delivered", "carol@third.test")
	if text := relay.do("trace", theirs); !strings.Contains(text, "as me@relay.test by ESMTPSA") {
		t.Errorf("the relay's trace is %s", text)
	}
}

func TestPausedDestinationWaits(t *testing.T) {
	other := startHost(t, "other.test", nil, "carol")
	s := startHost(t, "here.test", nil, "alice")
	s.leadTo("other.test", other)
	s.do("queue", "pause", "other.test")
	want := plainLetter("alice@here.test", "carol@other.test")
	id := acceptedAs(t, s.submit("alice@here.test", "carol@other.test", want))
	q := s.awaitQueued("carol@other.test", "is held", func(q queued) bool { return q.Status == "held" })
	if len(q.HeldBy) != 1 || q.HeldBy[0] != "pause" || q.Attempts != 0 {
		t.Errorf("the queue has %+v", q)
	}
	if text := s.do("queue", "list"); !strings.Contains(text, "other.test is paused by you") {
		t.Errorf("queue list: %s", text)
	}
	if text := s.do("queue", "destinations"); !regexp.MustCompile(`other\.test +0 +0 +1 +paused by you since `).MatchString(text) {
		t.Errorf("queue destinations: %s", text)
	}
	s.do("queue", "resume", "other.test")
	endsWith(t, other.await("carol@other.test", 1)[0], want)
	s.awaitEvent(id, "sent", "carol@other.test")
}

func TestQueueIsShownInFull(t *testing.T) {
	s := startHost(t, "here.test", nil, "alice")
	s.do("route", "add", "other.test", freeAddr(t, "127.0.0.8")) // nobody is there
	id := acceptedAs(t, s.submit("alice@here.test", "carol@other.test", plainLetter("alice@here.test", "carol@other.test")))
	s.awaitQueued("carol@other.test", "was tried", func(q queued) bool { return q.Attempts > 0 })
	shown := s.do("queue", "show", id)
	for _, want := range []string{"To          carol@other.test\n", "Status      tried ", "connection refused", "attempt  deferred at 127.0.0.8 [127.0.0.8]"} {
		if !strings.Contains(shown, want) {
			t.Errorf("queue show lacks %q:\n%s", want, shown)
		}
	}
	var items []struct{ Events []struct{ Kind, IP string } }
	if err := json.Unmarshal([]byte(s.do("queue", "show", id, "--json")), &items); err != nil || len(items) != 1 || len(items[0].Events) == 0 {
		t.Errorf("queue show --json: %+v, %v", items, err)
	}
	text := s.do("queue", "destinations")
	for _, want := range []string{`relay 127\.0\.0\.8:\d+ +1 .* failing.*, next try `, `other\.test +1 .* failing.*; goes to relay 127\.0\.0\.8:`} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("queue destinations lacks %s:\n%s", want, text)
		}
	}
	if text := s.do("queue", "cancel", "--from", "alice@here.test", "--bounce"); text != "Cancelled for 1 recipient, and goes back to the sender.\n" {
		t.Errorf("queue cancel: %s", text)
	}
	if report := string(s.await("alice@here.test", 1)[0]); !strings.Contains(report, "carol@other.test") {
		t.Errorf("the report is %s", report)
	}
	if text := s.do("queue", "destinations"); !regexp.MustCompile(`relay 127\.0\.0\.8:\d+ +0 .* nobody could be reached .* ago; nothing waits`).MatchString(text) {
		t.Errorf("queue destinations: %s", text)
	}
}

// startThree starts the servers of a sender, a forwarder and a receiver. The DNS
// vouches for the sender's.
func startThree(t *testing.T) (from, by, to *site) {
	names, err := bench.StartDNS(`from.test. 60 IN TXT "v=spf1 ip4:127.0.0.0/8 -all"`)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(names.Close)
	env := []string{"POSTROOM_DNS_SERVERS=" + names.Addr, "POSTROOM_INBOUND_SPF=mark"}
	from, by, to = startHost(t, "from.test", nil, "ann"), startHost(t, "by.test", env), startHost(t, "to.test", nil, "cid")
	by.do("domain", "add", "by.test")
	from.leadTo("by.test", by)
	by.leadTo("to.test", to)
	by.leadTo("from.test", from)
	to.leadTo("by.test", by)
	return from, by, to
}

func TestForwardSurvivesAndItsBounceFindsBack(t *testing.T) {
	from, by, to := startThree(t)
	by.do("alias", "add", "cid@by.test", "cid@to.test")
	by.do("alias", "add", "gone@by.test", "gone@to.test")

	want := plainLetter("ann@from.test", "cid@by.test")
	from.submit("ann@from.test", "cid@by.test", want)
	got := string(to.await("cid@to.test", 1)[0])
	path := regexp.MustCompile(`(?m)^Return-Path: <(SRS0=[^>]+=from\.test=ann@by\.test)>\r$`).FindStringSubmatch(got)
	if path == nil || !strings.HasSuffix(got, string(want)) {
		t.Fatalf("what came is %s", got)
	}
	// What the receiver finds out later is told to the address that it knows.
	report := []byte(head + "It could not be delivered after all.\r\n")
	if _, err := sendVia(t.Context(), by.SMTP, "", "", path[1], report); err != nil {
		t.Fatal(err)
	}
	if late := from.take("ann@from.test"); !strings.HasSuffix(string(late), string(report)) {
		t.Errorf("the late report is %s", late)
	}
	// What it says at once is ours to tell.
	from.submit("ann@from.test", "gone@by.test", plainLetter("ann@from.test", "gone@by.test"))
	if bounce := string(from.take("ann@from.test")); !strings.Contains(bounce, "Reporting-MTA: dns; mx.by.test") || !strings.Contains(bounce, "gone@by.test") {
		t.Errorf("the bounce is %s", bounce)
	}
}

func TestBackupHoldsMailUntilItsServerIsUp(t *testing.T) {
	addr := freeAddr(t, "127.0.0.7")
	_, port := splitAddr(t, addr)
	names, err := bench.StartDNS("main.test. 60 IN MX 10 mx.main.test.", "main.test. 60 IN MX 20 mx.backup.test.",
		"mx.main.test. 60 IN A 127.0.0.7", "mx.backup.test. 60 IN A 127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(names.Close)
	s := startHost(t, "backup.test", []string{
		"POSTROOM_DNS_SERVERS=" + names.Addr, "POSTROOM_DELIVERY_PORT=" + port, "POSTROOM_DELIVERY_PRIVATE_DESTINATIONS=true",
		"POSTROOM_DELIVERY_BACKUP_EXPIRE=2d",
	})
	s.do("domain", "add", "main.test", "--backup")
	s.do("domain", "recipients", "main.test", "--add", "carol")
	if _, err := sendVia(t.Context(), s.SMTP, "", "x@y.test", "nobody@main.test", plainLetter("x@y.test", "nobody@main.test")); err == nil {
		t.Error("mail for nobody was taken")
	}
	want := plainLetter("x@y.test", "carol@main.test")
	id := acceptedAs(t, s.send("x@y.test", "carol@main.test", want))
	q := s.awaitQueued("carol@main.test", "was tried", func(q queued) bool { return q.LastReply != "" })
	if !strings.Contains(q.LastReply, "refused") {
		t.Errorf("it waits because of %q", q.LastReply)
	}
	main := prepareSite(t, "POSTROOM_HOSTNAME=mx.main.test", "POSTROOM_LISTEN_SMTP="+addr)
	main.SMTP = addr
	main.start()
	main.addAccounts("carol@main.test")
	s.do("queue", "retry", "--domain", "main.test")
	endsWith(t, main.await("carol@main.test", 1)[0], want)
	if e := s.awaitEvent(id, "sent", "carol@main.test"); e.Host != "mx.main.test" {
		t.Errorf("sent is %+v", e)
	}
}

func TestSuccessIsReported(t *testing.T) {
	other := startHost(t, "other.test", nil, "carol")
	s := startHost(t, "here.test", nil, "alice", "bob")
	s.leadTo("other.test", other)
	other.leadTo("here.test", s)
	for _, to := range []string{"bob@here.test", "carol@other.test"} {
		s.submitWith(to, "alice@here.test", plainLetter("alice@here.test", to))
		report := string(s.take("alice@here.test"))
		for _, want := range []string{"Action: delivered\r\n", "Final-Recipient: rfc822; " + to, "Original-Envelope-Id: E-1\r\n"} {
			if !strings.Contains(report, want) {
				t.Errorf("the report about %s lacks %q:\n%s", to, want, report)
			}
		}
	}
}

// submitWith submits a message whose sender wants to know that it arrives.
func (s *site) submitWith(to, from string, message []byte) {
	s.t.Helper()
	c, err := bench.DialSMTP(s.t.Context(), s.Submission)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Quit()
	if err := c.Login(from, password); err != nil {
		s.t.Fatal(err)
	}
	for _, line := range []string{"MAIL FROM:<" + from + "> ENVID=E-1 RET=HDRS", "RCPT TO:<" + to + "> NOTIFY=SUCCESS,FAILURE"} {
		if reply, err := c.Command(line); err != nil || !strings.HasPrefix(reply, "250") {
			s.t.Fatalf("%s: %q, %v", line, reply, err)
		}
	}
	if _, _, err := c.Data(bench.DotStuff(message)); err != nil {
		s.t.Fatal(err)
	}
}

func TestMailLeavesFromItsOwnAddress(t *testing.T) {
	other := startHost(t, "other.test", nil, "carol")
	s := startHost(t, "here.test", nil, "alice", "news")
	s.leadTo("other.test", other)
	s.do("source", "add", "127.0.0.10", "--name", "news.here.test", "--for", "news@here.test")
	for from, front := range map[string]string{
		"alice@here.test": "Received: from mx.here.test ([127.0.0.1])",
		"news@here.test":  "Received: from news.here.test ([127.0.0.10])",
	} {
		s.submit(from, "carol@other.test", plainLetter(from, "carol@other.test"))
		if got := string(other.take("carol@other.test")); !strings.Contains(got, front) {
			t.Errorf("what %s sent begins with %.400q", from, got)
		}
	}
	if shown := s.do("trace", "news@here.test"); !strings.Contains(shown, "source 127.0.0.10 (news.here.test)") {
		t.Errorf("the trace is %s", shown)
	}
}

func TestSmarthostThatIsDownIsNamed(t *testing.T) {
	dir := t.TempDir()
	config := func(smarthost string) string {
		return fmt.Sprintf("hostname = \"mail.here.test\"\ndata = %q\n[listen]\nmetrics = [\"127.0.0.1:0\"]\n[inbound]\nspf = \"off\"\n[delivery]\nsmarthost = %q\n", dir+"/data", smarthost)
	}
	file := writeConfig(t, config(freeAddr(t, "127.0.0.8")))
	do := func(args ...string) string {
		return runProgram(t, nil, nil, postroom(t), append(args, "--config", file)...)
	}
	do("domain", "add", "here.test")
	do("alias", "add", "away@here.test", "carol@other.test")
	s := startWith(t, file)
	if _, err := sendVia(t.Context(), s.ports["smtp"], "", "ann@from.test", "away@here.test", plainLetter("ann@from.test", "away@here.test")); err != nil {
		t.Fatal(err)
	}
	named := func(smarthost string) {
		t.Helper()
		poll(t, "what waits is said to wait for "+smarthost, func() bool {
			return regexp.MustCompile(`other\.test +1 .*; goes to relay ` + regexp.QuoteMeta(smarthost) + `:`).MatchString(do("queue", "destinations"))
		})
	}
	named("127.0.0.8")
	if err := os.WriteFile(file, []byte(config(freeAddr(t, "127.0.0.9"))), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Process.Signal(unix.SIGHUP); err != nil {
		t.Fatal(err)
	}
	named("127.0.0.9")
}
