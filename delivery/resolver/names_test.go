package resolver

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestLookupAddr(t *testing.T) {
	r := of(start(t,
		"1.2.0.192.in-addr.arpa. 60 IN PTR Mail.a.test.", "1.2.0.192.in-addr.arpa. 60 IN PTR a.test.",
		"2.2.0.192.in-addr.arpa. 60 IN CNAME 2.0-63.2.0.192.in-addr.arpa.", "2.0-63.2.0.192.in-addr.arpa. 60 IN PTR delegated.test.",
		"3.2.0.192.in-addr.arpa. 60 IN TXT none",
		`4.2.0.192.in-addr.arpa. 60 IN PTR a\032b.test.`, "4.2.0.192.in-addr.arpa. 60 IN PTR .", `4.2.0.192.in-addr.arpa. 60 IN PTR x\000y.test.`,
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 60 IN PTR six.test.",
	))
	for _, test := range []struct {
		addr, want, err string
		missing         bool
	}{
		{"192.0.2.1", "Mail.a.test a.test", "", false},
		{"::ffff:192.0.2.1", "Mail.a.test a.test", "", false},
		{"192.0.2.2", "delegated.test", "", false}, // RFC 2317
		{"192.0.2.3", "", "", false},
		{"192.0.2.4", "", "", false},
		{"2001:db8::1", "six.test", "", false},
		{"192.0.2.9", "", "lookup 9.2.0.192.in-addr.arpa: no such domain", true},
		{"mail.a.test", "", "lookup mail.a.test: not an address", true},
		{"", "", "lookup : not an address", true},
	} {
		t.Run(test.addr, func(t *testing.T) {
			list, err := r.LookupAddr(t.Context(), test.addr)
			if got := strings.Join(list, " "); got != test.want {
				t.Errorf("found %q, want %q", got, test.want)
			}
			checkError(t, err, test.err, test.missing)
		})
	}
}

func TestLookupCNAME(t *testing.T) {
	r := of(start(t, "a.test. 60 IN CNAME B.test.", "b.test. 60 IN CNAME c.test.", "c.test. 60 IN A 192.0.2.1", "loop.test. 60 IN CNAME loop.test."))
	for name, want := range map[string]string{"a.test": "B.test", "b.test": "c.test", "c.test": "", "loop.test": "loop.test"} {
		if got, err := r.LookupCNAME(t.Context(), name); got != want || err != nil {
			t.Errorf("%s leads to %q, %v", name, got, err)
		}
	}
	_, err := r.LookupCNAME(t.Context(), "gone.test")
	checkError(t, err, "lookup gone.test: no such domain", true)
}

func TestLookupSRV(t *testing.T) {
	r := of(start(t,
		"_pop3s._tcp.a.test. 60 IN SRV 10 1 995 light.a.test.", "_pop3s._tcp.a.test. 60 IN SRV 10 5 995 heavy.a.test.",
		"_pop3s._tcp.a.test. 60 IN SRV 0 0 1995 First.a.test.", "_imap._tcp.a.test. 60 IN SRV 0 0 0 .",
	))
	for name, want := range map[string]string{
		"_pop3s._tcp.a.test": "[0 0 1995 First.a.test 10 5 995 heavy.a.test 10 1 995 light.a.test]",
		"_imap._tcp.a.test":  "[0 0 0 .]",
	} {
		list, err := r.LookupSRV(t.Context(), name)
		var words []string
		for _, s := range list {
			words = append(words, fmt.Sprint(s.Priority, s.Weight, s.Port, " ", s.Target))
		}
		if got := fmt.Sprint(words); got != want || err != nil {
			t.Errorf("%s is %s, %v; want %s", name, got, err, want)
		}
	}
	_, err := r.LookupSRV(t.Context(), "_pop3._tcp.a.test")
	checkError(t, err, "lookup _pop3._tcp.a.test: no such domain", true)
}

// Records of another name in an answer to a question about an address count for
// nothing, nor do records of another type.
func TestStrangersInReverseAnswers(t *testing.T) {
	s := start(t, "1.2.0.192.in-addr.arpa. 60 IN PTR a.test.")
	s.spoilWith(func(_, a *dns.Msg) *dns.Msg {
		for _, line := range []string{"2.2.0.192.in-addr.arpa. 60 IN PTR bank.test.", "1.2.0.192.in-addr.arpa. 60 IN A 192.0.2.66"} {
			rr, _ := dns.NewRR(line)
			a.Answer = append(a.Answer, rr)
		}
		return a
	})
	if names, err := of(s).LookupAddr(t.Context(), "192.0.2.1"); fmt.Sprint(names) != "[a.test]" || err != nil {
		t.Errorf("found %q, %v", names, err)
	}
}
