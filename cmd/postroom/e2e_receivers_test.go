package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/smtp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postroom/cmd/postroom/bench"
)

// What the receivers of these tests have in common.
const (
	receiverName  = "mx.remote.test"
	receiverIP    = "127.0.0.6"
	receiverLimit = 200_000 // octets of a message
	comeLater     = "Come back later"
)

// A receiver is somebody else's mail server. It has carol, dave and later at
// remote.test, and puts later off until it relents.
type receiver struct {
	t      *testing.T
	addr   string
	mail   string // the folder of their maildirs
	relent func()
}

// delivered returns the messages in a maildir.
func (r *receiver) delivered(local string) [][]byte {
	r.t.Helper()
	files, err := filepath.Glob(filepath.Join(r.mail, local, "new", "*"))
	if err != nil {
		r.t.Fatal(err)
	}
	contents := make([][]byte, len(files))
	for i, file := range files {
		if contents[i], err = os.ReadFile(file); err != nil {
			r.t.Fatal(err)
		}
	}
	return contents
}

// protects reports whether STARTTLS, which it offers, comes to anything.
func (r *receiver) protects() bool {
	r.t.Helper()
	c, err := smtp.Dial(r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	if ok, _ := c.Extension("STARTTLS"); !ok {
		r.t.Fatal("the receiver doesn't offer STARTTLS")
	}
	return c.StartTLS(&tls.Config{InsecureSkipVerify: true}) == nil
}

// traceFields are what servers on the way put in front, and our signatures.
var traceFields = []string{"return-path", "delivered-to", "x-original-to", "envelope-to", "received", "authentication-results", "dkim-signature"}

// isBehindTrace reports whether got is want behind trace fields and nothing else.
func isBehindTrace(got, want []byte) bool {
	front, ok := bytes.CutSuffix(got, want)
	if !ok {
		return false
	}
	for line := range strings.Lines(string(front)) {
		name, _, _ := strings.Cut(strings.ToLower(line), ":")
		if line[0] != ' ' && line[0] != '\t' && !slices.Contains(traceFields, name) {
			return false
		}
	}
	return true
}

// kinds are 20 messages of all kinds that any server takes.
func kinds(t *testing.T) [][]byte {
	t.Helper()
	list := [][]byte{
		[]byte(head + ".\r\n..\r\n...\r\n.x\r\n. \r\n\r\n.\r\n"),
		[]byte(head + "Grüße \xff\xfe\x80\r\n\r\n\r\n"),
		[]byte(head + strings.Repeat("z", 10_000) + "\r\n." + strings.Repeat("y", 997) + "\r\n"),
		[]byte(head + "From nobody\r\n>From nobody\r\n\r\n.\r\nMAIL FROM:<x@y>\r\n"),
		withAttachment("alice@judge.test", "carol@remote.test"),
	}
	dir := os.Getenv("POSTROOM_TESTDATA")
	if dir == "" {
		t.Log("POSTROOM_TESTDATA, the folder of test data from elsewhere, isn't set: fewer kinds of messages")
		return list
	}
	files, err := filepath.Glob(filepath.Join(dir, "messages", "*", "*.*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no messages in %s: %v", dir, err)
	}
	for i := 0; len(list) < 20 && i < len(files); i += len(files) / 40 {
		content, err := os.ReadFile(files[i])
		if err != nil {
			t.Fatal(err)
		}
		if content = onTheWire(content); wellFormed(content) {
			list = append(list, content)
		}
	}
	if len(list) != 20 {
		t.Fatalf("%d kinds of messages", len(list))
	}
	return list
}

// onTheWire gives a file's lines the endings of SMTP.
func onTheWire(content []byte) []byte {
	content = bytes.ReplaceAll(unixLines(content), []byte("\n"), []byte("\r\n"))
	if !bytes.HasSuffix(content, []byte("\r\n")) {
		content = append(content, "\r\n"...)
	}
	return content
}

// wellFormed reports whether a message is one that nobody refuses or mends: its
// header is ASCII, and every line of it is a field's, none of them trace.
func wellFormed(content []byte) bool {
	header, _, ok := bytes.Cut(content, []byte("\r\n\r\n"))
	if !ok || len(content) > receiverLimit/2 || bytes.ContainsRune(content, 0) ||
		bytes.Count(content, []byte("\r")) != bytes.Count(content, []byte("\r\n")) {
		return false
	}
	for i, line := range strings.Split(string(header), "\r\n") {
		name, _, colon := strings.Cut(line, ":")
		folded := i > 0 && (strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t"))
		trace := slices.Contains(traceFields, strings.ToLower(name))
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r > '~' }) ||
			!folded && (!colon || trace || name == "" || strings.ContainsAny(name, " \t")) {
			return false
		}
	}
	return true
}

// testReceiver sends everything that may happen to a receiver through a running
// server.
func testReceiver(t *testing.T, start func(t *testing.T, addr string) *receiver) {
	needRoot(t)
	addr := freeAddr(t, receiverIP)
	_, port := splitAddr(t, addr)
	names, err := bench.StartDNS("remote.test. 60 IN MX 10 "+receiverName+".", receiverName+". 60 IN A "+receiverIP)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(names.Close)
	r := start(t, addr)
	poll(t, "the receiver answers", func() bool {
		c, err := bench.DialSMTP(t.Context(), addr)
		if err == nil {
			c.Quit()
		}
		return err == nil
	})
	s := startSite(t, "POSTROOM_DNS_SERVERS="+names.Addr, "POSTROOM_DELIVERY_PORT="+port,
		"POSTROOM_DELIVERY_PRIVATE_DESTINATIONS=true", "POSTROOM_DELIVERY_RETRY=1s")
	s.do("alias", "add", "out@judge.test", "carol@remote.test", "dave@remote.test")

	protected := "TLS 1.3"
	if !r.protects() {
		protected = "none"
	}
	messages := kinds(t)
	t.Run("with STARTTLS", func(t *testing.T) { r.takes(t, s, messages, 1, protected) })
	s.do("route", "add", "remote.test", "mx", "--tls", "none")
	t.Run("in clear text", func(t *testing.T) { r.takes(t, s, messages, 2, "none") })
	t.Run("an unknown recipient", func(t *testing.T) { r.refuses(t, s) })
	t.Run("a recipient for later", func(t *testing.T) { r.putsOff(t, s) })
	t.Run("a message over its size", func(t *testing.T) { r.findsTooLarge(t, s) })
}

// freeAddr returns an address on which nobody listens.
func freeAddr(t *testing.T, ip string) string {
	t.Helper()
	l, err := net.Listen("tcp", ip+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// takes sends all messages to two recipients each, the nth time, and compares
// what has come.
func (r *receiver) takes(t *testing.T, s *site, messages [][]byte, nth int, protected string) {
	var id string
	for _, m := range messages {
		id = acceptedAs(t, s.send("someone@elsewhere.test", "out@judge.test", m))
	}
	for _, local := range []string{"carol", "dave"} {
		poll(t, local+" has all", func() bool { return len(r.delivered(local)) >= nth*len(messages) })
		got := r.delivered(local)
		if len(got) != nth*len(messages) {
			t.Errorf("%s has %d messages", local, len(got))
		}
		for i, m := range messages {
			same := 0
			for _, g := range got {
				if isBehindTrace(g, unixLines(m)) {
					same++
				}
			}
			if same != nth {
				t.Errorf("%s has message %d %d times, not %d: %.200q", local, i, same, nth, m)
			}
		}
	}
	for _, to := range []string{"carol@remote.test", "dave@remote.test"} {
		s.awaitEvent(id, "sent", to)
		if e := s.awaitEvent(id, "attempt", to); !strings.HasPrefix(e.TLS, protected) || e.Host != receiverName {
			t.Errorf("%s was served at %s with TLS %q, not %q", to, e.Host, e.TLS, protected)
		}
	}
}

// awaitEvent waits for an event of a message.
func (s *site) awaitEvent(id, kind, recipient string) tracedEvent {
	s.t.Helper()
	var found tracedEvent
	s.until(fmt.Sprintf("%s is %s", recipient, kind), func() bool {
		var traced []tracedMessage
		s.list(&traced, "trace", id)
		var ok bool
		for _, m := range traced {
			if found, ok = m.find(kind, recipient); ok {
				return true
			}
		}
		return false
	})
	return found
}

// refuses sends to nobody, next to somebody.
func (r *receiver) refuses(t *testing.T, s *site) {
	id := acceptedAs(t, s.submit("alice@judge.test", "nobody@remote.test", withAttachment("alice@judge.test", "nobody@remote.test")))
	words := s.awaitEvent(id, "bounced", "nobody@remote.test").Reply
	if !strings.HasPrefix(words, "550 ") {
		t.Errorf("it says %q", words)
	}
	report := string(s.take("alice@judge.test"))
	for _, want := range []string{"could not be delivered to nobody@remote.test: this address does not exist there.", "Action: failed\r\n", strings.Fields(words)[1]} {
		if !strings.Contains(report, want) {
			t.Errorf("the report doesn't contain %q:\n%s", want, report)
		}
	}
}

// putsOff sends to somebody who is taken at the second attempt or a later one.
func (r *receiver) putsOff(t *testing.T, s *site) {
	want := withAttachment("alice@judge.test", "later@remote.test")
	id := acceptedAs(t, s.submit("alice@judge.test", "later@remote.test", want))
	if e := s.awaitEvent(id, "deferred", "later@remote.test"); !strings.HasPrefix(e.Reply, "45") || !strings.Contains(e.Reply, comeLater) {
		t.Errorf("deferred is %+v", e)
	}
	r.relent()
	s.awaitEvent(id, "sent", "later@remote.test")
	poll(t, "later has it", func() bool { return len(r.delivered("later")) == 1 })
	if got := r.delivered("later")[0]; !isBehindTrace(got, unixLines(want)) {
		t.Errorf("another message came: %.300q", got)
	}
}

// findsTooLarge sends what the receiver never takes.
func (r *receiver) findsTooLarge(t *testing.T, s *site) {
	id := acceptedAs(t, s.submit("alice@judge.test", "carol@remote.test", large(2*receiverLimit)))
	s.awaitEvent(id, "bounced", "carol@remote.test")
	report := string(s.take("alice@judge.test"))
	for _, want := range []string{"Your message can't be sent to carol@remote.test in this form", "Action: failed\r\n"} {
		if !strings.Contains(report, want) {
			t.Errorf("the report doesn't contain %q:\n%s", want, report)
		}
	}
}

// take waits for a message in a maildrop and takes it out.
func (s *site) take(account string) []byte {
	s.t.Helper()
	content := s.await(account, 1)[0]
	c := s.open(account)
	if err := c.Delete(1); err != nil {
		s.t.Fatal(err)
	}
	if err := c.Quit(); err != nil {
		s.t.Fatal(err)
	}
	return content
}

// do runs a command.
func (s *site) do(args ...string) string {
	s.t.Helper()
	out, err := s.Command(s.t.Context(), "", args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(out)
}
