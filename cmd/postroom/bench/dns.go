package bench

import (
	"fmt"
	"net"
	"strings"

	"github.com/miekg/dns"
)

// A DNS is a small name server on loopback that knows a fixed list of records.
type DNS struct {
	Addr     string // ip:port, UDP and TCP
	records  map[dns.Question][]dns.RR
	names    map[string]bool
	udp, tcp *dns.Server
}

// StartDNS serves records given as in a zone file ("x.test. 60 IN MX 10 mx.x.test.").
// A name that begins with "*." stands for all below it. Names it doesn't know
// are answered NXDOMAIN.
func StartDNS(records ...string) (*DNS, error) {
	d := &DNS{records: make(map[dns.Question][]dns.RR), names: make(map[string]bool)}
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			return nil, fmt.Errorf("record %q: %w", text, err)
		}
		h := rr.Header()
		key := dns.Question{Name: strings.ToLower(h.Name), Qtype: h.Rrtype, Qclass: dns.ClassINET}
		d.records[key] = append(d.records[key], rr)
		d.names[key.Name] = true
	}
	udp, tcp, err := listenBoth()
	if err != nil {
		return nil, fmt.Errorf("name server: %w", err)
	}
	d.Addr = udp.LocalAddr().String()
	d.udp = &dns.Server{PacketConn: udp, Handler: dns.HandlerFunc(d.answer)}
	d.tcp = &dns.Server{Listener: tcp, Handler: dns.HandlerFunc(d.answer)}
	go func() { _ = d.udp.ActivateAndServe() }()
	go func() { _ = d.tcp.ActivateAndServe() }()
	return d, nil
}

// listenBoth finds a port that is free for UDP and TCP.
func listenBoth() (udp net.PacketConn, tcp net.Listener, err error) {
	for range 100 {
		if udp, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			return nil, nil, err
		}
		if tcp, err = net.Listen("tcp", udp.LocalAddr().String()); err == nil {
			return udp, tcp, nil
		}
		udp.Close()
	}
	return nil, nil, err
}

// Close stops the name server.
func (d *DNS) Close() {
	_ = d.udp.PacketConn.Close()
	_ = d.tcp.Listener.Close()
}

func (d *DNS) answer(w dns.ResponseWriter, request *dns.Msg) {
	reply := new(dns.Msg).SetReply(request)
	reply.Authoritative = true
	reply.RecursionAvailable = true
	q := request.Question[0]
	name := strings.ToLower(q.Name)
	if !d.names[name] {
		if _, parent, ok := strings.Cut(name, "."); ok {
			name = "*." + parent
		}
	}
	if !d.names[name] {
		reply.Rcode = dns.RcodeNameError
	}
	for _, rr := range d.records[dns.Question{Name: name, Qtype: q.Qtype, Qclass: q.Qclass}] {
		rr = dns.Copy(rr)
		rr.Header().Name = q.Name
		reply.Answer = append(reply.Answer, rr)
	}
	if _, ok := w.RemoteAddr().(*net.UDPAddr); ok {
		reply.Truncate(1232) // more is asked for over TCP
	}
	_ = w.WriteMsg(reply)
}
