package admin

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strings"

	"postroom/store"
	"postroom/store/mail"
)

// A CheckRequest describes a mail that might come from another server. What a check
// doesn't need may be empty.
type CheckRequest struct {
	IP      string `json:"ip,omitempty"`   // of the client
	Helo    string `json:"helo,omitempty"` // what it calls itself; empty: its address in brackets
	From    string `json:"from,omitempty"` // of the envelope; empty or "<>" for the null sender
	Domain  string `json:"domain,omitempty"`
	Message []byte `json:"message,omitempty"` // header and all; bare LFs are taken for CRLF
}

// A CheckReport says what the checks think of a mail.
type CheckReport struct {
	Checks []store.CheckResult `json:"checks"`
	// Results is the field Authentication-Results that the message would get.
	Results string `json:"authentication_results,omitempty"`
	Spam    bool   `json:"spam,omitempty"` // it would be marked X-Spam: yes
	// Reply is what the client would hear, and Taken whether that means that the
	// message is taken. Where one check was asked there is no Reply, and Taken says
	// whether it has nothing against the mail.
	Reply string `json:"reply,omitempty"`
	Taken bool   `json:"taken"`
	// Explained says in words what led to each result: records found, mechanisms
	// that matched, keys.
	Explained []string `json:"explained,omitempty"`
}

// A Checker runs the checks of mail from other servers, the live ones, on what
// might come. Nothing is accepted, counted or written down.
type Checker interface {
	CheckSPF(ctx context.Context, r CheckRequest) (CheckReport, error)     // IP, Helo, From
	CheckDKIM(ctx context.Context, r CheckRequest) (CheckReport, error)    // Message
	CheckDMARC(ctx context.Context, r CheckRequest) (CheckReport, error)   // Domain
	CheckMessage(ctx context.Context, r CheckRequest) (CheckReport, error) // all but Domain
}

// CheckSPF asks whether a client may send in the name of an envelope's sender
// (RFC 7208).
func (a *Admin) CheckSPF(ctx context.Context, r CheckRequest) (CheckReport, error) {
	return a.check(ctx, r, Checker.CheckSPF, parseClient)
}

// CheckDKIM verifies the signatures of a message (RFC 6376).
func (a *Admin) CheckDKIM(ctx context.Context, r CheckRequest) (CheckReport, error) {
	return a.check(ctx, r, Checker.CheckDKIM, parseMessage)
}

// CheckDMARC finds the policy of a domain (RFC 9989).
func (a *Admin) CheckDMARC(ctx context.Context, r CheckRequest) (CheckReport, error) {
	return a.check(ctx, r, Checker.CheckDMARC, parseCheckedDomain)
}

// CheckMessage asks what would become of a mail that another server brings.
func (a *Admin) CheckMessage(ctx context.Context, r CheckRequest) (CheckReport, error) {
	return a.check(ctx, r, Checker.CheckMessage, parseClient, parseMessage)
}

// check has a request parsed, which puts it into normal form, and then carried
// out.
func (a *Admin) check(ctx context.Context, r CheckRequest, ask func(Checker, context.Context, CheckRequest) (CheckReport, error), parse ...func(*CheckRequest) error) (CheckReport, error) {
	for _, p := range parse {
		if err := p(&r); err != nil {
			return CheckReport{}, err
		}
	}
	if a.Checks == nil {
		return CheckReport{}, errors.ErrUnsupported
	}
	report, err := ask(a.Checks, ctx, r)
	if report.Checks == nil {
		report.Checks = []store.CheckResult{} // JSON: [], not null
	}
	return report, err
}

// parseClient reads what a client would say of itself.
func parseClient(r *CheckRequest) error {
	ip, err := netip.ParseAddr(strings.Trim(strings.TrimSpace(r.IP), "[]"))
	if err != nil {
		return invalid("%q is not the IP address of a client. It should look like 192.0.2.1 or 2001:db8::1.", r.IP)
	}
	ip = ip.Unmap().WithZone("")
	r.IP = ip.String()
	if r.Helo = strings.TrimSpace(r.Helo); r.Helo == "" {
		r.Helo = literalOf(ip)
	}
	if strings.ContainsFunc(r.Helo, func(c rune) bool { return c <= ' ' || c > '~' }) || len(r.Helo) > 255 {
		return invalid("%q is not a name for EHLO. It should look like mail.example.org.", r.Helo)
	}
	return parseCheckedSender(r)
}

func parseCheckedSender(r *CheckRequest) error {
	from := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(r.From), "<"), ">")
	if from == "" {
		r.From = ""
		return nil
	}
	address, err := mail.ParseAddress(from)
	if err != nil {
		return invalid("%q is not the address of a sender. It should look like name@example.org, or <> for the null sender.", r.From)
	}
	r.From = address.String()
	return nil
}

// literalOf is an address as EHLO gives it (RFC 5321 4.1.3).
func literalOf(ip netip.Addr) string {
	if ip.Is6() {
		return "[IPv6:" + ip.String() + "]"
	}
	return "[" + ip.String() + "]"
}

// maxCheckedMessage bounds the messages to be checked, in octets.
const maxCheckedMessage = 64 << 20

// parseMessage ends every line of a message with CRLF.
func parseMessage(r *CheckRequest) error {
	switch {
	case len(bytes.TrimSpace(r.Message)) == 0:
		return invalid("There is no message: give its header and its body, as they came.")
	case len(r.Message) > maxCheckedMessage:
		return invalid("The message is too large to be checked: it may have at most %s.", octets(maxCheckedMessage))
	}
	text := bytes.ReplaceAll(r.Message, []byte("\r\n"), []byte("\n"))
	r.Message = bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
	if !bytes.HasSuffix(r.Message, []byte("\r\n")) {
		r.Message = append(r.Message, "\r\n"...)
	}
	return nil
}

func parseCheckedDomain(r *CheckRequest) error {
	domain, err := mail.ParseDomain(strings.TrimSuffix(strings.TrimSpace(r.Domain), "."))
	if err != nil {
		return invalid("%q is not a domain. It should look like example.org.", r.Domain)
	}
	r.Domain = domain
	return nil
}
