package policy

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// An Access judges by the admin's own lists. Those who have logged in aren't
// judged.
//
// Entries are of two kinds: networks, and names, which are domains and addresses.
// Of several that are about the same client or sender the most specific of each
// kind counts; and between the kinds, as between the several names of one mail,
// an entry that allows wins over one that blocks.
type Access struct {
	List func() *store.AccessList // as it is now
	Now  func() time.Time
}

// OfClient lets an allowed network pass. It refuses nobody: who is blocked hears
// it at RCPT, so that the trace says whose mail it was.
func (a Access) OfClient() Check[struct{}] {
	return Check[struct{}]{Name: "list", Judge: func(_ context.Context, client Client, _ struct{}) (Verdict, error) {
		return a.allowed(a.judge(client, mail.Address{}, nil, "")), nil
	}}
}

// OfSender lets what is allowed pass, at MAIL. It refuses nobody, as OfClient.
func (a Access) OfSender() Check[mail.Address] {
	return Check[mail.Address]{Name: "list", Judge: func(_ context.Context, client Client, sender mail.Address) (Verdict, error) {
		return a.allowed(a.judge(client, sender, nil, "")), nil
	}}
}

// OfRecipient judges by the client's address, its name at EHLO and the envelope's
// sender.
func (a Access) OfRecipient() Check[Recipient] {
	return Check[Recipient]{Name: "list", Judge: func(_ context.Context, client Client, r Recipient) (Verdict, error) {
		return a.judge(client, r.Sender, nil, r.Address.Domain), nil
	}}
}

// OfMessage judges by what OfRecipient judges by, and by the addresses in the
// header's From.
func (a Access) OfMessage() Check[*Message] {
	return Check[*Message]{Name: "list", Judge: func(_ context.Context, client Client, m *Message) (Verdict, error) {
		domain := ""
		if len(m.Recipients) > 0 {
			domain = m.Recipients[0].Domain
		}
		return a.judge(client, m.Envelope.Sender, m.From, domain), nil
	}}
}

// allowed returns a verdict that allows as it is, and no other.
func (a Access) allowed(v Verdict) Verdict {
	if v.Allowed {
		return Verdict{Allowed: true}
	}
	return Verdict{}
}

// A match is an entry and what of the mail it is about.
type match struct {
	store.AccessEntry
	about string // in words that a stranger may read
}

// judge looks everything up that is known by now. domain is one of the recipients',
// whose postmaster can be asked.
func (a Access) judge(client Client, sender mail.Address, from []mail.Address, domain string) Verdict {
	if client.Account != 0 {
		return Verdict{}
	}
	m, found := a.decide(a.List(), client, sender, from)
	if !found {
		return Verdict{}
	}
	detail := m.What
	if m.Note != "" {
		detail += ": " + m.Note
	}
	if m.Action == store.Allow {
		return Verdict{Allowed: true, Checks: []store.CheckResult{{Check: "list", Result: "allowed", Detail: detail}}}
	}
	v := Object(blocked(m.about, client, domain), "blocked by the admin's entry "+detail)
	v.Checks = []store.CheckResult{{Check: "list", Result: "blocked", Detail: detail}}
	return v
}

// decide returns the entry that counts.
func (a Access) decide(list *store.AccessList, client Client, sender mail.Address, from []mail.Address) (match, bool) {
	now := a.Now()
	var first match
	found := false
	consider := func(e store.AccessEntry, ok bool, about string) {
		if ok && (!found || e.Action == store.Allow && first.Action != store.Allow) {
			first, found = match{e, about}, true
		}
	}
	e, ok := list.Network(client.Addr, now)
	consider(e, ok, "your address "+client.Addr.String())
	e, ok = list.Sender(sender, now)
	consider(e, ok, "the sender <"+sender.String()+">")
	e, ok = list.Domain(listedName(client.Helo), now)
	consider(e, ok, "the name "+client.Helo)
	for _, address := range from {
		e, ok = list.Sender(address, now)
		consider(e, ok, "the author <"+address.String()+">")
	}
	return first, found
}

// listedName is the name that a client gave at EHLO as lists have it, empty for
// what is no domain.
func listedName(helo string) string {
	if _, err := netip.ParseAddr(strings.Trim(helo, "[]")); err == nil {
		return ""
	}
	name, err := mail.ParseDomain(strings.TrimSuffix(helo, "."))
	if err != nil {
		return ""
	}
	return name
}

// blocked is the refusal. The admin's note isn't in it.
func blocked(about string, client Client, domain string) mail.Status {
	if domain == "" || strings.HasPrefix(domain, "[") {
		domain = client.Hostname
	}
	return mail.Status{
		Code: 550, Enhanced: [3]int{5, 7, 1},
		Text: "The administrator of this server has blocked " + asciiText(about, 120) + "; to ask why, reach postmaster@" + domain + " another way",
	}
}
