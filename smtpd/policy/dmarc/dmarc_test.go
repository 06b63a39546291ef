package dmarc

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A fakeDNS has TXT records by the domain whose "_dmarc" they are at; "fail" is no
// answer. Other names exist if they are listed.
type fakeDNS struct {
	records map[string]string
	exist   map[string]bool
}

func (f *fakeDNS) LookupTXT(_ context.Context, name string) ([]string, error) {
	domain := strings.TrimPrefix(name, "_dmarc.")
	switch record, ok := f.records[domain]; {
	case record == "fail":
		return nil, errors.New("no answer")
	case ok:
		return strings.Split(record, "\n"), nil
	}
	return nil, &net.DNSError{Name: name, IsNotFound: true}
}

func (f *fakeDNS) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	return nil, f.existence(name)
}

func (f *fakeDNS) LookupNetIP(_ context.Context, _, name string) ([]netip.Addr, error) {
	return nil, f.existence(name)
}

func (f *fakeDNS) existence(name string) error {
	if f.exist[name] {
		return nil
	}
	return &net.DNSError{Name: name, IsNotFound: true}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		it, text string
		want     Record
	}{
		{"takes defaults", "v=DMARC1", Record{PSD: "u"}},
		{"gives p to all", "v=DMARC1; p=reject;", Record{P: Reject, SP: Reject, NP: Reject, PSD: "u"}},
		{"gives sp to what doesn't exist", "v=DMARC1;p=none;sp=quarantine", Record{SP: Quarantine, NP: Quarantine, PSD: "u"}},
		{"knows np", "v=DMARC1; p=none; np=reject", Record{NP: Reject, PSD: "u"}},
		{"reads in capitals and with blanks", "v = DMARC1 ; P = Reject ; ASPF=S; adkim = s; T=Y; psd=Y", Record{P: Reject, SP: Reject, NP: Reject, StrictSPF: true, StrictDKIM: true, Test: true, PSD: "y"}},
		{"passes over what it doesn't know", "v=DMARC1; x=y; p=quarantine; pct=0; nonsense; psd=x; t=x", Record{P: Quarantine, SP: Quarantine, NP: Quarantine, PSD: "u"}},
		{"asks for nothing if a policy is nonsense", "v=DMARC1; p=reject; sp=nonsense", Record{PSD: "u", Broken: true}},
		{"is content with hearing then", "v=DMARC1; p=nonsense; rua=mailto:a@b.test", Record{PSD: "u"}},
	} {
		tt.want.Text = tt.text
		if diff := cmp.Diff(tt.want, Parse(tt.text)); diff != "" || !IsRecord(tt.text) {
			t.Errorf("%s: %s:\n%s", tt.it, tt.text, diff)
		}
	}
	for _, text := range []string{"", "v=dmarc1; p=reject", "v=DMARC2", "p=reject; v=DMARC1", "DMARC1", "v=DMARC1 p=reject"} {
		if IsRecord(text) {
			t.Errorf("%q is taken for a record", text)
		}
	}
}

func TestWalk(t *testing.T) {
	for domain, want := range map[string]string{
		"example.com":        "example.com com",
		"com":                "com",
		"a.mail.example.com": "a.mail.example.com mail.example.com example.com com",
		"a.b.c.d.e.f.g.com":  "a.b.c.d.e.f.g.com b.c.d.e.f.g.com c.d.e.f.g.com d.e.f.g.com e.f.g.com f.g.com g.com com",
		"a.b.c.d.e.f.g.h.i.j.mail.example.com": "a.b.c.d.e.f.g.h.i.j.mail.example.com g.h.i.j.mail.example.com h.i.j.mail.example.com " +
			"i.j.mail.example.com j.mail.example.com mail.example.com example.com com",
	} {
		if got := strings.Join(walk(domain), " "); got != want {
			t.Errorf("%s: %s, want %s", domain, got, want)
		}
	}
}

func TestDiscover(t *testing.T) {
	dns := &fakeDNS{
		records: map[string]string{
			"example.com":          "v=DMARC1; p=reject; sp=quarantine; np=none",
			"mail.example.com":     "v=DMARC1; p=none",
			"bank":                 "v=DMARC1; psd=y; p=none; np=reject; sp=quarantine",
			"own.bank":             "v=DMARC1; p=reject",
			"parts.example.org":    "v=DMARC1; psd=n; p=reject; sp=reject",
			"example.org":          "v=DMARC1; p=none",
			"two.test":             "v=DMARC1; p=reject\nv=DMARC1; p=reject",
			"mixed.test":           "something else\nv=DMARC1; p=reject",
			"down.test":            "fail",
			"broken.test":          "v=DMARC1; p=nonsense",
			"registry":             "fail",
			"strange.registry":     "v=DMARC1; p=reject",
			"tested.test":          "v=DMARC1; p=reject; t=y",
			"deep.parts.co.suffix": "v=DMARC1; p=quarantine",
			"co.suffix":            "v=DMARC1; psd=y; p=reject",
		},
		exist: map[string]bool{"there.example.com": true, "there.bank": true},
	}
	for _, tt := range []struct{ domain, want, organization string }{
		{"example.com", "p=reject of example.com", "example.com"},
		{"there.example.com", "sp=quarantine of example.com", "example.com"},
		{"gone.example.com", "np=none of example.com", "example.com"},
		{"a.b.c.there.example.com", "np=none of example.com", "example.com"},
		{"mail.example.com", "p=none of mail.example.com", "example.com"},
		{"a.mail.example.com", "np=none of example.com", "example.com"},
		{"there.bank", "sp=quarantine of bank", "there.bank"},
		{"gone.bank", "np=reject of bank", "gone.bank"},
		{"a.gone.bank", "np=reject of bank", "gone.bank"},
		{"own.bank", "p=reject of own.bank", "own.bank"},
		{"a.own.bank", "sp=reject of own.bank", "own.bank"},
		{"bank", "p=none of bank", "bank"},
		{"a.parts.example.org", "sp=reject of parts.example.org", "parts.example.org"},
		{"a.example.org", "sp=none of example.org", "example.org"},
		{"unknown.net", "none", "unknown.net"},
		{"two.test", "none", "two.test"},
		{"mixed.test", "p=reject of mixed.test", "mixed.test"},
		{"down.test", "error", "error"},
		{"a.down.test", "error", "error"},
		{"broken.test", "none", "broken.test"},
		{"strange.registry", "p=reject of strange.registry", "error"},
		{"x.strange.registry", "error", "error"},
		{"tested.test", "p=reject of tested.test, applied quarantine", "tested.test"},
		{"deep.parts.co.suffix", "p=quarantine of deep.parts.co.suffix", "parts.co.suffix"},
		{"x.deep.parts.co.suffix", "sp=reject of co.suffix", "parts.co.suffix"},
	} {
		w := &Walker{DNS: dns}
		d, err := w.Discover(t.Context(), tt.domain)
		got := "none"
		switch {
		case err != nil:
			got = "error"
		case d != nil:
			got = d.Which + "=" + d.Policy.String() + " of " + d.At
			if d.Applied() != d.Policy {
				got += ", applied " + d.Applied().String()
			}
		}
		organization, err := w.Organization(t.Context(), tt.domain)
		if err != nil {
			organization = "error"
		}
		if got != tt.want || organization != tt.organization {
			t.Errorf("%s: %s, organization %s; want %s, %s", tt.domain, got, organization, tt.want, tt.organization)
		}
	}
}

func TestAligned(t *testing.T) {
	dns := &fakeDNS{records: map[string]string{
		"example.com": "v=DMARC1; p=reject", "co.suffix": "v=DMARC1; psd=y; p=none", "down.test": "fail",
		"part.example.com": "v=DMARC1; psd=n; p=reject",
	}}
	for _, tt := range []struct {
		author, other string
		strict        bool
		want          string
	}{
		{"example.com", "example.com", true, "yes"},
		{"example.com", "mail.example.com", false, "yes"},
		{"example.com", "mail.example.com", true, "no"},
		{"mail.example.com", "example.com", false, "yes"},
		{"a.example.com", "b.example.com", false, "yes"},
		{"example.com", "badexample.com", false, "no"},
		{"example.com", "example.net", false, "no"},
		{"a.co.suffix", "b.co.suffix", false, "no"},
		{"a.co.suffix", "x.a.co.suffix", false, "yes"},
		{"part.example.com", "example.com", false, "no"},
		{"a.test", "down.test", false, "unknown"},
		{"down.test", "down.test", false, "yes"},
		{"unknown.net", "x.unknown.net", false, "no"},
	} {
		aligned, err := (&Walker{DNS: dns}).Aligned(t.Context(), tt.author, tt.other, tt.strict)
		got := map[bool]string{true: "yes", false: "no"}[aligned]
		if err != nil {
			got = "unknown"
		}
		if got != tt.want {
			t.Errorf("%s and %s: %s, want %s", tt.author, tt.other, got, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("v=DMARC1; p=reject; sp=none; np=quarantine; aspf=s; t=y; psd=n; rua=mailto:a@b")
	f.Add("v=DMARC1;;=;p=")
	f.Fuzz(func(t *testing.T, text string) {
		if r := Parse(text); r.Broken && (r.P != None || r.SP != None || r.NP != None) {
			t.Errorf("%+v", r)
		}
	})
}
