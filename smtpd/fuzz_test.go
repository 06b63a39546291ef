package smtpd

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"
)

// A pipeListener is a network of one connection.
type pipeListener struct {
	conns chan net.Conn
	once  sync.Once
}

func (p *pipeListener) Accept() (net.Conn, error) {
	if c, ok := <-p.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p *pipeListener) Close() error {
	p.once.Do(func() { close(p.conns) })
	return nil
}
func (p *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// FuzzSession says anything at all to a server. It must end when the client
// does, without a panic, and take no more messages than the client has ended,
// each without a bare control octet.
func FuzzSession(f *testing.F) {
	const head = "EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n"
	for _, s := range []string{
		head + "a: b\r\n\r\nc\r\n.\r\n" + head + "x\r\n..\r\n.\r\nQUIT\r\nNOOP\r\n",
		head + "a\n.\nMAIL FROM:<>\r\n.\r\nNOOP\r\n",
		"GET / HTTP/1.1\r\n\r\n", "AUTH PLAIN\r\nAGFsaWNlAHg=\r\n*\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n", "\r\n\r\n\x00\r\nQUIT\n",
		"EHLO x\r\nMAIL FROM:<> SIZE=1 BODY=8BITMIME SMTPUTF8 ENVID=x RET=FULL\r\nRCPT TO:<alice@example.test> NOTIFY=NEVER ORCPT=rfc822;x\r\n",
		head + "From: <alice@example.test>, x: y;\r\nBcc: z\r\n\tw\r\nReceived\r\n.\r\n", "BDAT 3 LAST\r\nabc", "HELO x\r\nRSET\r\nVRFY x\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		mail := &fakeMail{}
		var log bytes.Buffer
		server := &Server{
			Name: "smtp", Hostname: "mail.example.test", Mail: mail, Auth: authenticator(t, mail), SpoolDir: t.TempDir(),
			Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})),
		}
		ctx, cancel := context.WithCancel(t.Context())
		l := &pipeListener{conns: make(chan net.Conn, 1)}
		ours, theirs := net.Pipe()
		l.conns <- theirs
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = server.Serve(ctx, l)
		}()
		ours.SetDeadline(time.Now().Add(10 * time.Second))
		go func() {
			_, _ = ours.Write(said)
			_, _ = ours.Write([]byte("\r\n.\r\nQUIT\r\n"))
		}()
		heard, _ := io.ReadAll(ours)
		ours.Close()
		cancel()
		<-done
		if log.Len() > 0 {
			t.Fatalf("%q: the log has %s", said, log.String())
		}
		if !bytes.HasPrefix(heard, []byte("220 ")) {
			t.Fatalf("%q: heard %q", said, heard)
		}
		if ends := bytes.Count(said, finalDot) + 2; len(mail.accepted) > ends {
			t.Fatalf("%q: %d messages", said, len(mail.accepted))
		}
		for _, k := range mail.accepted {
			if hasBare(k.text) {
				t.Fatalf("%q: accepted %q", said, k.text)
			}
		}
	})
}
