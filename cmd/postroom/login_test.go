package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"postroom/store/admin"
)

// A guesser is somebody at an address of this machine who knows how to log in over
// SMTP, POP3 and the web.
type guesser struct {
	t    *testing.T
	site *site
	ip   string
}

func (g guesser) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(g.ip), 0)), Timeout: processLimit}
	return d.DialContext(ctx, network, addr)
}

// talk says lines on a connection and returns the last answer.
func (g guesser) talk(addr string, lines ...string) string {
	g.t.Helper()
	nc, err := g.dial(g.t.Context(), "tcp", addr)
	if err != nil {
		g.t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(processLimit)); err != nil {
		g.t.Fatal(err)
	}
	c := textproto.NewConn(nc)
	answer, err := c.ReadLine()
	for _, line := range lines {
		if err != nil {
			break
		}
		if err = c.PrintfLine("%s", line); err == nil {
			answer, err = c.ReadLine()
		}
	}
	if err != nil {
		g.t.Fatalf("%s after %q: %v", g.ip, answer, err)
	}
	return answer
}

func (g guesser) pop3(name, secret string) string {
	g.t.Helper()
	return g.talk(g.site.POP3, "USER "+name, "PASS "+secret)
}

func (g guesser) smtp(name, secret string) string {
	g.t.Helper()
	return g.talk(g.site.Submission, "HELO here", "AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00"+name+"\x00"+secret)))
}

// signIn returns the status and the page.
func (g guesser) signIn(name, secret string) (int, string) {
	g.t.Helper()
	client := &http.Client{
		Transport:     &http.Transport{DialContext: g.dial, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	web := g.site.logged(`service=web address=(\S+)`)[1]
	resp, err := client.PostForm("http://"+web+"/login", url.Values{"username": {name}, "password": {secret}})
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return resp.StatusCode, string(page)
}

func wantStart(t *testing.T, what, got, want string) {
	t.Helper()
	if !strings.HasPrefix(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// logged waits for a line of the server's log and returns the submatches of the
// last such one.
func (s *site) logged(pattern string) []string {
	s.t.Helper()
	var found []string
	s.until("the log has "+pattern, func() bool {
		text, err := os.ReadFile(s.Log())
		all := regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1)
		if err != nil || len(all) == 0 {
			return false
		}
		found = all[len(all)-1]
		return true
	})
	return found
}

func TestGuessedPasswords(t *testing.T) {
	s := prepareSite(t, "POSTROOM_LISTEN_WEB=127.0.0.1:0", "POSTROOM_LISTEN_METRICS=127.0.0.1:0")
	s.start()
	s.addAccounts("alice@judge.test", "bob@judge.test")
	at := func(ip string) guesser { return guesser{t, s, ip} }
	bad, owner := at("127.0.0.2"), at("127.0.0.3")
	const blocked = "Too many failed logins from your address; try again after "

	wantStart(t, "alice logs in beside the guesser", bad.pop3("alice@judge.test", password), "+OK")
	for i := range 4 {
		wantStart(t, "POP3", bad.pop3("bob@judge.test", fmt.Sprint("pop3 ", i)), "-ERR [AUTH]")
		wantStart(t, "SMTP", bad.smtp("bob@judge.test", fmt.Sprint("smtp ", i)), "535 5.7.8")
	}
	for i := range 2 {
		if code, _ := bad.signIn("bob@judge.test", fmt.Sprint("web ", i)); code != http.StatusUnauthorized {
			t.Errorf("the web answers %d", code)
		}
	}
	for _, name := range []string{"bob@judge.test", "nobody@judge.test"} {
		wantStart(t, "POP3", bad.pop3(name, password), "-ERR [SYS/TEMP] "+blocked)
		wantStart(t, "SMTP", bad.smtp(name, password), "454 4.7.0 "+blocked)
		if code, page := bad.signIn(name, password); code != http.StatusTooManyRequests || !strings.Contains(page, "Try again after") {
			t.Errorf("the web answers %d", code)
		}
	}
	wantStart(t, "the owner elsewhere", owner.pop3("bob@judge.test", password), "+OK")
	wantStart(t, "the owner elsewhere", owner.smtp("bob@judge.test", password), "235")
	wantStart(t, "alice, who has logged in there", bad.smtp("alice@judge.test", password), "235")

	s.logged(`level=WARN msg="logins blocked" network=127\.0\.0\.2 .*failures=10 names=1 protocol=web`)
	s.wantBlocks("127.0.0.2")
	s.wantMetrics(`postroom_logins_failed_total{protocol="pop3"} 4`, `postroom_logins_failed_total{protocol="submission"} 4`,
		`postroom_logins_failed_total{protocol="web"} 2`, "postroom_login_blocks 1")

	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	s.start()
	wantStart(t, "after a restart", bad.pop3("bob@judge.test", password), "-ERR [SYS/TEMP] "+blocked)
	s.blockGuessers(false)
	wantStart(t, "switched off", bad.pop3("bob@judge.test", password), "+OK")
	s.blockGuessers(true)
	wantStart(t, "switched on again", bad.pop3("nobody@judge.test", password), "-ERR [SYS/TEMP] "+blocked)

	out, err := s.Command(t.Context(), "", "login", "forgive", "127.0.0.2")
	if err != nil || string(out) != "127.0.0.2 may log in again.\n" {
		t.Errorf("forgive says %q, %v", out, err)
	}
	wantStart(t, "forgiven", bad.pop3("nobody@judge.test", password), "-ERR [AUTH]")
	s.wantBlocks()

	if _, err := s.Command(t.Context(), "", "block", "add", "127.0.0.3/32"); err != nil {
		t.Fatal(err)
	}
	wantStart(t, "blocked by the admin", owner.pop3("bob@judge.test", password), "-ERR [SYS/TEMP] Your address may not log in here")
	wantStart(t, "blocked by the admin", owner.smtp("bob@judge.test", password), "454 4.7.0 Your address may not log in here")
	if code, page := owner.signIn("bob@judge.test", password); code != http.StatusTooManyRequests || !strings.Contains(page, "An administrator") {
		t.Errorf("the web answers %d", code)
	}
}

// One password, many names, a few tries from each address.
func TestOnePasswordForEverybody(t *testing.T) {
	s := startSite(t)
	for i := range 30 {
		g := guesser{t, s, fmt.Sprintf("127.0.1.%d", 1+i/5)}
		wantStart(t, g.ip, g.pop3(fmt.Sprintf("user%d@judge.test", i), "Summer2026"), "-ERR [AUTH]")
	}
	neighbour, elsewhere := guesser{t, s, "127.0.1.200"}, guesser{t, s, "127.0.2.1"}
	wantStart(t, "in the same network", neighbour.smtp("alice@judge.test", password), "454 4.7.0 Too many failed logins")
	wantStart(t, "in another", elsewhere.smtp("alice@judge.test", password), "235")
	s.wantBlocks("127.0.1.0/24")
	if out, err := s.Command(t.Context(), "", "login", "forgive", "127.0.1.200"); err != nil || string(out) != "127.0.1.0/24 may log in again.\n" {
		t.Errorf("forgive says %q, %v", out, err)
	}
	wantStart(t, "forgiven", neighbour.pop3("alice@judge.test", password), "+OK")
}

// blockGuessers changes the configuration while the server runs.
func (s *site) blockGuessers(on bool) {
	s.t.Helper()
	text, err := os.ReadFile(s.Config())
	if err != nil {
		s.t.Fatal(err)
	}
	changed := regexp.MustCompile(`\[auth\]\n(block_guessers.*\n)?`).ReplaceAllString(string(text), fmt.Sprintf("[auth]\nblock_guessers = %t\n", on))
	before, err := os.ReadFile(s.Log())
	if err := errors.Join(err, os.WriteFile(s.Config(), []byte(changed), 0o600)); err != nil {
		s.t.Fatal(err)
	}
	if err := syscall.Kill(s.PID(), syscall.SIGHUP); err != nil {
		s.t.Fatal(err)
	}
	s.until("the configuration is read", func() bool {
		now, err := os.ReadFile(s.Log())
		return err == nil && strings.Contains(string(now[len(before):]), "read the configuration")
	})
}

func (s *site) wantBlocks(want ...string) {
	s.t.Helper()
	var blocks []admin.LoginBlock
	s.list(&blocks, "login", "blocks")
	var got []string
	for _, b := range blocks {
		got = append(got, b.Network)
		if left := time.Until(b.Until); left <= 0 || left > 10*time.Minute {
			s.t.Errorf("%s is blocked for %v", b.Network, left)
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		s.t.Errorf("blocked are %q, want %q", got, want)
	}
}

func (s *site) wantMetrics(want ...string) {
	s.t.Helper()
	resp, err := http.Get("http://" + s.logged(`service=metrics address=(\S+)`)[1] + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, line := range want {
		if !strings.Contains(string(text), "\n"+line+"\n") {
			s.t.Errorf("the metrics have no %s", line)
		}
	}
}
