package delivery

import (
	"slices"
	"strings"

	"postroom/delivery/dsn"
	"postroom/delivery/smtpclient"
)

// causeOf finds the class of a failure: by the enhanced code (RFC 3463) where
// that is clear, by the words where it isn't.
func causeOf(a smtpclient.Answer) dsn.Cause {
	code := a.Enhanced
	if !a.Remote {
		return ownCause(code)
	}
	if c, ok := certain[[2]int{code[1], code[2]}]; ok {
		return c
	}
	words := withoutAddresses(strings.ToLower(a.Text))
	switch {
	case code[1] == 1:
		return said(words, dsn.NoAddress)
	case code[1] == 2 && code[2] == 1:
		return said(words, dsn.Disabled)
	case code[1] == 6:
		return said(words, dsn.Unfit)
	case code[1] == 7:
		return refused(words)
	}
	return said(words, dsn.Refused)
}

// withoutAddresses takes the words away that name somebody: people are called
// all sorts of things.
func withoutAddresses(words string) string {
	list := strings.Fields(words)
	return strings.Join(slices.DeleteFunc(list, func(w string) bool { return strings.Contains(w, "@") }), " ")
}

// ownCause is the class of what we have found out ourselves.
func ownCause(code [3]int) dsn.Cause {
	switch {
	case code == [3]int{5, 4, 6}:
		return dsn.Loop
	case code == [3]int{5, 4, 4}, code[0] == 5 && code[1] == 1:
		return dsn.NoAddress
	case code == [3]int{5, 7, 30}, code[1] == 6, code[1] == 3 && code[2] == 4:
		return dsn.Unfit
	case code[1] == 7:
		return dsn.NoTLS
	case code[0] == 5:
		return dsn.Refused
	}
	return dsn.Unreachable
}

// certain are the enhanced codes, less their class, that say all by themselves
// (RFC 3463, RFC 7372, RFC 7504, RFC 8689 and IANA's registry).
var certain = map[[2]int]dsn.Cause{
	{1, 1}: dsn.NoAddress, {1, 2}: dsn.NoAddress, {1, 3}: dsn.NoAddress, {1, 6}: dsn.NoAddress, {1, 10}: dsn.NoAddress,
	{1, 7}: dsn.Forbidden, {1, 8}: dsn.Forbidden, // they are about the sender's address
	{2, 2}: dsn.Full, {2, 3}: dsn.Unfit, {3, 4}: dsn.Unfit,
	{6, 3}: dsn.Unfit, {6, 7}: dsn.Unfit, {7, 30}: dsn.Unfit,
	{7, 4}: dsn.NoTLS, {7, 10}: dsn.NoTLS, {7, 13}: dsn.Disabled,
	{7, 17}: dsn.NoAddress, {7, 18}: dsn.NoAddress, // it is somebody else's now (RFC 7293)
	{7, 20}: dsn.Unproven, {7, 21}: dsn.Unproven, {7, 22}: dsn.Unproven, {7, 23}: dsn.Unproven, {7, 24}: dsn.Unproven,
	{7, 26}: dsn.Unproven, {7, 29}: dsn.Unproven,
	{4, 1}:  dsn.NoAddress, // as Exchange Online says it, for good; otherwise it isn't asked for
	{7, 25}: dsn.Listed,    // no reverse name: our server's trouble too
	{7, 28}: dsn.TooMuch,
}

// said finds the class in the words of a server whose code leaves it open.
func said(words string, otherwise dsn.Cause) dsn.Cause {
	switch {
	case contains(words, fullWords):
		return dsn.Full
	case contains(words, disabledWords):
		return dsn.Disabled
	case contains(words, sizeWords):
		return dsn.Unfit
	}
	if c := refused(words); c != dsn.Refused {
		return c
	}
	return otherwise
}

// refused tells the kinds of refusals apart.
func refused(words string) dsn.Cause {
	for _, kind := range []struct {
		phrases []string
		cause   dsn.Cause
	}{
		{listedWords, dsn.Listed},
		{senderWords, dsn.Forbidden},
		{unknownWords, dsn.NoAddress},
		{unprovenWords, dsn.Unproven},
		{spamWords, dsn.Spam},
		{tooMuchWords, dsn.TooMuch},
		{forbiddenWords, dsn.Forbidden},
	} {
		if contains(words, kind.phrases) {
			return kind.cause
		}
	}
	return dsn.Refused
}

func contains(words string, phrases []string) bool {
	return slices.ContainsFunc(phrases, func(p string) bool { return strings.Contains(words, p) })
}

// How servers say it, in lower case. A phrase is long enough not to be found in
// something else by accident.
var (
	unknownWords = []string{
		"unknown user", "user unknown", "no such user", "no such recipient", "unknown recipient", "recipient unknown",
		"does not exist", "doesn't exist", "doesn't have a", "not exist", "no mailbox", "no such mailbox", "mailbox not found",
		"user not found", "recipient not found", "recipientnotfound", "mailbox unavailable", "unknown mailbox", "invalid recipient",
		"invalid mailbox", "unknown address", "address unknown", "no such address", "unknown local", "unrouteable", "not listed in",
		"no longer valid", "no such person", "not a valid mailbox", "not a known user",
	}
	disabledWords = []string{
		"mailbox disabled", "mailbox is disabled", "account disabled", "account is disabled", "account has been disabled",
		"user disabled", "is inactive", "account inactive", "account suspended", "mailbox suspended", "has been suspended",
		"not accepting messages", "mailbox is locked",
	}
	fullWords = []string{
		"mailbox full", "mailbox is full", "inbox is full", "quota exceeded", "over quota", "overquota", "out of storage",
		"exceeded storage", "exceeds quota", "exceeded its quota", "exceed the quota", "over its quota", "quota full",
		"exceeded mailbox", "exceeded the mailbox", "storage quota", "disk quota", "mailbox quota", "insufficient mailbox",
	}
	sizeWords = []string{
		"message too large", "message too big", "message size exceeds", "size limit", "exceeds size", "maximum message size",
		"message is too large", "too large",
	}
	listedWords = []string{
		"blocklist", "block list", "blacklist", "black list", "denylist", "dnsbl", " rbl", "rbl ", "spamhaus", "spamcop",
		"barracudacentral", "sorbs", "senderscore", "reputation", "listed at", "listed by", "listed on", "is listed", "blocked using",
		"ip blocked", "ip address blocked", "ip banned", "ip is banned", "client host rejected", "reverse dns", "ptr record",
		"reverse hostname", "dynamic ip",
	}
	senderWords   = []string{"sender address rejected", "sender rejected", "sender denied", "sender domain", "domain of sender", "bad sender"}
	unprovenWords = []string{
		"spf ", "(spf)", "spf:", "dkim", "dmarc", "unauthenticated", "not authenticated", "authentication checks",
		"sender verification", "spoof",
	}
	spamWords = []string{
		"spam", "junk", "unsolicited", "bulk mail", "virus", "malware", "phish", "malicious", "harmful", "content rejected",
		"message content", "content filter", "for content", "attachment", "banned",
	}
	tooMuchWords = []string{
		"rate limit", "rate-limit", "ratelimit", "too many messages", "too much mail", "too many recipients", "too many connections",
		"throttl", "sending limit", "unusual rate", "mail at a rate", "too quickly",
	}
	forbiddenWords = []string{
		"not authorized", "not authorised", "not allowed", "not permitted", "permission", "restricted", "members only", "only members",
		"moderated", "only accepts", "unauthorized", "access denied", "prohibited", "not accepted from",
	}
)

// codeOf is the enhanced code of an answer: the server's own, else what its words
// or the trouble mean, with the class of a temporary failure. It may be zero.
func codeOf(a smtpclient.Answer) [3]int {
	switch {
	case a.Enhanced != [3]int{}:
		return a.Enhanced
	case a.Remote:
		return codeOfCause(a)
	case strings.HasPrefix(a.Text, "lookup "):
		return [3]int{4, 4, 3}
	case strings.HasPrefix(a.Text, "connect to "):
		return [3]int{4, 4, 1}
	case strings.HasPrefix(a.Text, "the login at the relay "):
		return codeConfig
	case strings.HasPrefix(a.Text, "TLS with ") && strings.Contains(a.Text, "STARTTLS"):
		return [3]int{4, 7, 10}
	case strings.HasPrefix(a.Text, "TLS with "):
		return [3]int{4, 7, 5}
	case strings.Contains(a.Text, ", at "), strings.Contains(a.Text, " ended the connection"):
		return [3]int{4, 4, 2}
	}
	return [3]int{4, 0, 0}
}

// codeOfCause is for a server without enhanced codes.
func codeOfCause(a smtpclient.Answer) [3]int {
	class := a.Code / 100
	switch causeOf(a) {
	case dsn.NoAddress:
		return [3]int{class, 1, 1}
	case dsn.Disabled:
		return [3]int{class, 2, 1}
	case dsn.Full:
		return [3]int{class, 2, 2}
	case dsn.Unfit:
		return [3]int{class, 3, 4}
	case dsn.Spam, dsn.Listed, dsn.Unproven, dsn.Forbidden, dsn.TooMuch:
		return [3]int{class, 7, 1}
	}
	return [3]int{class, 0, 0}
}

// lasting is the cause of a failure that is only temporary, if its sender had
// better know it than that time goes by.
func lasting(a smtpclient.Answer) dsn.Cause {
	if a.Code == 0 && codeOf(a) == codeConfig {
		return dsn.Misconfigured
	}
	if !a.Remote {
		if a.Enhanced[1] == 7 || codeOf(a)[1] == 7 {
			return dsn.NoTLS
		}
		return dsn.Unreachable
	}
	switch c := causeOf(a); c {
	case dsn.Full, dsn.Disabled, dsn.NoTLS, dsn.Unfit, dsn.Spam, dsn.Listed, dsn.Unproven:
		return c
	}
	return dsn.Unreachable
}
