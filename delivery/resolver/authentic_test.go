package resolver

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// signed has answers about names under "signed.test." marked as authentic, as a
// validating server does: only if all that is in them is.
func signed(m, a *dns.Msg) *dns.Msg {
	a.AuthenticatedData = strings.HasSuffix(m.Question[0].Name, "signed.test.")
	for _, rr := range a.Answer {
		a.AuthenticatedData = a.AuthenticatedData && strings.HasSuffix(rr.Header().Name, "signed.test.")
	}
	return a
}

func TestAuthenticAnswers(t *testing.T) {
	s := start(t,
		"signed.test. 60 IN MX 10 mx.signed.test.", "plain.test. 60 IN MX 10 mx.signed.test.", "bare.signed.test. 60 IN A 192.0.2.1",
		"mx.signed.test. 60 IN A 192.0.2.1", "mx.signed.test. 60 IN AAAA 2001:db8::1", "mx.plain.test. 60 IN A 192.0.2.2",
		"alias.signed.test. 60 IN CNAME mx.signed.test.", "out.signed.test. 60 IN CNAME mx.plain.test.", "in.plain.test. 60 IN CNAME mx.signed.test.",
		"_25._tcp.mx.signed.test. 60 IN TLSA 3 1 1 00ff", "_25._tcp.mx.plain.test. 60 IN TLSA 3 1 1 00ff",
	)
	s.spoilWith(signed)
	r := of(s)
	ctx := t.Context()
	for domain, want := range map[string]bool{"signed.test": true, "plain.test": false, "bare.signed.test": true} {
		if _, authentic, err := r.AuthenticMX(ctx, domain); authentic != want || err != nil {
			t.Errorf("MX of %s: authentic %v, %v", domain, authentic, err)
		}
	}
	for host, want := range map[string]string{
		"mx.signed.test":    "mx.signed.test [192.0.2.1 2001:db8::1] true",
		"mx.plain.test":     "mx.plain.test [192.0.2.2] false",
		"alias.signed.test": "mx.signed.test [192.0.2.1 2001:db8::1] true",
		"out.signed.test":   "mx.plain.test [192.0.2.2] false",
		"in.plain.test":     "mx.signed.test [192.0.2.1 2001:db8::1] false",
	} {
		list, name, authentic, err := r.AuthenticNetIP(ctx, host)
		if got := fmt.Sprint(name, " ", list, " ", authentic); got != want || err != nil {
			t.Errorf("%s is %s, %v, want %s", host, got, err, want)
		}
	}
	for name, want := range map[string]bool{"out.signed.test": true, "alias.signed.test": true, "in.plain.test": false, "mx.signed.test": false} {
		if got, err := r.AuthenticAlias(ctx, name); got != want || err != nil {
			t.Errorf("alias %s: authentic %v, %v", name, got, err)
		}
	}
	for name, want := range map[string]string{"_25._tcp.mx.signed.test": "1 true", "_25._tcp.mx.plain.test": "1 false", "mx.signed.test": "0 true"} {
		list, authentic, err := r.LookupTLSA(ctx, name)
		if got := fmt.Sprint(len(list), " ", authentic); got != want || err != nil {
			t.Errorf("TLSA of %s: %s, %v", name, got, err)
		}
	}
}

// An alias whose target the server leaves to us is as good as its worst part.
func TestAuthenticPartByPart(t *testing.T) {
	s := start(t, "a.signed.test. 60 IN CNAME b.plain.test.", "b.plain.test. 60 IN CNAME c.signed.test.", "c.signed.test. 60 IN A 192.0.2.1")
	s.spoilWith(signed)
	list, name, authentic, err := of(s).AuthenticNetIP(t.Context(), "a.signed.test")
	if fmt.Sprint(list) != "[192.0.2.1]" || name != "c.signed.test" || authentic || err != nil {
		t.Errorf("found %v at %s, authentic %v, %v", list, name, authentic, err)
	}
}

func TestAuthenticIsAskedFor(t *testing.T) {
	s := start(t, "a.test. 60 IN A 192.0.2.1")
	wanted := make(chan bool, 1)
	s.spoilWith(func(m, a *dns.Msg) *dns.Msg {
		wanted <- m.IsEdns0().Do()
		return a
	})
	of(s).LookupNetIP(t.Context(), "ip4", "a.test")
	if !<-wanted {
		t.Error("the server on this machine wasn't asked for DNSSEC")
	}
}

func TestServersNearby(t *testing.T) {
	for server, want := range map[string]bool{
		"127.0.0.1:53": true, "127.0.0.53:53": true, "[::1]:53": true, "[::ffff:127.0.0.1]:53": true,
		"192.0.2.1:53": false, "[2001:db8::1]:53": false, "localhost:53": false, "": false,
	} {
		if got := isNear(server); got != want {
			t.Errorf("%q is near: %v", server, got)
		}
	}
}

func TestLookupTXT(t *testing.T) {
	r := of(start(t, `a.test. 60 IN TXT "v=STSv1; " "id=1;"`, `a.test. 60 IN TXT "a\"b\\c\233"`))
	list, err := r.LookupTXT(t.Context(), "a.test")
	if want := []string{"v=STSv1; id=1;", "a\"b\\c\xe9"}; fmt.Sprintf("%q", list) != fmt.Sprintf("%q", want) || err != nil {
		t.Errorf("found %q, %v", list, err)
	}
	_, err = r.LookupTXT(t.Context(), "gone.test")
	checkError(t, err, "lookup gone.test: no such domain", true)
}
