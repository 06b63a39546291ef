package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// startLimit is how long a server may take until it answers; a judge may ask for less.
const startLimit = 30 * time.Second

// stopLimit is the time sessions have to finish, and some to close the database.
const stopLimit = 20 * time.Second

// A Server is a postroom that runs as a child process, with its configuration
// and data in one folder and all of its ports on loopback. It may be started
// again after it was stopped or killed.
type Server struct {
	Program string   // the executable
	Dir     string   // holds postroom.toml, server.log and data
	Env     []string // further variables, such as POSTROOM_DELIVERY_PORT=2526
	Wrap    []string // a command to run it under; it must exec the program in its own process

	SMTP, Submission, Submissions, POP3, POP3S string // addresses

	cmd  *exec.Cmd
	log  *os.File
	done chan struct{} // closed when the process has ended
	err  error         // of Wait, once done is closed
}

// NewServer chooses ports and writes a configuration into dir: no limits, no
// checks that ask DNS, logins without TLS. Environment variables in Env, which
// the caller may set before Start, take precedence over it.
func NewServer(program, dir string) (*Server, error) {
	addrs, err := freeAddrs("127.0.0.1", 5)
	if err != nil {
		return nil, err
	}
	s := &Server{Program: program, Dir: dir, SMTP: addrs[0], Submission: addrs[1], Submissions: addrs[2], POP3: addrs[3], POP3S: addrs[4]}
	if err := os.WriteFile(s.Config(), []byte(s.settings()), 0o600); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	return s, nil
}

// Config returns the path of the configuration file.
func (s *Server) Config() string { return filepath.Join(s.Dir, "postroom.toml") }

// Data returns the path of the data folder.
func (s *Server) Data() string { return filepath.Join(s.Dir, "data") }

// Log returns the path of the file that holds what the server prints.
func (s *Server) Log() string { return filepath.Join(s.Dir, "server.log") }

func (s *Server) settings() string {
	return fmt.Sprintf(`hostname = "mx.judge.test"
data = %q

[listen]
smtp = [%q]
submission = [%q]
submissions = [%q]
pop3 = [%q]
pop3s = [%q]
web = []
metrics = []

[smtp]
max_connections = 5000
max_connections_per_address = 5000

[inbound]
spf = "off"
dkim = "off"
dmarc = "off"
own_domains = "off"

[auth]
require_tls = false

[limits]
messages_per_hour = 1000000000
recipients_per_day = 1000000000
`, s.Data(), s.SMTP, s.Submission, s.Submissions, s.POP3, s.POP3S)
}

// Start runs the server and returns once it answers on every port, with the
// time that took. It fails if the server ends before.
func (s *Server) Start(ctx context.Context) (time.Duration, error) {
	begin := time.Now()
	if err := s.Launch(); err != nil {
		return 0, err
	}
	for _, addr := range []string{s.SMTP, s.Submission, s.POP3} {
		if err := s.awaitGreeting(ctx, addr); err != nil {
			return 0, errors.Join(err, s.Kill())
		}
	}
	return time.Since(begin), nil
}

// Launch starts the process without waiting until it answers.
func (s *Server) Launch() error {
	log, err := os.OpenFile(s.Log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	argv := append(append([]string{}, s.Wrap...), s.Program, "serve", "--config", s.Config())
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = s.environ(), s.Dir, log, log
	// Its own group: Ctrl-C reaches the one who started us, who stops it in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		log.Close()
		return fmt.Errorf("start server: %w", err)
	}
	s.cmd, s.log, s.done = cmd, log, make(chan struct{})
	go func() {
		s.err = cmd.Wait()
		log.Close()
		close(s.done)
	}()
	return nil
}

func (s *Server) environ() []string {
	return append(append(os.Environ(), "POSTROOM_CONFIG="+s.Config()), s.Env...)
}

func (s *Server) awaitGreeting(ctx context.Context, addr string) error {
	err := until(ctx, startLimit, 2*time.Millisecond, func() (bool, error) {
		select {
		case <-s.done:
			return false, fmt.Errorf("server ended: %v: %s", s.err, s.LogTail())
		default:
			return greets(addr), nil
		}
	})
	if err != nil {
		return fmt.Errorf("wait for %s: %w", addr, err)
	}
	return nil
}

func greets(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	b := make([]byte, 3)
	_, err = conn.Read(b)
	return err == nil && (string(b) == "220" || string(b) == "+OK")
}

// PID returns the process id of the server.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Done is closed when the process has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// Kill ends the server with SIGKILL, as a crash would, and waits for its end.
// Killing one that has ended does nothing.
func (s *Server) Kill() error {
	if s.cmd == nil {
		return nil
	}
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill server: %w", err)
	}
	<-s.done
	return nil
}

// Stop ends the server with SIGTERM. It fails if the server doesn't end in
// time, and is killed then, or if its exit status isn't 0.
func (s *Server) Stop() error {
	if s.cmd == nil {
		return nil
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(stopLimit):
		return errors.Join(fmt.Errorf("server did not stop within %v", stopLimit), s.Kill())
	}
	if s.err != nil {
		return fmt.Errorf("stop server: %w: %s", s.err, s.LogTail())
	}
	return nil
}

// Command runs one postroom command against this server and returns what it
// printed. On failure the error holds its standard error.
func (s *Server) Command(ctx context.Context, stdin string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, s.Program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = s.environ(), s.Dir, strings.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.Bytes(), fmt.Errorf("postroom %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.Bytes(), nil
}

// AddAccounts makes accounts with one password, and their domains.
func (s *Server) AddAccounts(ctx context.Context, password string, addresses ...string) error {
	made := make(map[string]bool)
	for _, address := range addresses {
		_, domain, _ := strings.Cut(address, "@")
		if !made[domain] {
			if _, err := s.Command(ctx, "", "domain", "add", domain); err != nil {
				return err
			}
			made[domain] = true
		}
		if _, err := s.Command(ctx, password+"\n", "account", "add", address, "--password-stdin"); err != nil {
			return err
		}
	}
	return nil
}

// LogTail returns the end of what the server printed.
func (s *Server) LogTail() string {
	b, err := os.ReadFile(s.Log())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}

// WALSize returns the size of the write-ahead log in octets, 0 if there is none.
func (s *Server) WALSize() int64 {
	info, err := os.Stat(filepath.Join(s.Data(), "postroom.db-wal"))
	if err != nil {
		return 0
	}
	return info.Size()
}

// DBSize returns the size of the database in octets, without its WAL.
func (s *Server) DBSize() int64 {
	info, err := os.Stat(filepath.Join(s.Data(), "postroom.db"))
	if err != nil {
		return 0
	}
	return info.Size()
}
