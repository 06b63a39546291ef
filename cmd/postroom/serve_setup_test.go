package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/smtp"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// processLimit is how long a process may take for anything.
const processLimit = 30 * time.Second

// A served is a server that runs as a process of its own.
type served struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  chan string // of the stream that tells when it is ready
	screen bytes.Buffer
	other  lockedBuffer // the other stream
	ports  map[string]string
}

// A lockedBuffer can be read while a process writes it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// anyPorts lets the kernel choose all ports.
func anyPorts() []string {
	var env []string
	for _, service := range []string{"SMTP", "SUBMISSION", "SUBMISSIONS", "POP3", "POP3S", "WEB"} {
		env = append(env, "POSTROOM_LISTEN_"+service+"=127.0.0.1:0")
	}
	return env
}

// command prepares the program in the folder dir.
func command(t *testing.T, dir string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 8*processLimit)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, postroom(t), args...)
	cmd.Dir = dir
	cmd.Env = append([]string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}, env...)
	return cmd
}

// startLocal starts local mode in dir and waits for its first screen.
func startLocal(t *testing.T, dir string, env ...string) *served {
	t.Helper()
	s := &served{t: t, cmd: command(t, dir, append(anyPorts(), env...), "serve"), ports: make(map[string]string)}
	s.cmd.Stderr = &s.other
	s.start(s.cmd.StdoutPipe())
	s.await("Ctrl-C")
	rows := strings.Split(s.screen.String(), "\n")
	for i, row := range rows {
		if names := strings.Fields(row); len(names) > 2 && names[0] == "smtp" {
			for j, addr := range strings.Fields(rows[i+1]) {
				s.ports[names[j]] = addr
			}
		}
	}
	return s
}

// startWith starts a server with the configuration file and waits until it
// listens.
func startWith(t *testing.T, file string, env ...string) *served {
	t.Helper()
	s := &served{t: t, cmd: command(t, filepath.Dir(file), append(anyPorts(), env...), "serve", "--config", file), ports: make(map[string]string)}
	s.cmd.Stdout = &s.other
	s.start(s.cmd.StderrPipe())
	listening := regexp.MustCompile(`msg=listening service=(\S+) address=(\S+)`)
	for s.ports["web"] == "" {
		if m := listening.FindStringSubmatch(s.await("msg=listening")); m != nil {
			s.ports[m[1]] = m[2]
		}
	}
	return s
}

func (s *served) start(stream io.ReadCloser, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.lines = make(chan string, 1000)
	go func() {
		defer close(s.lines)
		for scanner := bufio.NewScanner(stream); scanner.Scan(); {
			s.lines <- scanner.Text()
		}
	}()
	s.t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			_ = s.cmd.Process.Kill() // it may have ended by itself
			_ = s.cmd.Wait()
		}
		if s.t.Failed() {
			s.t.Logf("screen:\n%s\nother stream:\n%s", &s.screen, &s.other)
		}
	})
}

// await returns the next line that holds text.
func (s *served) await(text string) string {
	s.t.Helper()
	timeout := time.After(processLimit)
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				s.t.Fatalf("ended without %q", text)
			}
			fmt.Fprintln(&s.screen, line)
			if strings.Contains(line, text) {
				return line
			}
		case <-timeout:
			s.t.Fatalf("%q doesn't come", text)
		}
	}
}

// end sends a signal and returns the exit status, -1 after a kill.
func (s *served) end(signal os.Signal) int {
	s.t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
	for line := range s.lines {
		fmt.Fprintln(&s.screen, line)
	}
	return exitStatus(s.t, s.cmd.Wait())
}

func exitStatus(t *testing.T, err error) int {
	t.Helper()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return failed.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0
}

// passwords reads the first screen: one account a line, address, blanks,
// password.
func (s *served) passwords() map[string]string {
	found := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^\s*(\S+@\S+)\s+(\S+)$`).FindAllStringSubmatch(s.screen.String(), -1) {
		found[m[1]] = m[2]
	}
	return found
}

// trusting is a TLS configuration for the self-signed certificate of data.
func trusting(t *testing.T, data string) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(data, selfSignedFile))
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{RootCAs: poolOf(t, pem), ServerName: "127.0.0.1"}
}

// submit sends a mail over STARTTLS the way a mail program does.
func (s *served) submit(conf *tls.Config, from, secret, to, text string) {
	s.t.Helper()
	c, err := smtp.Dial(s.ports["submission"])
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	if err := errors.Join(c.StartTLS(conf), c.Auth(smtp.PlainAuth("", from, secret, "127.0.0.1")), c.Mail(from), c.Rcpt(to)); err != nil {
		s.t.Fatal(err)
	}
	w, err := c.Data()
	if err != nil {
		s.t.Fatal(err)
	}
	fmt.Fprintf(w, "From: %s\r\nTo: %s\r\nSubject: test\r\n\r\n%s\r\n", from, to, text)
	if err := errors.Join(w.Close(), c.Quit()); err != nil {
		s.t.Fatal(err)
	}
}

// collect logs in over TLS and returns the first message of the maildrop.
func (s *served) collect(conf *tls.Config, user, secret string) string {
	s.t.Helper()
	conn, err := tls.Dial("tcp", s.ports["pop3s"], conf)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	pop := textproto.NewConn(conn)
	for _, command := range []string{"", "USER " + user, "PASS " + secret, "RETR 1"} {
		if command != "" {
			if err := pop.PrintfLine("%s", command); err != nil {
				s.t.Fatal(err)
			}
		}
		if line, err := pop.ReadLine(); err != nil || !strings.HasPrefix(line, "+OK") {
			s.t.Fatalf("after %.4q: %q, %v", command, line, err)
		}
	}
	text, err := pop.ReadDotBytes()
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}
