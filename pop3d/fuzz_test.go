package pop3d_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
)

// FuzzSession: whatever a client sends, the server doesn't panic, answers in
// CRLF lines, and deletes nothing without a QUIT.
func FuzzSession(f *testing.F) {
	f.Add("STAT\r\nLIST\r\nUIDL 1\r\nTOP 1 3\r\nRETR 4\r\nDELE 1\r\nRSET\r\nQUIT\r\n", true)
	f.Add("CAPA\r\nAUTH PLAIN\r\n*\r\nAUTH LOGIN =\r\n\r\nUSER alice\r\nPASS secret\r\nDELE 3\r\n", false)
	f.Add("\r\n\r\n\x00\r\nQUIT\n\r\nSTLS\r\nUTF8\r\nNOOP\rx\r\n", false)
	f.Fuzz(func(t *testing.T, input string, loggedIn bool) {
		store := newFakeStore(messages...)
		s := newServer(t, store)
		s.TLS = nil // a handshake would wait for bytes that don't come
		var log bytes.Buffer
		s.Log = slog.New(slog.NewTextHandler(&log, nil))
		if loggedIn {
			input = "USER alice\r\nPASS secret\r\n" + input
		}
		output := converse(t, s.Serve, input)
		if strings.Contains(log.String(), "panicked") {
			t.Errorf("%s", log.String())
		}
		if strings.ContainsAny(strings.ReplaceAll(output, "\r\n", ""), "\r\n") || !strings.HasPrefix(output, "+OK ") {
			t.Errorf("answered %q", output)
		}
		if len(store.removals) > 0 && !strings.Contains(strings.ToUpper(input), "QUIT") {
			t.Errorf("deleted %v", store.removals)
		}
	})
}

// converse sends input over a connection in memory, hangs up, and returns what
// the server has said once Serve has returned.
func converse(t *testing.T, serve func(context.Context, net.Listener) error, input string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- serve(ctx, l) }()
	ours, theirs := net.Pipe()
	l.conns <- &heldConn{Conn: theirs, input: strings.NewReader(input)}
	output, err := io.ReadAll(ours)
	if err != nil {
		t.Errorf("read: %v", err)
	}
	ours.Close()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
	return string(output)
}

// A heldConn has its whole input at hand.
type heldConn struct {
	net.Conn
	input io.Reader
}

func (c *heldConn) Read(p []byte) (int, error) { return c.input.Read(p) }
