package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"postroom/cmd/postroom/bench"
)

// password is that of every account in these tests.
const password = "correct horse battery"

// buildProgram builds the program once for all tests that run it as a process
// of its own, into the folder that programDir gives.
var (
	buildProgram = sync.OnceValues(func() (string, error) {
		dir, err := programDir()
		if err != nil {
			return "", err
		}
		file := filepath.Join(dir, "postroom")
		if out, err := exec.Command("go", "build", "-o", file, ".").CombinedOutput(); err != nil {
			return "", fmt.Errorf("go build: %w: %s", err, out)
		}
		return file, nil
	})
	programDir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "postroom-e2e-") })
)

func TestMain(m *testing.M) {
	status := m.Run()
	if dir, err := programDir(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(status)
}

// postroom returns the path of the program.
func postroom(t *testing.T) string {
	t.Helper()
	file, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// need skips the test without a program from a Debian package.
func need(t *testing.T, program, debianPackage string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("needs %s (Debian package %s)", program, debianPackage)
	}
}

// needRoot skips the test for everybody else.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// A site is a running server with accounts, stopped when the test ends.
type site struct {
	*bench.Server
	t *testing.T
}

// prepareSite makes a server that isn't started yet.
func prepareSite(t *testing.T, env ...string) *site {
	t.Helper()
	return prepareSiteIn(t, t.TempDir(), env...)
}

func prepareSiteIn(t *testing.T, dir string, env ...string) *site {
	t.Helper()
	server, err := bench.NewServer(postroom(t), dir)
	if err != nil {
		t.Fatal(err)
	}
	server.Env = env
	s := &site{server, t}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's log ends with:\n%s", s.LogTail())
		}
		if err := s.Kill(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// start starts it.
func (s *site) start() {
	s.t.Helper()
	if _, err := s.Start(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// stop ends it the way an admin does.
func (s *site) stop() {
	s.t.Helper()
	if err := s.Stop(); err != nil {
		s.t.Fatal(err)
	}
}

// startSite starts a server with alice@judge.test and bob@judge.test.
func startSite(t *testing.T, env ...string) *site {
	t.Helper()
	s := prepareSite(t, env...)
	s.start()
	s.addAccounts("alice@judge.test", "bob@judge.test")
	return s
}

func (s *site) addAccounts(addresses ...string) {
	s.t.Helper()
	if err := s.AddAccounts(s.t.Context(), password, addresses...); err != nil {
		s.t.Fatal(err)
	}
}

// list runs a command with --json and reads what it prints into v.
func (s *site) list(v any, args ...string) {
	s.t.Helper()
	out, err := s.Command(s.t.Context(), "", append(args, "--json")...)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := json.Unmarshal(out, v); err != nil {
		s.t.Fatalf("postroom %s --json: %v: %s", strings.Join(args, " "), err, out)
	}
}

// open logs in to a maildrop.
func (s *site) open(account string) *bench.POP3Client {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	c, err := bench.OpenMaildrop(ctx, s.POP3, account, password)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	return c
}

// await waits until a maildrop holds n messages and returns their bytes, as a
// POP3 client gets them.
func (s *site) await(account string, n int) [][]byte {
	s.t.Helper()
	var c *bench.POP3Client
	s.until(account+" has mail", func() bool {
		c = s.open(account)
		count, err := c.Count()
		if err != nil {
			s.t.Fatal(err)
		}
		if count < n {
			_ = c.Quit()
		}
		return count >= n
	})
	var contents [][]byte
	for i := range n {
		content, err := c.Retrieve(i + 1)
		if err != nil {
			s.t.Fatal(err)
		}
		contents = append(contents, content)
	}
	if err := c.Quit(); err != nil {
		s.t.Fatal(err)
	}
	return contents
}

// until polls a condition that another process makes true.
func (s *site) until(what string, ok func() bool) {
	s.t.Helper()
	poll(s.t, what, ok)
}

func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(90 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// send hands a message to the server's port for other servers.
func (s *site) send(from, to string, message []byte) string {
	s.t.Helper()
	reply, err := sendVia(s.t.Context(), s.SMTP, "", from, to, message)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply
}

// submit sends a message as one of our users.
func (s *site) submit(from, to string, message []byte) string {
	s.t.Helper()
	reply, err := sendVia(s.t.Context(), s.Submission, from, from, to, message)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply
}

// sendVia sends one message and returns the last reply. With an empty login it
// doesn't log in.
func sendVia(ctx context.Context, addr, login, from, to string, message []byte) (string, error) {
	c, err := bench.DialSMTP(ctx, addr)
	if err != nil {
		return "", err
	}
	defer c.Quit()
	if login != "" {
		if err := c.Login(login, password); err != nil {
			return "", err
		}
	}
	if _, err := c.Begin(from, to); err != nil {
		return "", err
	}
	reply, _, err := c.Data(bench.DotStuff(message))
	return reply, err
}

// endsWith fails unless got is want behind header lines of ours, and nothing else.
func endsWith(t *testing.T, got, want []byte) {
	t.Helper()
	if !bytes.HasSuffix(got, want) {
		i := 0
		for i < min(len(got), len(want)) && got[len(got)-1-i] == want[len(want)-1-i] {
			i++
		}
		t.Fatalf("%d octets were sent; of the %d that came only the last %d are the same: %.200q", len(want), len(got), i, got)
	}
	for line := range bytes.Lines(got[:len(got)-len(want)]) {
		name, _, _ := strings.Cut(string(line), ":")
		switch {
		case line[0] == ' ', line[0] == '\t':
		case name == "Return-Path", name == "Delivered-To", name == "Received", name == "Authentication-Results", name == "DKIM-Signature":
		default:
			t.Fatalf("in front stands %.100q", line)
		}
	}
}

// runProgram runs a program from elsewhere and returns what it printed.
func runProgram(t *testing.T, stdin []byte, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin, cmd.Env = bytes.NewReader(stdin), append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

// write makes a file that only its owner reads, as mail programs demand of
// files with passwords.
func write(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
