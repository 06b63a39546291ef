package policy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"postroom/store"
	"postroom/store/mail"
)

// fakeDNS are the records of a few domains. "slow.test" never answers, and
// "broken.test" answers with an error that says nothing.
type fakeDNS struct {
	txt map[string]string
	mx  map[string]string
	ip  map[string]string
}

func (f fakeDNS) LookupTXT(ctx context.Context, name string) ([]string, error) {
	switch name {
	case "slow.test":
		<-ctx.Done()
		return nil, ctx.Err()
	case "broken.test":
		return nil, fmt.Errorf("ask: %w", errors.New("server on fire"))
	case "twofold.test":
		return []string{"v=spf1 -all", "v=spf1 +all"}, nil
	}
	if s, ok := f.txt[name]; ok {
		return []string{"something else", s}, nil
	}
	return nil, fmt.Errorf("ask: %w", &net.DNSError{Err: "no such domain", Name: name, IsNotFound: true})
}

func (f fakeDNS) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	return []*net.MX{{Host: f.mx[name], Pref: 10}}, nil
}

func (f fakeDNS) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	if network != "ip" {
		return nil, errors.New("asked for " + network)
	}
	if ip, err := netip.ParseAddr(f.ip[host]); err == nil {
		return []netip.Addr{ip}, nil
	}
	return nil, nil
}

func TestSPF(t *testing.T) {
	dns := fakeDNS{
		txt: map[string]string{
			"far.test":       "v=spf1 ip4:192.0.2.0/24 -all",
			"mx.test":        "v=spf1 mx ~all",
			"host.test":      "v=spf1 a:smtp.host.test ?all",
			"ptr.test":       "v=spf1 ptr -all",
			"plain.test":     "nothing of the kind",
			"xn--4ca.test":   "v=spf1 ip4:192.0.2.25 -all",
			"client.test":    "v=spf1 ip4:192.0.2.25 -all",
			"include.test":   "v=spf1 include:far.test -all",
			"local.test":     "v=spf1 exists:%{l}.users.test -all",
			"victim.test":    "v=spf1 -all",
			"attacker.test":  "v=spf1 +all",
			"sixth.test":     "v=spf1 ip6:2001:db8::/32 -all",
			"circle.test":    "v=spf1 include:circle.test -all",
			"nonsense1.test": "v=spf1 ip4:nonsense -all",
		},
		mx: map[string]string{"mx.test": "in.mx.test"},
		ip: map[string]string{"in.mx.test": "192.0.2.25", "smtp.host.test": "::ffff:192.0.2.25", "bob.users.test": "127.0.0.2"},
	}
	tests := []struct {
		name, sender, client string
		want                 string // empty: no result
	}{
		{"passes an address of the record", "bob@far.test", "", "pass smtp.mailfrom=far.test"},
		{"fails another", "bob@far.test", "198.51.100.1", "fail smtp.mailfrom=far.test"},
		{"passes the domain's MX", "bob@mx.test", "", "pass smtp.mailfrom=mx.test"},
		{"fails softly", "bob@mx.test", "198.51.100.1", "softfail smtp.mailfrom=mx.test"},
		{"passes a host of the record", "bob@host.test", "", "pass smtp.mailfrom=host.test"},
		{"is neutral", "bob@host.test", "198.51.100.1", "neutral smtp.mailfrom=host.test"},
		{"takes names of addresses for unknown", "bob@ptr.test", "", "fail smtp.mailfrom=ptr.test"},
		{"includes another's record", "bob@include.test", "", "pass smtp.mailfrom=include.test"},
		{"asks for the local part", "bob@local.test", "", "pass smtp.mailfrom=local.test"},
		{"asks for the local part of another", "eve@local.test", "", "fail smtp.mailfrom=local.test"},
		{"passes IPv6", "bob@sixth.test", "2001:db8::1", "pass smtp.mailfrom=sixth.test"},
		{"says that there is no record", "bob@plain.test", "", "none smtp.mailfrom=plain.test"},
		{"says that there is no domain", "bob@missing.test", "", "none smtp.mailfrom=missing.test"},
		{"takes a domain in A-labels", "bob@ä.test", "", "pass smtp.mailfrom=xn--4ca.test"},
		{"gives up on two records", "bob@twofold.test", "", "permerror smtp.mailfrom=twofold.test"},
		{"gives up on records that include themselves", "bob@circle.test", "", "permerror smtp.mailfrom=circle.test"},
		{"gives up on a broken record", "bob@nonsense1.test", "", "permerror smtp.mailfrom=nonsense1.test"},
		{"takes trouble for temporary", "bob@broken.test", "", "temperror smtp.mailfrom=broken.test"},
		{"waits for a while", "bob@slow.test", "", "temperror smtp.mailfrom=slow.test"},
		{"judges the name at EHLO for the null sender", "", "", "pass smtp.helo=client.test"},
		{"has nothing to say of a literal", "bob@[192.0.2.25]", "", ""},
		{"isn't deceived by an @ in quotes", `"x@attacker.test"@victim.test`, "", "fail smtp.mailfrom=victim.test"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &Message{Forwards: true}
				if tt.sender != "" {
					sender, err := mail.ParseAddress(tt.sender)
					if err != nil {
						t.Fatal(err)
					}
					m.Envelope.Sender = sender
				}
				client := Client{Addr: netip.MustParseAddr("192.0.2.25"), Helo: "client.test"}
				if tt.client != "" {
					client.Addr = netip.MustParseAddr(tt.client)
				}
				began := time.Now()
				got, err := SPF(dns).Judge(t.Context(), client, m)
				want := Verdict{Authentic: len(tt.want) > 4 && tt.want[:4] == "pass"}
				if tt.want != "" {
					want.Results = []string{"spf=" + tt.want}
				}
				if diff := cmp.Diff(want, got); diff != "" || err != nil {
					t.Errorf("%v, verdict:\n%s", err, diff)
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func TestSPFIsForForwards(t *testing.T) {
	sender := mail.Envelope{Sender: mail.Address{Local: "bob", Domain: "slow.test"}} // an answer would take for ever
	for name, tt := range map[string]struct {
		message Message
		account store.AccountID
	}{
		"a message for us":                {Message{Envelope: sender}, 0},
		"a forward of one of our own":     {Message{Envelope: sender, Forwards: true}, 7},
		"a message to others, of our own": {Message{Envelope: sender}, 7},
	} {
		got, err := SPF(fakeDNS{}).Judge(t.Context(), Client{Account: tt.account}, &tt.message)
		if diff := cmp.Diff(Verdict{}, got); diff != "" || err != nil {
			t.Errorf("%s: %v, verdict:\n%s", name, err, diff)
		}
	}
}

func TestSPFNeedsAName(t *testing.T) {
	for _, helo := range []string{"", "[192.0.2.25]", "no_name;x=y", "192.0.2.25"} {
		client := Client{Addr: netip.MustParseAddr("192.0.2.25"), Helo: helo}
		got, err := SPF(fakeDNS{}).Judge(t.Context(), client, &Message{Forwards: true})
		if diff := cmp.Diff(Verdict{}, got); diff != "" || err != nil {
			t.Errorf("%q: %v, verdict:\n%s", helo, err, diff)
		}
	}
}
