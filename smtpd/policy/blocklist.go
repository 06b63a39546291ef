package policy

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"postroom/store"
	"postroom/store/mail"
)

// Blocklists refuse who is listed in DNS blocklists (RFC 5782): the client by its
// address; and by their domains the client's name at EHLO, the envelope's sender
// and the header's From. A name is asked for as it is given; lists have what is
// below a listed domain too, if they want that.
//
// A list that fails, is slow or answers nonsense refuses nobody. Those who have
// logged in aren't judged, and mail to postmaster and abuse is taken all the same:
// that is where to complain (RFC 5321 4.5.1, RFC 2142).
//
// A Blocklists isn't changed after its first use, and may be used by many
// goroutines at once.
type Blocklists struct {
	DNS     ListResolver
	Clients []string // zones that are asked for the client's address
	Domains []string // zones that are asked for domains
	Needed  int      // how many of Clients must have an address for it to be refused; 0: one
	Health  *ListHealth
}

// A ListResolver looks up what lists have. Its methods are those of *net.Resolver.
type ListResolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// maxAuthorsAsked bounds how many domains of a header's From are asked for.
const maxAuthorsAsked = 10

// Begin asks, at MAIL, what OfRecipient is going to judge by: the answers come
// while the client goes on.
func (b *Blocklists) Begin() Check[mail.Address] {
	return Check[mail.Address]{Name: "blocklist", Judge: func(ctx context.Context, client Client, sender mail.Address) (Verdict, error) {
		// One at a time: who says MAIL again and again must not have us ask for ever more.
		if client.Account == 0 && client.Memory.isFree() {
			client.Memory.keep(b.inquire(ctx, client, sender))
		}
		return Verdict{}, nil
	}}
}

// OfRecipient judges by the client and by the envelope's sender.
func (b *Blocklists) OfRecipient() Check[Recipient] {
	return Check[Recipient]{Name: "blocklist", Judge: func(ctx context.Context, client Client, r Recipient) (Verdict, error) {
		if client.Account != 0 {
			return Verdict{}, nil
		}
		asked := client.Memory.recall(client, r.Sender)
		if asked == nil {
			asked = b.inquire(ctx, client, r.Sender)
		}
		answers, err := asked.wait(ctx)
		if err != nil {
			return Verdict{}, err
		}
		v := b.verdict(answers, r.Address)
		if isComplaint(r.Address) {
			return Verdict{Checks: v.Checks}, nil
		}
		return v, nil
	}}
}

// OfMessage judges by the domains of the header's From.
func (b *Blocklists) OfMessage() Check[*Message] {
	return Check[*Message]{Name: "blocklist", Judge: func(ctx context.Context, client Client, m *Message) (Verdict, error) {
		if client.Account != 0 || len(m.Recipients) == 0 {
			return Verdict{}, nil
		}
		questions := client.Memory.recall(client, m.Envelope.Sender).without(b.authorQuestions(m))
		v := b.verdict(b.askAll(ctx, questions), m.Recipients[0])
		if !slices.ContainsFunc(m.Recipients, func(to mail.Address) bool { return !isComplaint(to) }) {
			return Verdict{Checks: v.Checks}, nil
		}
		return v, nil
	}}
}

// isComplaint reports whether an address is one where problems are reported.
func isComplaint(to mail.Address) bool {
	local := strings.ToLower(to.Base().Local)
	return local == "postmaster" || local == "abuse"
}

// A listQuestion is what one list is asked.
type listQuestion struct {
	zone, name string // "zen.example", "25.2.0.192"
	subject    string // in words that a stranger may read
	domain     bool   // the list is one of domains
}

func (b *Blocklists) questions(client Client, sender mail.Address) []listQuestion {
	var all []listQuestion
	if client.Addr.IsValid() {
		for _, zone := range b.Clients {
			all = append(all, listQuestion{zone, reversed(client.Addr), client.Addr.Unmap().String(), false})
		}
	}
	all = b.addDomain(all, listedName(sender.Domain), "of MAIL FROM")
	return b.addDomain(all, listedName(client.Helo), "of EHLO")
}

func (b *Blocklists) authorQuestions(m *Message) []listQuestion {
	var all []listQuestion
	for _, author := range m.From[:min(len(m.From), maxAuthorsAsked)] {
		all = b.addDomain(all, listedName(author.Domain), "of From")
	}
	return all
}

// addDomain adds the questions for a domain that aren't there yet.
func (b *Blocklists) addDomain(all []listQuestion, domain, where string) []listQuestion {
	if domain == "" || slices.ContainsFunc(all, func(q listQuestion) bool { return q.domain && q.name == domain }) {
		return all
	}
	for _, zone := range b.Domains {
		all = append(all, listQuestion{zone, domain, "the domain " + domain + " (" + where + ")", true})
	}
	return all
}

// reversed returns the name of an address in a list (RFC 5782 2.1 and 2.4).
func reversed(addr netip.Addr) string {
	const hex = "0123456789abcdef"
	addr = addr.Unmap()
	b := addr.AsSlice()
	slices.Reverse(b)
	labels := make([]string, 0, 32)
	for _, octet := range b {
		if addr.Is4() {
			labels = append(labels, fmt.Sprint(octet))
		} else {
			labels = append(labels, hex[octet&15:octet&15+1], hex[octet>>4:octet>>4+1])
		}
	}
	return strings.Join(labels, ".")
}

// verdict judges by what the lists have answered. to is a recipient, whose
// postmaster can be asked.
func (b *Blocklists) verdict(answers []listAnswer, to mail.Address) Verdict {
	clients, domains := divide(answers)
	var v Verdict
	if hits := listed(domains); len(hits) > 0 {
		v = refusal(hits, to)
	}
	if hits := listed(clients); len(hits) >= max(1, b.Needed) {
		v = refusal(hits, to)
	}
	v.Checks = append(summary("blocklist", clients), summary("domain_blocklist", domains)...)
	return v
}

// divide separates what is about the client's address from what is about domains.
func divide(answers []listAnswer) (clients, domains []listAnswer) {
	for _, a := range answers {
		if a.domain {
			domains = append(domains, a)
		} else {
			clients = append(clients, a)
		}
	}
	return clients, domains
}

func listed(answers []listAnswer) []listAnswer {
	return slices.DeleteFunc(slices.Clone(answers), func(a listAnswer) bool { return a.state != isListed })
}

// refusal names the first list that has the client or a domain, and says what the
// list says.
func refusal(hits []listAnswer, to mail.Address) Verdict {
	first := hits[0]
	text := asciiText(first.subject, 120) + " is listed by " + first.zone
	if first.text != "" {
		text += `: "` + first.text + `"`
	}
	text += "; have it removed there"
	if to.Domain != "" {
		text += ", or write to postmaster@" + to.Domain
	}
	reasons := make([]string, len(hits))
	for i, hit := range hits {
		reasons[i] = hit.subject + " is listed by " + hit.zone
	}
	return Object(mail.Status{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: text}, strings.Join(reasons, ", "))
}

// summary says for the trace what lists have answered.
func summary(check string, answers []listAnswer) []store.CheckResult {
	if len(answers) == 0 {
		return nil
	}
	result := "temperror" // of no list is known what it thinks
	details := make([]string, len(answers))
	for i, a := range answers {
		details[i] = a.detail()
		switch {
		case a.state == isListed:
			result = "listed"
		case a.state == isUnlisted && result != "listed":
			result = "not listed"
		}
	}
	return []store.CheckResult{{Check: check, Result: result, Detail: strings.Join(details, "; ")}}
}

// An inquiry is a set of questions on its way.
type inquiry struct {
	client    Client
	sender    mail.Address
	questions []listQuestion
	done      chan struct{}
	answers   []listAnswer
}

// inquire begins to ask. It ends by itself when the lists have had their time.
func (b *Blocklists) inquire(ctx context.Context, client Client, sender mail.Address) *inquiry {
	q := &inquiry{client: client, sender: sender, questions: b.questions(client, sender), done: make(chan struct{})}
	go func() {
		defer close(q.done)
		q.answers = b.askAll(ctx, q.questions)
	}()
	return q
}

func (q *inquiry) wait(ctx context.Context) ([]listAnswer, error) {
	select {
	case <-q.done:
		return q.answers, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// without returns the questions that q hasn't asked: what it has, was judged at
// RCPT. The nil inquiry has asked nothing.
func (q *inquiry) without(questions []listQuestion) []listQuestion {
	if q == nil {
		return questions
	}
	return slices.DeleteFunc(questions, func(x listQuestion) bool {
		return slices.ContainsFunc(q.questions, func(y listQuestion) bool { return x.domain == y.domain && x.zone == y.zone && x.name == y.name })
	})
}

func (q *inquiry) isOver() bool {
	select {
	case <-q.done:
		return true
	default:
		return false
	}
}

// A Memory is what checks keep from one step of a session to the next. The nil
// Memory keeps nothing.
type Memory struct {
	mu    sync.Mutex
	asked *inquiry
}

func (m *Memory) keep(q *inquiry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = q
}

// isFree reports whether there is room for an inquiry.
func (m *Memory) isFree() bool {
	if m == nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked == nil || m.asked.isOver()
}

// recall returns the inquiry about a client and a sender, nil if there is none.
func (m *Memory) recall(client Client, sender mail.Address) *inquiry {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if q := m.asked; q != nil && q.client.Addr == client.Addr && q.client.Helo == client.Helo && q.sender == sender {
		return q
	}
	return nil
}
