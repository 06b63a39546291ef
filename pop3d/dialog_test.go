package pop3d_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"postroom/pop3d"
)

// TestDialogs plays the files in testdata. A line of them is one of:
//
//	SET require_tls|implicit_tls|one_byte|broken|fail_open|fail_entries|fail_remove
//	C: a line that the client sends; R: "octets" without a line end, quoted as in Go
//	S: the line that the server answers; S^: how it begins; SQ: quoted
//	TLS: the client does its handshake      CLOSE: it hangs up
//	EOF: the server has closed the connection; NODOT: in the middle of a message
//	STATE: what the store holds when the session is over
//
// The maildrop is alice's, with the messages below.
func TestDialogs(t *testing.T) {
	files, err := filepath.Glob("testdata/*.dialog")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogs: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".dialog"), func(t *testing.T) { play(t, file) })
	}
}

var messages = []string{
	"Subject: one\r\n\r\nfirst\r\n.\r\n..second\r\n\r\nlast\r\n", // 44 octets
	"Subject: no body\r\nTo: a\r\n",                              // 25 octets
	"Subject: empty body\r\n\r\n",                                // 23 octets
	"Subject: \xc3\xa4\r\n\r\n\x80\xff 8-bit\r\n",                // 25 octets
}

func play(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f := newFakeStore(messages...)
	s := newServer(t, f)
	var c *client
	var stop func()
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		verb, arg, _ := strings.Cut(line, " ")
		if verb == "SET" {
			configure(t, f, s, arg)
			continue
		}
		if c == nil {
			var address string
			address, stop = serve(t, s)
			c = dial(t, address)
		}
		t.Logf("%s:%d: %s", file, i+1, line)
		c = act(t, c, verb, arg)
		if verb == "STATE:" {
			stop()
			if got := f.state(); got != arg {
				t.Fatalf("the store has %s", got)
			}
		}
	}
}

func configure(t *testing.T, f *fakeStore, s *pop3d.Server, what string) {
	t.Helper()
	trouble := errors.New("disk on fire")
	switch what {
	case "require_tls":
		s.RequireTLS = true
	case "implicit_tls":
		s.RequireTLS, s.ImplicitTLS, s.Name = true, true, "pop3s"
	case "scram":
		s.SCRAM = true
	case "no_tls":
		s.TLS = nil
	case "one_byte":
		f.oneByte = true
	case "broken":
		f.broken = true
	case "fail_open":
		f.openErr = trouble
	case "fail_entries":
		f.entriesErr = trouble
	case "fail_remove":
		f.removeErr = trouble
	default:
		t.Fatalf("what is SET %q?", what)
	}
}

func act(t *testing.T, c *client, verb, arg string) *client {
	t.Helper()
	switch verb {
	case "C:":
		c.send(arg + "\r\n")
	case "R:":
		raw, err := strconv.Unquote(arg)
		if err != nil {
			t.Fatal(err)
		}
		c.send(raw)
	case "S:":
		if got := c.line(); got != arg {
			t.Fatalf("got %q", got)
		}
	case "SQ:":
		if got := c.line(); strconv.QuoteToASCII(got) != arg {
			t.Fatalf("got %+q", got)
		}
	case "NODOT:":
		rest, _ := io.ReadAll(c.r)
		if len(rest) == 0 || strings.HasSuffix(string(rest), "\r\n.\r\n") {
			t.Fatalf("got %q, want a part of a message", rest)
		}
	case "S^:":
		c.expect(arg)
	case "TLS:":
		secure, err := c.startTLS("pop3")
		if err != nil {
			t.Fatal(err)
		}
		return secure
	case "CLOSE:":
		c.Close()
	case "EOF:":
		c.eof()
	case "STATE:":
	default:
		t.Fatalf("what is %q?", verb)
	}
	return c
}
