package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"postroom/store/mail"
)

// TestExamine: an admin is told what the live checks think, and why.
func TestExamine(t *testing.T) {
	dns := world()
	signed := sign(t, dns, "reject.test", "From: s@reject.test\r\n\r\nHello\r\n")
	a := &Authentication{DNS: dns, SPF: Enforce, DKIM: Mark, DMARC: Enforce}
	failing, _ := mail.ParseAddress("s@fail.test")
	rules := Rules{Message: Chain[*Message]{a.Check()}}
	for _, tt := range []struct {
		it      string
		examine func(context.Context) Examination
		checks  string
		code    int
		why     []string
	}{
		{
			"follows SPF", func(ctx context.Context) Examination { return a.ExamineSPF(ctx, testClient, failing) },
			"spf=fail", 550,
			[]string{"SPF: record of fail.test: v=spf1 ip4:192.0.2.99 -all exp=why.fail.test", "SPF: fail.test: ip4:192.0.2.99 doesn't match", "SPF: fail.test: -all matches: fail"},
		},
		{
			"asks about the client for the null sender", func(ctx context.Context) Examination { return a.ExamineSPF(ctx, testClient, mail.Address{}) },
			"spf=pass", 0,
			[]string{"SPF: record of client.test: v=spf1 ip4:192.0.2.1 -all"},
		},
		{
			"says that there is nobody to ask about", func(ctx context.Context) Examination {
				return a.ExamineSPF(ctx, Client{Addr: testClient.Addr, Helo: "[192.0.2.1]"}, mail.Address{})
			},
			"spf=none", 0, nil,
		},
		{
			"follows DKIM", func(ctx context.Context) Examination { return a.ExamineDKIM(ctx, letter("", signed)) },
			"dkim=pass", 0,
			[]string{"DKIM: k._domainkey.reject.test: v=DKIM1; k=ed25519; p="},
		},
		{
			"follows DMARC", func(ctx context.Context) Examination { return a.ExamineDMARC(ctx, "gone.below.test") },
			"dmarc=reject", 0,
			[]string{"DMARC: _dmarc.gone.below.test: no record", "DMARC: _dmarc.below.test: v=DMARC1;", "DMARC: gone.below.test doesn't exist", "DMARC: gone.below.test belongs to the organization below.test"},
		},
		{
			"says that there is no policy", func(ctx context.Context) Examination { return a.ExamineDMARC(ctx, "unknown.test") },
			"dmarc=absent", 0, nil,
		},
		{
			"says that a policy can't be found out", func(ctx context.Context) Examination { return a.ExamineDMARC(ctx, "down.test") },
			"dmarc=temperror", 0, nil,
		},
		{
			"judges a whole message", func(ctx context.Context) Examination {
				return rules.Examine(ctx, testClient, letter("s@lists.test", signed+"PS\r\n"))
			},
			"spf=pass dkim=fail dmarc=fail", 550,
			[]string{"DMARC: _dmarc.reject.test: v=DMARC1; p=reject"},
		},
		{
			"judges a message that would be marked", func(ctx context.Context) Examination {
				return rules.Examine(ctx, testClient, letter("s@lists.test", "From: s@quarantine.test\r\n\r\nHello\r\n"))
			},
			"spf=pass dkim=none dmarc=fail", 0, nil,
		},
	} {
		e := tt.examine(t.Context())
		var checks []string
		for _, c := range e.Checks {
			checks = append(checks, fmt.Sprintf("%s=%s", c.Check, c.Result))
		}
		if got := strings.Join(checks, " "); got != tt.checks || e.Answer.Code != tt.code {
			t.Errorf("%s: %s, %v, want %s, %d", tt.it, got, e.Answer, tt.checks, tt.code)
		}
		for _, want := range tt.why {
			if !slices.ContainsFunc(e.Explained, func(line string) bool { return strings.HasPrefix(line, want) }) {
				t.Errorf("%s: %q is not in %q", tt.it, want, e.Explained)
			}
		}
		if want := strings.Contains(tt.it, "marked"); e.Spam != want {
			t.Errorf("%s: spam is %v", tt.it, e.Spam)
		}
	}
}

// TestAllowedIsNotMarked: whom the admin believes isn't called a spammer by others.
func TestAllowedIsNotMarked(t *testing.T) {
	a := &Authentication{DNS: world(), SPF: Mark, DKIM: Mark, DMARC: Enforce}
	allow := Check[*Message]{"list", func(context.Context, Client, *Message) (Verdict, error) { return Verdict{Allowed: true}, nil }}
	m := letter("s@lists.test", "From: s@quarantine.test\r\n\r\nHello\r\n")
	v, err := Chain[*Message]{allow, a.Check()}.Judge(t.Context(), testClient, m)
	if err != nil || !v.Pass() || len(v.Fields) > 0 || !slices.Contains(v.Results, "dmarc=fail (p=quarantine) header.from=quarantine.test") {
		t.Errorf("%+v, %v", v, err)
	}
}
