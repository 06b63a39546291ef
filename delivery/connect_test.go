package delivery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"postroom/delivery/route"
	"postroom/delivery/smtpclient"
	"postroom/store"
)

func TestRefusal(t *testing.T) {
	said := func(code int, enhanced [3]int) smtpclient.Answer {
		return smtpclient.Answer{Code: code, Enhanced: enhanced, Text: "words", Remote: true}
	}
	dial := func(errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", errno)}
	}
	mx, relay := way{}, way{host: route.Host{Chosen: true}}
	from := way{source: store.Source{IP: netip.MustParseAddr("192.0.2.7")}}
	for _, test := range []struct {
		name  string
		err   *smtpclient.Error
		way   way
		want  [3]int
		fails bool
	}{
		{"a connection that is refused", &smtpclient.Error{Err: dial(syscall.ECONNREFUSED)}, mx, [3]int{4, 4, 1}, false},
		{"a connection that is lost", &smtpclient.Error{Err: errors.New("lost")}, mx, [3]int{4, 4, 2}, false},
		{"an address that isn't ours", &smtpclient.Error{Err: dial(syscall.EADDRNOTAVAIL)}, from, [3]int{4, 3, 5}, false},
		{"an address that the kernel has none for", &smtpclient.Error{Err: dial(syscall.EADDRNOTAVAIL)}, mx, [3]int{4, 4, 1}, false},
		{"no protection", &smtpclient.Error{Err: fmt.Errorf("tls: %w", smtpclient.ErrUnprotected)}, mx, [3]int{4, 7, 5}, false},
		{"a login that fails", &smtpclient.Error{Err: smtpclient.ErrLogin, Answer: said(535, [3]int{5, 7, 8})}, relay, [3]int{4, 3, 5}, false},
		{"a greeting", &smtpclient.Error{Answer: said(554, [3]int{5, 7, 1})}, mx, [3]int{4, 7, 1}, false},
		{"a refusal of EHLO", &smtpclient.Error{Answer: said(550, [3]int{5, 7, 1}), Final: true}, mx, [3]int{5, 7, 1}, true},
		{"a relay's refusal of EHLO", &smtpclient.Error{Answer: said(550, [3]int{5, 7, 1}), Final: true}, relay, [3]int{4, 7, 1}, false},
	} {
		a := refusal(test.err, test.way)
		if a.Enhanced != test.want || a.Refused() != test.fails {
			t.Errorf("%s is %+v, want %v", test.name, a, test.want)
		}
	}
}

func TestOwnAnswers(t *testing.T) {
	for _, test := range []struct {
		name string
		got  smtpclient.Answer
		want [3]int
	}{
		{"DNS that fails", ownAnswer(&net.DNSError{Err: "timed out", IsTemporary: true}), [3]int{4, 4, 3}},
		{"a policy", ownAnswer(&policyError{"no"}), [3]int{4, 7, 5}},
		{"what we don't know", ownAnswer(context.DeadlineExceeded), [3]int{}},
		{"a connection that breaks", broken(smtpclient.Answer{Text: "lost"}, true), [3]int{4, 4, 2}},
		{"trouble of our own", broken(smtpclient.Answer{Text: "can't read"}, false), [3]int{4, 3, 0}},
		{"a server's words", broken(smtpclient.Answer{Code: 451, Remote: true}, true), [3]int{}},
		{"a relay that wants a login", blameless(smtpclient.Answer{Code: 530, Enhanced: [3]int{5, 7, 0}}, route.Host{Chosen: true}), [3]int{4, 3, 5}},
		{"another's wish for a login", blameless(smtpclient.Answer{Code: 530, Enhanced: [3]int{5, 7, 0}}, route.Host{}), [3]int{5, 7, 0}},
	} {
		if test.got.Enhanced != test.want {
			t.Errorf("%s is %v, want %v", test.name, test.got.Enhanced, test.want)
		}
	}
}

func TestTargets(t *testing.T) {
	relay := &route.Relay{Host: "relay.test", Port: 465, User: "u", Password: "p"}
	host := route.Host{Name: "relay.test", Port: 465, Chosen: true}
	from := store.Source{IP: netip.MustParseAddr("192.0.2.7"), Name: "out.our.test"}
	at := netip.MustParseAddrPort("192.0.2.1:465")
	full := way{host: host, at: at, next: next{relay: relay}, source: from}.target()
	if full.Auth == nil || full.Auth.Password != "p" || !full.Implicit || full.Hostname != "out.our.test" || full.Source != from.IP || full.At != at {
		t.Errorf("a relay is spoken to as %+v", full)
	}
	host.Fallback = true
	if other := (way{host: host, at: at, next: next{relay: relay}}).target(); other.Auth != nil || !other.Implicit {
		t.Errorf("the fallback relay is spoken to as %+v", other)
	}
	host.Chosen = false
	if mx := (way{host: host, at: at}).target(); mx.Implicit {
		t.Error("what DNS names has TLS from the first byte")
	}
}
