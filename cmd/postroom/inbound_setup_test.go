package main

import (
	"fmt"
	"net"
	"net/netip"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"postroom/store"
)

// A listServer is a name server for blocklists of every kind: what is below
// slow.test is never answered, below late.test not before release, below
// garbage.test with noise, below lying.test with an address of the Internet, below
// refusing.test with a refusal, and below all.test everything is listed. Other
// names are known if they were set.
type listServer struct {
	addr  string
	mu    sync.Mutex
	known map[string]string // "127.0.0.2", or that and a text behind a blank

	late    chan struct{}
	release func() // lets late.test answer
}

func startLists(t *testing.T, known map[string]string) *listServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &listServer{addr: conn.LocalAddr().String(), known: known, late: make(chan struct{})}
	l.release = sync.OnceFunc(func() { close(l.late) })
	served := make(chan struct{})
	server := &dns.Server{PacketConn: conn, Handler: l}
	go func() {
		defer close(served)
		_ = server.ActivateAndServe() // until it is closed
	}()
	t.Cleanup(func() {
		l.release()
		conn.Close()
		<-served
	})
	return l
}

// set makes a name known, or with an empty text forgotten.
func (l *listServer) set(name, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known[name] = text; text == "" {
		delete(l.known, name)
	}
}

// ServeDNS answers.
func (l *listServer) ServeDNS(w dns.ResponseWriter, request *dns.Msg) {
	q := request.Question[0]
	name := strings.ToLower(strings.TrimSuffix(q.Name, "."))
	l.mu.Lock()
	text, ok := l.known[name]
	l.mu.Unlock()
	switch below := name[strings.LastIndexByte(strings.TrimSuffix(name, ".test"), '.')+1:]; below {
	case "slow.test":
		return
	case "late.test":
		<-l.late
	case "garbage.test":
		_, _ = w.Write([]byte("this is no DNS message"))
		return
	case "lying.test":
		text, ok = "203.0.113.9", true
	case "refusing.test":
		text, ok = "127.255.255.254", true
	case "all.test":
		text, ok = "127.0.0.2 everybody is bad", true
	}
	_ = w.WriteMsg(listReply(request, q, text, ok)) // the client may have gone
}

func listReply(request *dns.Msg, q dns.Question, text string, known bool) *dns.Msg {
	reply := new(dns.Msg).SetReply(request)
	reply.RecursionAvailable = true
	if !known {
		reply.Rcode = dns.RcodeNameError
		return reply
	}
	addr, words, _ := strings.Cut(text, " ")
	header := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET} // not to be remembered
	switch {
	case q.Qtype == dns.TypeA:
		reply.Answer = append(reply.Answer, &dns.A{Hdr: header, A: net.ParseIP(addr)})
	case q.Qtype == dns.TypeTXT && words != "":
		reply.Answer = append(reply.Answer, &dns.TXT{Hdr: header, Txt: []string{words}})
	default: // there are no such records
		reply.Ns = append(reply.Ns, &dns.SOA{Hdr: dns.RR_Header{Name: "test.", Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Ns: "ns.test.", Mbox: "h.test."})
	}
	return reply
}

// proxyAddr is where those come from who name their clients.
const proxyAddr = "127.0.0.9"

// startDoor starts a server that asks lists, and believes proxyAddr who the client
// is.
func startDoor(t *testing.T, l *listServer, env ...string) *site {
	t.Helper()
	return startSite(t, append([]string{
		"POSTROOM_DNS_SERVERS=" + l.addr, "POSTROOM_LISTEN_PROXY_TRUSTED=" + proxyAddr + "/32",
		"POSTROOM_INBOUND_OWN_DOMAINS=off", "POSTROOM_INBOUND_DKIM=off",
	}, env...)...)
}

// A stranger is a client from somewhere.
type stranger struct {
	t    *testing.T
	conn *textproto.Conn
}

// from opens a connection that comes from an address.
func (s *site) from(client string) *stranger {
	s.t.Helper()
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(proxyAddr + ":0"))}
	conn, err := dialer.Dial("tcp", s.SMTP)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	family := "TCP4"
	if strings.Contains(client, ":") {
		family = "TCP6"
	}
	fmt.Fprintf(conn, "PROXY %s %s %s 999 25\r\n", family, client, client)
	return &stranger{s.t, textproto.NewConn(conn)}
}

// says sends lines, and wants the reply to the last to begin with want.
func (c *stranger) says(want string, lines ...string) string {
	c.t.Helper()
	reply := c.hears()
	for _, line := range lines {
		if err := c.conn.PrintfLine("%s", line); err != nil {
			c.t.Fatal(err)
		}
		reply = c.hears()
	}
	if !strings.HasPrefix(reply, want) {
		c.t.Errorf("after %q: got %q, want %q", lines, reply, want)
	}
	return reply
}

func (c *stranger) hears() string {
	c.t.Helper()
	for {
		line, err := c.conn.ReadLine()
		if err != nil {
			c.t.Fatal(err)
		}
		if len(line) < 4 || line[3] != '-' {
			return line
		}
	}
}

// letterFrom is all that a client says who sends a mail to bob.
func letterFrom(helo, sender, author string) []string {
	return []string{
		"EHLO " + helo, "MAIL FROM:<" + sender + ">", "RCPT TO:<bob@judge.test>", "DATA",
		"From: " + author + "\r\nSubject: hello\r\n\r\nHello\r\n.",
	}
}

// traced returns the checks of the last event of the newest trail of an address.
func (s *site) traced(address string) (kind store.Kind, checks []store.CheckResult) {
	s.t.Helper()
	var trails []store.Trail
	s.until("the trace has it", func() bool {
		s.list(&trails, "trace", address)
		return len(trails) > 0
	})
	for _, e := range trails[0].Events {
		if e.Kind == store.Accepted || e.Kind == store.Rejected {
			kind, checks = e.Kind, e.Checks
		}
	}
	return kind, checks
}
