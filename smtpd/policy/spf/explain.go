package spf

import (
	"context"
	"strings"
)

// maxExplanation is how much of a stranger's explanation is given on, in octets.
const maxExplanation = 400

// explanation returns what the owner of the record of domain has to say. Whatever
// is wrong with it, there is none then (section 6.2).
func (e *evaluation) explanation(ctx context.Context, spec, domain string) string {
	target, err := e.target(ctx, spec, domain)
	if err != nil {
		return ""
	}
	list, err := e.dns.LookupTXT(ctx, target)
	if err != nil || len(list) != 1 || strings.ContainsFunc(list[0], func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	text, err := e.expand(ctx, list[0], domain)
	if err != nil {
		return ""
	}
	return text[:min(len(text), maxExplanation)]
}
