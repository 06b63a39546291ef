package policy

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"postroom/store/mail"
)

// Bounds of what one message makes us ask and compute.
const (
	dkimTimeout   = 5 * time.Second
	maxSignatures = 5
)

// DKIM finds out whether the domain of the envelope's sender has signed the message
// (RFC 6376), or a domain that this one belongs to. It never objects; its verdict
// has the result of each signature, and is Authentic if one of these is good: a
// forwarder before us has broken SPF, but not the signature.
//
// Like SPF it looks at nothing but what other servers have us forward.
func DKIM(dns Resolver) Check[*Message] {
	return Check[*Message]{Name: "dkim", Judge: func(ctx context.Context, client Client, m *Message) (Verdict, error) {
		if !m.Forwards || client.Account != 0 || m.Envelope.Sender.IsNull() || !isSigned(m.Header) {
			return Verdict{}, nil
		}
		return judgeDKIM(ctx, dns, m), nil
	}}
}

// isSigned reports whether there may be a signature: most of the cost is in reading
// the message.
func isSigned(header []byte) bool {
	return bytes.Contains(bytes.ToLower(header), []byte("dkim-signature"))
}

func judgeDKIM(ctx context.Context, dns Resolver, m *Message) (v Verdict) {
	ctx, cancel := context.WithTimeout(ctx, dkimTimeout)
	defer cancel()
	list, err := dkim.VerifyWithOptions(m.Open(), &dkim.VerifyOptions{
		MaxVerifications: maxSignatures,
		LookupTXT: func(name string) ([]string, error) {
			records, err := dns.LookupTXT(ctx, name)
			return slices.DeleteFunc(slices.Clone(records), isNoKey), dnsError(err, name)
		},
	})
	if err != nil && !errors.Is(err, dkim.ErrTooManySignatures) {
		return v // the list says nothing then: those that couldn't be read to the end look good in it
	}
	for _, s := range list {
		domain, err := mail.ParseDomain(s.Domain)
		if err != nil {
			continue
		}
		v.Results = append(v.Results, "dkim="+dkimWord(s.Err)+" header.d="+domain)
		v.Authentic = v.Authentic || s.Err == nil && speaksFor(domain, m.Envelope.Sender.Domain)
	}
	return v
}

// isNoKey reports whether a TXT record is about something else: the library takes
// all that there are for parts of one.
func isNoKey(record string) bool { return !strings.Contains(record, "p=") }

// dkimWord is a result as Authentication-Results names it (RFC 8601 section 2.7.1).
func dkimWord(err error) string {
	switch {
	case err == nil:
		return "pass"
	case dkim.IsTempFail(err):
		return "temperror"
	case dkim.IsPermFail(err):
		return "permerror"
	}
	return "fail"
}

// speaksFor reports whether a domain is another one or has it under it.
func speaksFor(domain, other string) bool {
	return other == domain || strings.HasSuffix(other, "."+domain)
}
