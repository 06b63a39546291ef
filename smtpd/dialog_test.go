package smtpd

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestDialogs plays the files testdata/*.dialog, each on a connection of its
// own. In a dialog, "> text" is a line that the client sends, `>> "text"` is
// sent as it is after Go's unquoting, "< text" is the beginning of the reply's
// last line, "<<" the end of the connection. "server: word..." at the top makes
// the server "submission" or offers "auth" on port 25, "insecure" without TLS.
// A line "starttls" changes to TLS; "base64: words" sends the words in base64
// with NUL for each \0; "login" logs alice in.
func TestDialogs(t *testing.T) {
	files, err := filepath.Glob("testdata/*.dialog")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".dialog"), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			play(t, strings.Split(strings.TrimSpace(string(b)), "\n"))
		})
	}
}

func play(t *testing.T, lines []string) {
	options, ok := strings.CutPrefix(lines[0], "server:")
	if ok {
		lines = lines[1:]
	}
	h := serve(t, func(s *Server) {
		if strings.Contains(options, "submission") {
			submission(s)
		}
		s.RequireTLS = !strings.Contains(options, "insecure")
		s.SCRAM = strings.Contains(options, "scram")
		s.Limits.Recipients = 5
		s.Limits.MessageBytes = 1000
		if strings.Contains(options, "auth") {
			s.Auth = authenticator(t, s.Mail.(*fakeMail))
		}
	})
	c := h.dial(t)
	for _, line := range lines {
		step(t, c, line)
	}
}

func step(t *testing.T, c *client, line string) {
	t.Helper()
	word, text, _ := strings.Cut(line, " ")
	switch word {
	case "", "#":
	case ">":
		c.send(text + "\r\n")
	case ">>":
		raw, err := strconv.Unquote(text)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		c.send(raw)
	case "<":
		if got := c.reply(); !strings.HasPrefix(got, text) {
			t.Fatalf("%s: got %q", line, got)
		}
	case "<<":
		c.expectEnd()
	case "starttls":
		c.startTLS()
	case "login":
		c.do("AUTH PLAIN "+plainResponse("alice@example.test", password), "235 2.7.0")
	case "base64:":
		c.send(base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(text, `\0`, "\x00"))) + "\r\n")
	default:
		t.Fatalf("no such step: %s", line)
	}
}

// reply reads a reply of any length and returns its last line.
func (c *client) reply() string {
	c.t.Helper()
	s := c.line()
	for len(s) > 3 && s[3] == '-' {
		s = c.line()
	}
	return s
}

func plainResponse(name, password string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + name + "\x00" + password))
}
