package policy

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"

	"postroom/smtpd/policy/dkim"
	"postroom/smtpd/policy/dmarc"
	"postroom/smtpd/policy/spf"
	"postroom/store/mail"
)

// maxFromDomains is how many domains of a message's authors are looked at.
const maxFromDomains = 10

// authors are the domains that a message says to be from.
type authors struct {
	domains []string
	problem string // why it isn't one author in one field, as it must be
	tooMany bool
}

// authorsOf reads them from the fields From. Many a field can't be read whose author
// is plain to see all the same: that one is taken. Where it isn't, whatever domain
// the field may show to somebody counts.
func authorsOf(m *Message) (found authors) {
	for _, address := range m.From {
		found.add(address.Domain)
	}
	if m.FromFields > 0 && len(m.From) == 0 {
		found.addUnread(valuesOfFrom(m.header()))
	}
	switch {
	case m.FromFields > 1:
		found.problem = "it has more than one field From"
	case m.FromFields == 1 && len(found.domains) == 0:
		found.problem = "its field From can't be read"
	case len(found.domains) > 1:
		found.problem = "its field From names more than one domain"
	}
	return found
}

func (found *authors) addUnread(values [][]byte) {
	if len(values) == 1 {
		if domain, ok := soleAuthor(values[0]); ok {
			found.add(domain)
			return
		}
	}
	for _, value := range values {
		found.addAll(value)
	}
}

// soleAuthor returns the domain of the one address in angle brackets. What stands
// before it is a name, unless that could be a list with another address, or an
// address with the brackets in a comment.
func soleAuthor(value []byte) (domain string, ok bool) {
	before, rest, opened := bytes.Cut(value, []byte("<"))
	inner, after, closed := bytes.Cut(rest, []byte(">"))
	if !opened || !closed || bytes.ContainsAny(after, "@<") || bytes.ContainsRune(before, '@') && bytes.ContainsAny(before, ",;:(") {
		return "", false
	}
	address, err := mail.ParseAddress(string(bytes.TrimSpace(inner)))
	return address.Domain, err == nil
}

// add adds a domain. What no domain can be, as with an underscore, is shown to a
// reader all the same: the domain that it is in counts.
func (found *authors) add(name string) {
	domain, err := mail.ParseDomain(name)
	if err != nil && !isLiteral(name) {
		domain, err = mail.ParseDomain(goodPart(name))
	}
	switch {
	case err != nil, isLiteral(domain), slices.Contains(found.domains, domain):
	case len(found.domains) == maxFromDomains:
		found.tooMany = true
	default:
		found.domains = append(found.domains, domain)
	}
}

// goodPart returns the end of a name that can be a domain.
func goodPart(name string) string {
	name = dots.Replace(name)
	for end := len(name); end > 0; {
		start := strings.LastIndexByte(name[:end], '.') + 1
		if _, err := mail.ParseDomain(name[start:end] + ".x"); err != nil || len(name)-start > maxName {
			return name[min(end+1, len(name)):]
		}
		end = start - 1
	}
	return name
}

const maxName = 253

// dots are what IDNA takes for one.
var dots = strings.NewReplacer("\u3002", ".", "\uff0e", ".", "\uff61", ".")

// addAll adds whatever follows an @.
func (found *authors) addAll(value []byte) {
	for !found.tooMany {
		_, after, ok := bytes.Cut(value, []byte("@"))
		if !ok {
			return
		}
		after = skipBlanks(after)
		n := bytes.IndexFunc(after, endsDomain)
		if n < 0 {
			n = len(after)
		}
		found.add(string(bytes.Trim(after[:n], ".")))
		value = after
	}
}

// skipBlanks takes white space and comments off the front: both may stand between
// an @ and its domain.
func skipBlanks(b []byte) []byte {
	for {
		b = bytes.TrimLeft(b, " \t\r\n")
		if !bytes.HasPrefix(b, []byte("(")) {
			return b
		}
		n := bytes.IndexByte(b[:min(len(b), maxComment)], ')')
		if n < 0 {
			return b[1:]
		}
		b = b[n+1:]
	}
}

// maxComment is how long one is, in octets: nobody needs more.
const maxComment = 1000

// valuesOfFrom returns the values of the fields From.
func valuesOfFrom(header []byte) (list [][]byte) {
	for len(header) > 0 {
		end := fieldEnd(header)
		name, value, _ := bytes.Cut(header[:end], []byte(":"))
		if bytes.EqualFold(bytes.TrimRight(name, " \t"), []byte("from")) {
			list = append(list, value)
		}
		header = header[end:]
	}
	return list
}

func endsDomain(r rune) bool {
	return r < 0x80 && r != '.' && r != '-' && r != '_' && (r < '0' || '9' < r) && (r|0x20 < 'a' || 'z' < r|0x20)
}

// fieldEnd returns where the first field of b ends.
func fieldEnd(b []byte) int {
	for i := 0; ; {
		n := bytes.IndexByte(b[i:], '\n')
		if n < 0 {
			return len(b)
		}
		if i += n + 1; i == len(b) || b[i] != ' ' && b[i] != '\t' {
			return i
		}
	}
}

// An authorship is what DMARC makes of a message.
type authorship struct {
	authors
	policy    *dmarc.Discovery // the strictest of all authors' domains; nil: there is none
	err       error            // it couldn't be found out
	aligned   string           // what proves that the message is from its author; empty: nothing does
	undecided bool             // something might, and couldn't be found out
}

// discover finds the policies of the authors' domains.
func discover(ctx context.Context, w *dmarc.Walker, who authors) authorship {
	found := authorship{authors: who}
	policies, errs := make([]*dmarc.Discovery, len(who.domains)), make([]error, len(who.domains))
	var asking sync.WaitGroup
	for i, domain := range who.domains[min(1, len(who.domains)):] {
		asking.Go(func() { policies[i+1], errs[i+1] = w.Discover(ctx, domain) })
	}
	if len(who.domains) > 0 {
		policies[0], errs[0] = w.Discover(ctx, who.domains[0])
	}
	asking.Wait()
	for i, p := range policies {
		if errs[i] != nil {
			found.err = errs[i]
		}
		if p != nil && (found.policy == nil || p.Applied() > found.policy.Applied()) {
			found.policy = p
		}
	}
	return found
}

// align looks for what proves the author: a pass of SPF or DKIM for a domain of the
// same organization.
func (f *facts) align(ctx context.Context, w *dmarc.Walker) {
	d := &f.dmarc
	if d.problem != "" || d.policy == nil {
		return
	}
	author := d.domains[0]
	try := func(passed, unknown bool, domain, method string, strict bool) {
		if d.aligned != "" || !passed && !unknown {
			return
		}
		aligned, err := w.Aligned(ctx, author, domain, strict)
		switch {
		case err != nil:
			d.undecided = true
		case aligned && passed:
			d.aligned = method + " of " + domain
		case aligned:
			d.undecided = true
		}
	}
	for _, s := range f.signatures() {
		try(s.Result == dkim.Pass, s.Result == dkim.TempError, s.Domain, "DKIM", d.policy.Record.StrictDKIM)
	}
	if domain, err := mail.ParseDomain(f.sender.Domain); err == nil {
		try(f.spf.Result == spf.Pass, f.spf.Result == spf.TempError, domain, "SPF", d.policy.Record.StrictSPF)
	}
}

// signatures returns the signatures with the likeliest proof first: most need no
// further question then.
func (f *facts) signatures() []dkim.Verification {
	list := slices.Clone(f.dkim)
	author := f.dmarc.domains[0]
	rank := func(s dkim.Verification) int {
		if s.Domain == author {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(list, func(a, b dkim.Verification) int { return rank(a) - rank(b) })
	return list
}
