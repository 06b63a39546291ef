package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"postroom/cmd/postroom/bench"
)

// head is a header that needs nothing from a server.
const head = "From: <alice@judge.test>\r\nTo: <bob@judge.test>\r\nSubject: octets\r\nDate: Mon, 02 Jan 2006 15:04:05 +0000\r\n" +
	"Message-ID: <octets@client.test>\r\n\r\n"

// randomOctets returns n random ones without CR, LF and NUL.
func randomOctets(n int) string {
	random := rand.NewChaCha8([32]byte{1})
	b := make([]byte, n)
	_, _ = random.Read(b)
	for i, c := range b {
		if c == 0 || c == '\r' || c == '\n' {
			b[i] = '.'
		}
	}
	return string(b)
}

// large returns a message of n octets.
func large(n int) []byte {
	b := make([]byte, 0, n)
	b = append(b, head...)
	for i := 0; len(b) < n-80; i++ {
		b = fmt.Appendf(b, "%072d\r\n", i)
	}
	return append(b, "the end\r\n"...)
}

func TestWhatIsCollectedIsWhatWasSent(t *testing.T) {
	s := startSite(t)
	tests := []struct{ name, body string }{
		{"an empty body", ""},
		{"dots", ".\r\n..\r\n...\r\n.x\r\n. \r\n\r\n.\r\n"},
		{"trailing blanks", "a \r\nb\t\r\n \r\n\t\r\n\r\n\r\n"},
		{"8-bit text", "Grüße \xff\xfe\x80\r\n"},
		{"binary without NUL", randomOctets(200000) + "\r\n"},
		{"lines of 998 octets", strings.Repeat(strings.Repeat("x", 998)+"\r\n", 20) + "." + strings.Repeat("y", 997) + "\r\n"},
		{"a line of 1 MB", strings.Repeat("z", 1_000_000) + "\r\n"},
		{"what looks like an end", "\r\n.\r\n.\r\nMAIL FROM:<x@y>\r\n"},
		{"what looks like mbox", "From nobody\r\n>From nobody\r\n"},
		{"45 MB", string(large(45_000_000)[len(head):])},
	}
	for i, tt := range tests {
		want := []byte(head + tt.body)
		if i%2 == 0 {
			s.submit("alice@judge.test", "bob@judge.test", want)
		} else {
			s.send("someone@elsewhere.test", "bob@judge.test", want)
		}
	}
	got := s.await("bob@judge.test", len(tests))
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { endsWith(t, got[i], []byte(head+tt.body)) })
	}
	s.sizes("bob@judge.test", got)
}

// sizes fails unless LIST says what RETR sends.
func (s *site) sizes(account string, contents [][]byte) {
	s.t.Helper()
	c := s.open(account)
	for i, content := range contents {
		line, err := c.Command(fmt.Sprintf("LIST %d", i+1))
		if err != nil {
			s.t.Fatal(err)
		}
		if want := fmt.Sprintf("+OK %d %d", i+1, len(content)); line != want {
			s.t.Errorf("LIST says %q, RETR %q", line, want)
		}
	}
	if err := c.Quit(); err != nil {
		s.t.Fatal(err)
	}
}

// maxMemory is what the server may have resident, in kilobytes.
const maxMemory = 150_000

// peak returns a process's largest resident size so far, in kilobytes.
func peak(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); f[0] == "VmHWM:" {
			kb, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			return kb
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

func TestLargeMessagesNeedLittleMemory(t *testing.T) {
	s := prepareSite(t)
	s.start()
	var accounts []string
	for i := range 10 {
		accounts = append(accounts, fmt.Sprintf("user%d@judge.test", i))
	}
	s.addAccounts(accounts...)
	want := large(45_000_000)
	stuffed := bench.DotStuff(want)
	// Ten go in; then ten more go in while the first ten go out.
	for round := range 2 {
		var all sync.WaitGroup
		for _, account := range accounts {
			all.Go(func() {
				if err := deliver(t.Context(), s.SMTP, account, stuffed); err != nil {
					t.Error(err)
				}
			})
			if round == 1 {
				all.Go(func() {
					if err := s.collectFirst(account, want); err != nil {
						t.Errorf("%s: %v", account, err)
					}
				})
			}
		}
		all.Wait()
	}
	got := peak(t, s.PID())
	t.Logf("%d MB were resident", got/1000)
	if got > maxMemory {
		t.Errorf("%d MB were resident, %d MB are allowed", got/1000, maxMemory/1000)
	}
}

func deliver(ctx context.Context, addr, to string, stuffed []byte) error {
	c, err := bench.DialSMTP(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Quit()
	if _, err := c.Begin("someone@elsewhere.test", to); err != nil {
		return err
	}
	_, _, err = c.Data(stuffed)
	return err
}

// collectFirst retrieves and deletes the first message and compares its end
// with want.
func (s *site) collectFirst(account string, want []byte) error {
	c, err := bench.OpenMaildrop(s.t.Context(), s.POP3, account, password)
	if err != nil {
		return err
	}
	defer c.Close()
	line, err := c.Command("LIST 1")
	if err != nil {
		return err
	}
	var n, size int
	if _, err := fmt.Sscanf(line, "+OK %d %d", &n, &size); err != nil {
		return fmt.Errorf("%q: %w", line, err)
	}
	rest := &comparison{skip: size - len(want), want: want}
	if err := c.RetrieveTo(rest, 1); err != nil {
		return err
	}
	if len(rest.want) > 0 {
		return fmt.Errorf("%d octets are missing", len(rest.want))
	}
	if err := c.Delete(1); err != nil {
		return err
	}
	return c.Quit()
}

// A comparison is a writer that compares what is written to it, after the first
// skip octets, with want.
type comparison struct {
	skip int
	want []byte
}

// Write fails at the first difference.
func (c *comparison) Write(b []byte) (int, error) {
	n := len(b)
	front := min(c.skip, n)
	c.skip -= front
	b = b[front:]
	if !bytes.HasPrefix(c.want, b) {
		return 0, errors.New("it isn't what was sent")
	}
	c.want = c.want[len(b):]
	return n, nil
}
