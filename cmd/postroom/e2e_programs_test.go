package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/emersion/go-message"
	"github.com/knadh/go-pop3"
)

// attachment is a file that no transport may change: all byte values, and
// nothing that a line ending could hide in.
func attachment() []byte {
	b := make([]byte, 30000)
	for i := range b {
		b[i] = byte(i * 7 / 3)
	}
	return b
}

// withAttachment composes a message as a mail program does.
func withAttachment(from, to string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: <%s>\r\nTo: <%s>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nDate: Mon, 02 Jan 2006 15:04:05 +0000\r\n"+
		"Message-ID: <%d@client.test>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=cut\r\n\r\n"+
		"--cut\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"+
		"Grüße mit Anhang\r\n.\r\n..\r\n.leading dot\r\ntrailing blanks  \t\r\n\r\n"+
		"--cut\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=data.bin\r\n"+
		"Content-Transfer-Encoding: base64\r\n\r\n", from, to, len(from)+len(to))
	text := base64.StdEncoding.EncodeToString(attachment())
	for len(text) > 0 {
		n := min(76, len(text))
		b.WriteString(text[:n] + "\r\n")
		text = text[n:]
	}
	b.WriteString("--cut--\r\n")
	return b.Bytes()
}

// attached returns the decoded attachment of a message.
func attached(t *testing.T, content []byte) []byte {
	t.Helper()
	m, err := message.Read(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	var found []byte
	err = m.Walk(func(_ []int, part *message.Entity, err error) error {
		if disposition, _, _ := part.Header.ContentDisposition(); err == nil && disposition == "attachment" {
			found, err = io.ReadAll(part.Body)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func splitAddr(t *testing.T, addr string) (host, port string) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}

func TestSwaksSends(t *testing.T) {
	need(t, "swaks", "swaks")
	s := startSite(t)
	file := write(t, "data.bin", string(attachment()))
	host, port := splitAddr(t, s.Submission)
	out := runProgram(t, nil, nil, "swaks", "--server", host, "--port", port, "--tls", "--auth", "PLAIN", "--auth-user", "alice@judge.test",
		"--auth-password", password, "--from", "alice@judge.test", "--to", "bob@judge.test", "--header", "Subject: from swaks",
		"--body", "See the attachment.", "--attach-type", "application/octet-stream", "--attach-name", "data.bin", "--attach", "@"+file)
	if !strings.Contains(out, "250 2.0.0 accepted as ") {
		t.Errorf("no promise in %s", out)
	}
	got := s.await("bob@judge.test", 1)[0]
	if !bytes.Equal(attached(t, got), attachment()) {
		t.Errorf("another attachment came: %.300q", got)
	}
}

func TestMsmtpSends(t *testing.T) {
	need(t, "msmtp", "msmtp")
	s := startSite(t)
	host, port := splitAddr(t, s.Submission)
	conf := write(t, "msmtprc", fmt.Sprintf("account default\nhost %s\nport %s\ntls on\ntls_starttls on\ntls_certcheck off\n"+
		"auth plain\nuser alice@judge.test\npassword %q\nfrom alice@judge.test\n", host, port, password))
	want := withAttachment("alice@judge.test", "bob@judge.test")
	runProgram(t, bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n")), nil, "msmtp", "-C", conf, "bob@judge.test")
	got := s.await("bob@judge.test", 1)[0]
	endsWith(t, got, want)
	if !bytes.Equal(attached(t, got), attachment()) {
		t.Error("another attachment came")
	}
}

func TestCurlSendsAndCollects(t *testing.T) {
	need(t, "curl", "curl")
	s := startSite(t)
	want := withAttachment("alice@judge.test", "bob@judge.test")
	file := write(t, "message.eml", string(want))
	for _, url := range []string{"smtp://" + s.Submission, "smtps://" + s.Submissions} {
		runProgram(t, nil, nil, "curl", "-sS", "--ssl-reqd", "-k", "--url", url, "--user", "alice@judge.test:"+password,
			"--mail-from", "alice@judge.test", "--mail-rcpt", "bob@judge.test", "-T", file)
	}
	for i, url := range []string{"pop3://" + s.POP3 + "/1", "pop3s://" + s.POP3S + "/2"} {
		collected := filepath.Join(t.TempDir(), strconv.Itoa(i))
		runProgram(t, nil, nil, "curl", "-sS", "--ssl-reqd", "-k", "--user", "bob@judge.test:"+password, "-o", collected, url)
		got, err := os.ReadFile(collected)
		if err != nil {
			t.Fatal(err)
		}
		endsWith(t, got, want)
	}
}

// letters sends two messages to bob and returns them.
func (s *site) letters() [][]byte {
	s.t.Helper()
	list := [][]byte{withAttachment("alice@judge.test", "bob@judge.test"), withAttachment("bob@judge.test", "bob@judge.test")}
	s.submit("alice@judge.test", "bob@judge.test", list[0])
	s.submit("bob@judge.test", "bob@judge.test", list[1])
	return list
}

// emptied fails unless the messages are gone.
func (s *site) emptied(account string) {
	s.t.Helper()
	s.until(account+" is empty", func() bool {
		c := s.open(account)
		n, err := c.Count()
		if err != nil {
			s.t.Fatal(err)
		}
		_ = c.Quit()
		return n == 0
	})
}

// unix gives the lines of a message the endings that files have here.
func unixLines(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) }

func TestMpopCollects(t *testing.T) {
	need(t, "mpop", "mpop")
	s := startSite(t)
	want := s.letters()
	dir := t.TempDir()
	for _, sub := range []string{"new", "cur", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, "mail", sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	host, port := splitAddr(t, s.POP3)
	conf := write(t, "mpoprc", fmt.Sprintf("account default\nhost %s\nport %s\ntls on\ntls_starttls on\ntls_certcheck off\nauth plain\n"+
		"user bob@judge.test\npassword %q\nkeep off\nreceived_header off\ndelivery maildir %s\nuidls_file %s\n",
		host, port, password, filepath.Join(dir, "mail"), filepath.Join(dir, "uidls")))
	runProgram(t, nil, nil, "mpop", "-C", conf)
	files, err := filepath.Glob(filepath.Join(dir, "mail", "new", "*"))
	if err != nil || len(files) != len(want) {
		t.Fatalf("mpop delivered %v, %v", files, err)
	}
	matched := 0
	for _, file := range files {
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if bytes.HasSuffix(got, unixLines(w)) {
				matched++
			}
		}
	}
	if matched != len(want) {
		t.Errorf("%d of %d messages are what was sent", matched, len(want))
	}
	s.emptied("bob@judge.test")
}

func TestFetchmailCollects(t *testing.T) {
	need(t, "fetchmail", "fetchmail")
	s := startSite(t)
	want := s.letters()
	dir := t.TempDir()
	host, port := splitAddr(t, s.POP3)
	conf := write(t, "fetchmailrc", fmt.Sprintf("set invisible\npoll %s with protocol POP3 service %s uidl\n"+
		"user \"bob@judge.test\" password %q mda \"cat >> %s/mail\" fetchall no keep no rewrite sslproto 'TLS1.2+' no sslcertck\n",
		host, port, password, dir))
	runProgram(t, nil, []string{"HOME=" + dir, "FETCHMAILHOME=" + dir}, "fetchmail", "-f", conf, "--nodetach", "--nosyslog", "-v")
	got, err := os.ReadFile(filepath.Join(dir, "mail"))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range want {
		if !bytes.Contains(got, unixLines(w)) {
			t.Errorf("what was sent isn't in what fetchmail delivered: %.500q", got)
		}
	}
	s.emptied("bob@judge.test")
}

func TestGoPOP3Collects(t *testing.T) {
	s := startSite(t)
	want := s.letters()
	host, port := splitAddr(t, s.POP3S)
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	c, err := pop3.New(pop3.Opt{Host: host, Port: number, TLSEnabled: true, TLSSkipVerify: true}).NewConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Auth("bob@judge.test", password); err != nil {
		t.Fatal(err)
	}
	list, err := c.Uidl(0)
	if err != nil || len(list) != len(want) {
		t.Fatalf("UIDL gives %v, %v", list, err)
	}
	for i, w := range want {
		got, err := c.RetrRaw(i + 1)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasSuffix(unixLines(got.Bytes()), unixLines(w)) {
			t.Errorf("message %d: another one came: %.300q", i+1, got.Bytes())
		}
	}
	if err := c.Dele(1, 2); err != nil {
		t.Fatal(err)
	}
	if err := c.Quit(); err != nil {
		t.Fatal(err)
	}
	s.emptied("bob@judge.test")
}
