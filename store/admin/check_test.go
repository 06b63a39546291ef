package admin_test

import (
	"context"
	"errors"
	"testing"

	"postroom/store/admin"
)

// A checkerFake answers with what it was asked.
type checkerFake struct{ asked admin.CheckRequest }

func (c *checkerFake) note(_ context.Context, r admin.CheckRequest) (admin.CheckReport, error) {
	c.asked = r
	return admin.CheckReport{Taken: true}, nil
}

func (c *checkerFake) CheckSPF(ctx context.Context, r admin.CheckRequest) (admin.CheckReport, error) {
	return c.note(ctx, r)
}

func (c *checkerFake) CheckDKIM(ctx context.Context, r admin.CheckRequest) (admin.CheckReport, error) {
	return c.note(ctx, r)
}

func (c *checkerFake) CheckDMARC(ctx context.Context, r admin.CheckRequest) (admin.CheckReport, error) {
	return c.note(ctx, r)
}

func (c *checkerFake) CheckMessage(ctx context.Context, r admin.CheckRequest) (admin.CheckReport, error) {
	return c.note(ctx, r)
}

func TestChecksAreAskedInNormalForm(t *testing.T) {
	f := newFixture(t)
	fake := new(checkerFake)
	if _, err := f.CheckDMARC(t.Context(), admin.CheckRequest{Domain: "example.org"}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("without a Checker: %v", err)
	}
	f.Checks = fake
	for _, tt := range []struct {
		it             string
		ask            func(context.Context, admin.CheckRequest) (admin.CheckReport, error)
		given, asked   admin.CheckRequest
		text, mistaken string
	}{
		{
			it: "trims", ask: f.CheckSPF,
			given: admin.CheckRequest{IP: " [::ffff:192.0.2.1] ", Helo: " mail.example ", From: "<Eve@EXAMPLE.org>"},
			asked: admin.CheckRequest{IP: "192.0.2.1", Helo: "mail.example", From: "Eve@example.org"},
		},
		{
			it: "calls the client by its address", ask: f.CheckSPF,
			given: admin.CheckRequest{IP: "2001:db8::1", From: "<>"}, asked: admin.CheckRequest{IP: "2001:db8::1", Helo: "[IPv6:2001:db8::1]"},
		},
		{
			it: "puts domains into A-labels", ask: f.CheckDMARC,
			given: admin.CheckRequest{Domain: "BÜCHER.example."}, asked: admin.CheckRequest{Domain: "xn--bcher-kva.example"},
		},
		{it: "ends lines with CRLF", ask: f.CheckDKIM, given: admin.CheckRequest{Message: []byte("a: b\n\nc\rd\r\ne")}, text: "a: b\r\n\r\nc\rd\r\ne\r\n"},
		{it: "wants an address of a client", ask: f.CheckMessage, given: admin.CheckRequest{IP: "example.org"}, mistaken: "is not the IP address of a client"},
		{it: "wants a name", ask: f.CheckSPF, given: admin.CheckRequest{IP: "192.0.2.1", Helo: "a b"}, mistaken: "is not a name for EHLO"},
		{it: "wants no other command", ask: f.CheckSPF, given: admin.CheckRequest{IP: "192.0.2.1", Helo: "a\r\nQUIT"}, mistaken: "is not a name for EHLO"},
		{it: "wants a sender", ask: f.CheckSPF, given: admin.CheckRequest{IP: "192.0.2.1", From: "eve"}, mistaken: "is not the address of a sender"},
		{it: "wants a domain", ask: f.CheckDMARC, given: admin.CheckRequest{Domain: "a b"}, mistaken: "is not a domain"},
		{it: "wants a message", ask: f.CheckDKIM, given: admin.CheckRequest{Message: []byte("\n")}, mistaken: "There is no message"},
	} {
		t.Run(tt.it, func(t *testing.T) {
			f.t = t
			fake.asked = admin.CheckRequest{}
			report, err := tt.ask(t.Context(), tt.given)
			if tt.mistaken != "" {
				f.fails(err, admin.Invalid, nil, tt.mistaken)
				return
			}
			f.must(err)
			asked := fake.asked
			text := string(asked.Message)
			if text != tt.text || asked.IP != tt.asked.IP || asked.Helo != tt.asked.Helo || asked.From != tt.asked.From || asked.Domain != tt.asked.Domain {
				t.Errorf("asked %+v, %q", asked, text)
			}
			if report.Checks == nil {
				t.Error("JSON would have null for no checks")
			}
		})
	}
}
