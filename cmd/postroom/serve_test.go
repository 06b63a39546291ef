package main

import (
	"bufio"
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postroom/store/sqlite"
)

func TestLocalMode(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "postroom-data")
	s := startLocal(t, dir)
	passwords := s.passwords()
	if len(passwords) != 3 {
		t.Fatalf("shows %d passwords:\n%s", len(passwords), &s.screen)
	}
	conf := trusting(t, data)
	s.submit(conf, "alice@example.test", passwords["alice@example.test"], "bob@example.test", "Hello from alice.")
	if got := s.collect(conf, "bob", passwords["bob@example.test"]); !strings.Contains(got, "Hello from alice.") {
		t.Errorf("collected:\n%s", got)
	}
	if !strings.Contains(s.screen.String(), "http://"+s.ports["web"]+"/") {
		t.Error("doesn't show the web page's address")
	}
	for _, secret := range passwords {
		assertNotKept(t, data, secret)
	}

	second := command(t, dir, anyPorts(), "serve")
	out, err := second.CombinedOutput()
	if status := exitStatus(t, err); status != statusFailed || !strings.Contains(string(out), "running already") {
		t.Errorf("a second server: status %d: %s", status, out)
	}
	if status := s.end(unix.SIGTERM); status != statusDone {
		t.Errorf("SIGTERM: status %d", status)
	}

	again := startLocal(t, dir)
	if len(again.passwords()) != 0 || !strings.Contains(again.screen.String(), "account passwd alice@example.test") {
		t.Errorf("at the second start:\n%s", &again.screen)
	}
	if got := again.collect(conf, "bob@example.test", passwords["bob@example.test"]); !strings.Contains(got, "Hello from alice.") {
		t.Errorf("after a new start collected:\n%s", got)
	}
	if status := again.end(unix.SIGINT); status != statusDone {
		t.Errorf("SIGINT: status %d", status)
	}
}

// A notice that comes late finds a full maildrop.
func TestQuotaNoticeComesSoon(t *testing.T) {
	dir := t.TempDir()
	s := startLocal(t, dir)
	add := command(t, dir, nil, "account", "add", "carol@example.test", "--generate", "--quota", "10KB")
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	conf, password := trusting(t, filepath.Join(dir, "postroom-data")), s.passwords()["alice@example.test"]
	s.submit(conf, "alice@example.test", password, "carol@example.test", strings.Repeat("12345678\r\n", 860))
	for deadline := time.Now().Add(processLimit); ; {
		out, err := command(t, dir, nil, "account", "show", "carol@example.test", "--json").Output()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), `"messages": 2,`) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no notice: %s", out)
		}
	}
}

func TestLocalModeWithOtherAccounts(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{{"domain", "add", "my.example"}, {"account", "add", "me@my.example", "--generate"}} {
		if out, err := command(t, dir, nil, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	cmd := command(t, dir, anyPorts(), "serve")
	s := &served{t: t, cmd: cmd, ports: make(map[string]string)}
	cmd.Stderr = &s.other
	s.start(cmd.StdoutPipe())
	s.await("account list")
	s.await("Ctrl-C")
	if screen := s.screen.String(); strings.Contains(screen, "alice") {
		t.Errorf("speaks of accounts that aren't here:\n%s", screen)
	}
	if status := s.end(unix.SIGTERM); status != statusDone {
		t.Errorf("status %d", status)
	}
}

// assertNotKept fails if a secret is in the clear anywhere in the data folder.
func assertNotKept(t *testing.T, data, secret string) {
	t.Helper()
	err := filepath.WalkDir(data, func(file string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(file)
		if err == nil && bytes.Contains(content, []byte(secret)) {
			t.Errorf("a password is in %s", file)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// What the first screen says to type works when it is typed.
func TestLocalModeSaysWhatToType(t *testing.T) {
	need(t, "curl", "curl")
	s := startLocal(t, t.TempDir())
	_, rest, _ := strings.Cut(s.screen.String(), "Send a mail")
	send, collect, ok := strings.Cut(rest, "Collect it:")
	if !ok {
		t.Fatalf("the first screen:\n%s", &s.screen)
	}
	_, send, _ = strings.Cut(send, "\n")
	collect, _, _ = strings.Cut(collect, "The web page")
	for _, typed := range []string{send, collect} {
		out, err := exec.Command("sh", "-c", typed).CombinedOutput()
		if err != nil {
			t.Fatalf("%s\n%v: %s", typed, err, out)
		}
		if typed == collect && !strings.Contains(string(out), "Subject: Hello") {
			t.Errorf("collected:\n%s", out)
		}
	}
}

func TestKillAndStartAgain(t *testing.T) {
	dir := t.TempDir()
	s := startLocal(t, dir)
	passwords := s.passwords()
	conf := trusting(t, filepath.Join(dir, "postroom-data"))
	s.submit(conf, "alice@example.test", passwords["alice@example.test"], "bob@example.test", "Before the crash.")
	s.end(unix.SIGKILL)

	again := startLocal(t, dir)
	if got := again.collect(conf, "bob", passwords["bob@example.test"]); !strings.Contains(got, "Before the crash.") {
		t.Errorf("collected:\n%s", got)
	}
	poll(t, "the trace knows that it was collected", func() bool {
		out, err := command(t, dir, nil, "trace", "bob@example.test").CombinedOutput()
		if err != nil {
			t.Fatalf("trace: %v\n%s", err, out)
		}
		return strings.Contains(string(out), "collected")
	})
}

// A stop that comes as soon as the ports are open, before the data is, is one
// like any other.
func TestStopDuringTheStart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	for range 5 {
		cmd := command(t, t.TempDir(), append(anyPorts(), "POSTROOM_LISTEN_SMTP="+addr), "serve")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		dialAtOnce(t, addr).Close()
		if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if status := exitStatus(t, cmd.Wait()); status != statusDone {
			t.Errorf("status %d", status)
		}
	}
}

// dialAtOnce connects to addr the moment that somebody listens there.
func dialAtOnce(t *testing.T, addr string) net.Conn {
	t.Helper()
	for until := time.Now().Add(processLimit); time.Now().Before(until); {
		if c, err := net.Dial("tcp", addr); err == nil {
			return c
		}
	}
	t.Fatalf("nobody listens on %s", addr)
	return nil
}

func TestStartMistakes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, taken, _ := net.SplitHostPort(l.Addr().String())
	for _, test := range []struct {
		it   string
		env  []string
		args []string
		want []string
	}{
		{"names a port that is in use", append(anyPorts(), "POSTROOM_LISTEN_POP3=127.0.0.1:"+taken), nil, []string{"listen.pop3", "port " + taken, "in use"}},
		{"names a port of the web that is in use", append(anyPorts(), "POSTROOM_LISTEN_HTTPS=127.0.0.1:"+taken), nil, []string{"listen.https", "port " + taken, "in use"}},
		{"names an address that isn't ours", append(anyPorts(), "POSTROOM_LISTEN_SMTP=192.0.2.1:2525"), nil, []string{"listen.smtp", "192.0.2.1", "2525"}},
		{"names a variable of the wrong type", append(anyPorts(), "POSTROOM_SMTP_MAX_RECIPIENTS=many"), nil, []string{"smtp.max_recipients"}},
		{"names a file that isn't there", anyPorts(), []string{"--config", "nowhere.toml"}, []string{"nowhere.toml"}},
	} {
		t.Run(test.it, func(t *testing.T) {
			dir := t.TempDir()
			out, err := command(t, dir, test.env, append([]string{"serve"}, test.args...)...).CombinedOutput()
			if status := exitStatus(t, err); status != statusUsage {
				t.Errorf("status %d", status)
			}
			for _, want := range test.want {
				if !strings.Contains(string(out), want) || strings.Count(string(out), "\n") != 1 {
					t.Errorf("says %q, want one line with %q", out, want)
				}
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
				t.Errorf("touched the folder: %v, %v", left, err)
			}
		})
	}
}

func TestNewerDataIsRefused(t *testing.T) {
	p := newPlace(t)
	p.do("", "domain", "add", "example.org")
	db, err := sql.Open("sqlite3", filepath.Join(p.data, sqlite.FileName))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	p.env = append(p.env, anyPorts()...)
	for _, args := range [][]string{{"serve"}, {"domain", "list"}} {
		if got := p.fails(statusFailed, "", args...); !strings.Contains(got, "newer version of postroom") {
			t.Errorf("%v: %s", args, got)
		}
	}
}

func TestHangup(t *testing.T) {
	data := t.TempDir()
	text := func(size string) string {
		return fmt.Sprintf("hostname = \"mail.example.org\"\ndata = %q\n[listen]\nmetrics = [\"127.0.0.1:0\"]\n[smtp]\nmax_message_size = %q\n", data, size)
	}
	file := writeConfig(t, text("1MB"))
	s := startWith(t, file)
	old, err := smtp.Dial(s.ports["smtp"])
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if _, size := old.Extension("SIZE"); size != "1000000" {
		t.Fatalf("SIZE %s at the start", size)
	}

	hangup := func(text, says string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.cmd.Process.Signal(unix.SIGHUP); err != nil {
			t.Fatal(err)
		}
		s.await(says)
	}
	sizeNow := func() string {
		t.Helper()
		c, err := smtp.Dial(s.ports["smtp"])
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, size := c.Extension("SIZE")
		return size
	}
	hangup(text("2MB"), "changed=[smtp.max_message_size]")
	if got := sizeNow(); got != "2000000" {
		t.Errorf("SIZE %s after SIGHUP", got)
	}
	hangup(text("huge"), "smtp.max_message_size")
	if got := sizeNow(); got != "2000000" {
		t.Errorf("SIZE %s after a mistake", got)
	}
	if err := old.Noop(); err != nil {
		t.Errorf("an old session: %v", err)
	}
	if status := s.end(unix.SIGTERM); status != statusDone {
		t.Errorf("SIGTERM: status %d", status)
	}
	if strings.Contains(s.screen.String(), "level=ERROR msg=\"a service") {
		t.Error("a service failed")
	}
}

func TestLimitsCountAllListenersOfAService(t *testing.T) {
	file := writeConfig(t, fmt.Sprintf("hostname = \"mail.example.org\"\ndata = %q\n"+
		"[listen]\nmetrics = [\"127.0.0.1:0\"]\nproxy_trusted = [\"127.0.0.0/8\"]\n[smtp]\nmax_connections_per_address = 1\n", t.TempDir()))
	s := startWith(t, file, "POSTROOM_LISTEN_SMTP=127.0.0.1:0,127.0.0.2:0")
	ports := regexp.MustCompile(`service=smtp address=(\S+)`).FindAllStringSubmatch(s.screen.String(), -1)
	if len(ports) != 2 {
		t.Fatalf("it listens on %q", ports)
	}
	for i, want := range []string{"220 ", "421 "} {
		c, err := net.Dial("tcp", ports[i][1])
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "PROXY TCP4 198.51.100.7 192.0.2.25 999 25\r\n"); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(processLimit)); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(c).ReadString('\n'); !strings.HasPrefix(line, want) {
			t.Errorf("listener %d says %q, %v; want %s", i, line, err, want)
		}
	}
	if status := s.end(unix.SIGTERM); status != statusDone {
		t.Errorf("SIGTERM: status %d", status)
	}
}

func TestHealthAndMetrics(t *testing.T) {
	data := t.TempDir()
	s := startWith(t, writeConfig(t, fmt.Sprintf("data = %q\n", data)), "POSTROOM_LISTEN_METRICS=127.0.0.1:0")
	metrics := regexp.MustCompile(`service=metrics address=(\S+)`).FindStringSubmatch(s.await("service=metrics"))[1]
	visitor, err := net.Dial("tcp", s.ports["pop3"])
	if err != nil {
		t.Fatal(err)
	}
	defer visitor.Close()
	if _, err := bufio.NewReader(visitor).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	for want, path := range map[string]string{
		"ok\n":                                   "/healthz",
		"ready\n":                                "/readyz",
		`postroom_connections{service="pop3"} 1`: "/metrics",
		`postroom_deliveries_total{outcome="sent"} 0`: "/metrics",
		"postroom_delivery_connections 0\n":           "/metrics",
		"postroom_queue_length 0\n":                   "/metrics",
	} {
		resp, err := http.Get("http://" + metrics + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: %v, %s, want %q:\n%s", path, err, resp.Status, want, body)
		}
	}
}
