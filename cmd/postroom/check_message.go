package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/textproto"
	"strings"
	"sync"
	"time"

	"postroom/smtpd"
	"postroom/smtpd/policy"
	"postroom/store"
	"postroom/store/admin"
	"postroom/store/mail"
)

// CheckMessage asks what would become of a mail. The answer is a session's own: the
// mail is sent to a server as it runs on port 25, over a connection that isn't one,
// and everything but the commit happens.
func (c *checker) CheckMessage(ctx context.Context, r admin.CheckRequest) (admin.CheckReport, error) {
	to, err := c.anybody(ctx)
	if err != nil {
		return admin.CheckReport{}, err
	}
	client, err := c.client(r)
	if err != nil {
		return admin.CheckReport{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	noted := &rehearsal{Mail: c.store, to: to}
	explained := &policy.Explanation{}
	reply, err := rehearse(ctx, c.rehearsed(noted, explained), client.Addr, dialogue(r, to))
	if err != nil {
		return admin.CheckReport{}, fmt.Errorf("rehearse a session: %w", err)
	}
	return noted.report(reply, explained.Lines()), nil
}

// anybody returns an address to send to, of a domain of ours.
func (c *checker) anybody(ctx context.Context) (mail.Address, error) {
	domains, err := c.store.Domains(ctx)
	if err != nil {
		return mail.Address{}, err
	}
	for _, d := range domains {
		if !d.Backup {
			return mail.Address{Local: "anybody", Domain: d.Name}, nil
		}
	}
	return mail.Address{}, &admin.Error{Kind: admin.NotFound, Text: "There are no domains yet, so no mail is taken. Add one first: postroom domain add example.org"}
}

// rehearsed is the server of port 25, but that nothing is counted with what really
// comes.
func (c *checker) rehearsed(noted smtpd.Mail, explained *policy.Explanation) *smtpd.Server {
	conf := c.conf()
	s := &smtpd.Server{
		Name:     "smtp",
		Hostname: conf.Name(),
		Mail:     noted,
		Rules:    mailChecks(conf, c.store, c.network().names, &policy.ListHealth{}),
		Limits:   smtpd.Limits{MessageBytes: conf.SMTP.MaxMessageSize, Recipients: conf.SMTP.MaxRecipients},
		Log:      c.log.With("service", "check"),
	}
	explain := policy.Check[*policy.Message]{Name: "explain", Judge: func(_ context.Context, _ policy.Client, m *policy.Message) (policy.Verdict, error) {
		m.Explain = explained
		return policy.Verdict{}, nil
	}}
	s.Rules.Message = append(policy.Chain[*policy.Message]{explain}, s.Rules.Message...)
	return s
}

// A rehearsal is the store as the rehearsed session sees it: one address more takes
// mail, and whatever is accepted or refused is noted here alone.
type rehearsal struct {
	smtpd.Mail
	to mail.Address

	mu       sync.Mutex
	checks   []store.CheckResult
	reason   string
	front    string // our own header fields
	accepted bool
}

// Resolve says that to is a mailbox with room for everything.
func (h *rehearsal) Resolve(ctx context.Context, address mail.Address) (store.Resolution, error) {
	if address == h.to {
		return store.Resolution{Ours: true, Room: store.Unlimited}, nil
	}
	return h.Mail.Resolve(ctx, address)
}

// Accept notes what would be accepted.
func (h *rehearsal) Accept(_ context.Context, a store.Acceptance) error {
	front, err := frontOf(a.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.accepted, h.front, h.checks = true, front, a.Accepted.Checks
	return err
}

// Refused notes what would be refused.
func (h *rehearsal) Refused(r store.Refusal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range r.Events {
		h.reason = e.Reason
		h.checks = append(h.checks, e.Checks...)
	}
}

// frontOf reads the header fields above our Received.
func frontOf(body io.Reader) (string, error) {
	var front strings.Builder
	lines := bufio.NewReader(body)
	for {
		line, err := lines.ReadString('\n')
		if err != nil || strings.HasPrefix(line, "Received: ") {
			return front.String(), err
		}
		front.WriteString(line)
	}
}

// report says what was noted.
func (h *rehearsal) report(reply string, explained []string) admin.CheckReport {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := admin.CheckReport{Checks: h.checks, Reply: reply, Taken: h.accepted, Explained: explained}
	if h.accepted {
		r.Reply, _, _ = strings.Cut(reply, " as ") // there is no such message
	}
	if h.reason != "" {
		r.Explained = append([]string{h.reason}, r.Explained...)
	}
	r.Spam = strings.Contains(h.front, "X-Spam: yes\r\n")
	if i := strings.Index(h.front, "Authentication-Results: "); i >= 0 {
		r.Results = firstField(h.front[i:])
	}
	return r
}

// firstField returns the first field of a header, with the lines that continue it.
func firstField(header string) string {
	end := 0
	for line := range strings.Lines(header) {
		if end > 0 && line[0] != ' ' && line[0] != '\t' {
			break
		}
		end += len(line)
	}
	return header[:end]
}

// dialogue is what a client says who sends a mail, a command after the other.
func dialogue(r admin.CheckRequest, to mail.Address) []string {
	from := "MAIL FROM:<" + r.From + ">"
	if !isASCII(string(r.Message)) || !isASCII(r.From) {
		from += " BODY=8BITMIME"
	}
	if !isASCII(r.From) || !isASCII(headerOf(r.Message)) {
		from += " SMTPUTF8"
	}
	text := strings.ReplaceAll("\r\n"+string(r.Message), "\r\n.", "\r\n..")[2:]
	return []string{"EHLO " + r.Helo, from, "RCPT TO:<" + to.String() + ">", "DATA", text + "."}
}

func headerOf(message []byte) string {
	header, _, _ := bytes.Cut(message, []byte("\r\n\r\n"))
	return string(header)
}

func isASCII(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r > '~' }) }

// rehearse has a server hear a dialogue from a client. It returns the reply that
// ends it: the first that isn't positive, or the last.
func rehearse(ctx context.Context, s *smtpd.Server, client netip.Addr, lines []string) (reply string, err error) {
	reply, _, err = converse(ctx, s.Serve, client, lines)
	return reply, err
}

// converse has whoever serves a connection hear a dialogue. It returns the reply that
// ends it, and how many came before.
func converse(ctx context.Context, serve func(context.Context, net.Listener) error, client netip.Addr, lines []string) (reply string, before int, err error) {
	near, far := net.Pipe()
	ctx, cancel := context.WithCancel(ctx)
	defer context.AfterFunc(ctx, func() { near.Close() })()
	var served sync.WaitGroup
	defer served.Wait()
	defer cancel()
	defer near.Close()
	served.Go(func() { _ = serve(ctx, newOneConn(&pretended{far, client})) })
	return speak(near, lines)
}

// speak says lines, each when the one before it was answered well.
func speak(conn net.Conn, lines []string) (reply string, before int, err error) {
	conn.SetDeadline(time.Now().Add(checkTimeout))
	replies := textproto.NewReader(bufio.NewReader(conn))
	reply, err = readReply(replies)
	for _, line := range lines {
		if err != nil || reply[0] > '3' {
			return reply, before, err
		}
		// The server may answer, and hang up, before it has heard all of a message.
		go func() { _, _ = io.WriteString(conn, line+"\r\n") }()
		reply, err = readReply(replies)
		before++
	}
	return reply, before, err
}

// readReply reads a reply of one line or more, and returns the last.
func readReply(r *textproto.Reader) (string, error) {
	for {
		line, err := r.ReadLine()
		if err != nil {
			return "", err
		}
		if len(line) < 4 {
			return "", io.ErrUnexpectedEOF
		}
		if line[3] != '-' {
			return line, nil
		}
	}
}

// pretended is a connection from an address that isn't there.
type pretended struct {
	net.Conn
	client netip.Addr
}

// RemoteAddr returns the client's address.
func (p *pretended) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(p.client, 25))
}

// oneConn is a net.Listener that has one connection.
type oneConn struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newOneConn(c net.Conn) *oneConn {
	l := &oneConn{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.conns <- c
	return l
}

// Accept returns the connection, and when asked again waits until the end.
func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr is of no interest.
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }
