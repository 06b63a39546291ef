package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"postroom/store"
	"postroom/store/admin"
	"postroom/store/mail"
)

// What happens to mail in tests, through the same operations as in life.

func (s *site) address(text string) mail.Address {
	s.t.Helper()
	a, err := mail.ParseAddress(text)
	s.must(err)
	return a
}

// receive accepts a message from another server, for accounts of ours.
func (s *site) receive(from string, size int, to ...string) store.MessageID {
	s.t.Helper()
	a := s.message(from, size)
	a.Accepted = store.Event{
		Client: "192.0.2.25", Helo: "mx.friends.example", Protocol: "ESMTPS", TLS: "TLS 1.3 TLS_AES_128_GCM_SHA256",
		Size: a.Size, Reply: "250 2.0.0 accepted as " + a.ID.String(), Checks: passedChecks,
	}
	s.deliverTo(&a, to)
	s.must(s.store.Accept(s.t.Context(), a))
	return a.ID
}

// submit accepts a message from an account of ours, for anybody.
func (s *site) submit(from string, to ...string) store.MessageID {
	s.t.Helper()
	a := s.message(from, 2000)
	a.Origin = store.FromAccount
	a.Account = s.accountID(from)
	a.Accepted = store.Event{
		Client: "198.51.100.7", Helo: "[192.168.1.20]", Protocol: "ESMTPSA", TLS: "TLS 1.3 TLS_AES_256_GCM_SHA384",
		Account: from, Size: a.Size, Reply: "250 2.0.0 accepted as " + a.ID.String(),
	}
	s.deliverTo(&a, to)
	s.must(s.store.Accept(s.t.Context(), a))
	return a.ID
}

func (s *site) message(from string, size int) store.Acceptance {
	s.t.Helper()
	id := s.store.NewMessageID()
	a := store.Acceptance{
		ID: id, At: s.now(), HeaderID: "20261120.0930." + id.String() + "@" + from[strings.LastIndex(from, "@")+1:],
		Body: strings.NewReader(strings.Repeat("x", size)), Size: int64(size),
	}
	if from != "" {
		a.Envelope.Sender = s.address(from)
	}
	return a
}

// deliverTo sorts recipients into those with an account here and the others.
func (s *site) deliverTo(a *store.Acceptance, to []string) {
	s.t.Helper()
	for _, text := range to {
		r := s.address(text)
		if id := s.accountID(text); id != 0 {
			a.Local = append(a.Local, store.LocalDelivery{Account: id, Recipient: r})
			continue
		}
		a.Outbound = append(a.Outbound, store.Outbound{Sender: a.Envelope.Sender, Recipient: mail.Recipient{Address: r}})
	}
}

// accountID returns the account of an address, zero if it has none.
func (s *site) accountID(address string) store.AccountID {
	a, err := s.store.AccountByAddress(s.t.Context(), s.address(address))
	if err != nil {
		return 0
	}
	return a.ID
}

// collect has an account fetch all its mail, and delete it if asked to.
func (s *site) collect(address string, remove string) {
	s.t.Helper()
	id := s.accountID(address)
	entries, err := s.store.Entries(s.t.Context(), id)
	s.must(err)
	removal := store.Removal{Account: id, At: s.now().Add(time.Second), Client: "198.51.100.7", Protocol: "pop3s"}
	for _, e := range entries {
		s.store.Collected(store.Collection{Message: e.Message, Account: id, At: s.now(), Client: "198.51.100.7", Protocol: "pop3s"})
		removal.Messages = append(removal.Messages, e.Message)
	}
	if remove == "delete" {
		s.must(s.store.RemoveEntries(s.t.Context(), removal))
	}
}

// round lets one round of attempts end for all that is due.
func (s *site) round(end func(store.QueueItem) store.Outcome) {
	s.t.Helper()
	lanes, err := s.store.Lanes(s.t.Context())
	s.must(err)
	var items []store.QueueItem
	for _, l := range lanes {
		claimed, err := s.store.ClaimLane(s.t.Context(), store.LaneClaim{Lane: l.Lane, Now: s.now(), Works: 1000, PerWork: 1000})
		s.must(err)
		items = append(items, claimed.Items...)
	}
	slices.SortFunc(items, func(a, b store.QueueItem) int { return int(a.ID - b.ID) })
	settlement := store.Settlement{At: s.now()}
	for _, item := range items {
		o := end(item)
		o.Item, o.Message, o.Recipient = item.ID, item.Message, item.Recipient.Address
		if o.Result == store.Failed && !item.Sender.IsNull() {
			report := s.report(item)
			settlement.Reports = append(settlement.Reports, report)
			o.Events[len(o.Events)-1].Report = &report.ID
		}
		settlement.Outcomes = append(settlement.Outcomes, o)
	}
	s.must(s.store.Settle(s.t.Context(), settlement))
}

// claim takes all that is due.
func (s *site) claim() []store.QueueItem {
	s.t.Helper()
	lanes, err := s.store.Lanes(s.t.Context())
	s.must(err)
	var items []store.QueueItem
	for _, lane := range lanes {
		claimed, err := s.store.ClaimLane(s.t.Context(), store.LaneClaim{Lane: lane.Lane, Now: s.now(), Works: 1000, PerWork: 1000})
		s.must(err)
		items = append(items, claimed.Items...)
	}
	slices.SortFunc(items, func(a, b store.QueueItem) int { return cmp.Compare(a.ID, b.ID) })
	return items
}

// report is the one that tells a sender of ours that an item failed.
func (s *site) report(item store.QueueItem) store.Acceptance {
	s.t.Helper()
	r := s.message("", 900)
	r.Origin = store.FromUs
	r.HeaderID = r.ID.String() + "@mail.example.org"
	r.Accepted = store.Event{Protocol: "local", Size: 900, Report: &item.Message, Reason: "delivery status notification"}
	s.deliverTo(&r, []string{item.Sender.String()})
	return r
}

// An attempt's end, by what the other server said.
func (s *site) sent(item store.QueueItem) store.Outcome {
	return store.Outcome{Result: store.Sent, Reply: "250 2.0.0 Ok: queued as 4XkQ2", Events: []store.Event{
		s.attempt(item, "mx2."+item.Domain, "203.0.113.11", "deferred", "none", "connect: connection refused"),
		s.attempt(item, "mx1."+item.Domain, "", "sent", "TLS 1.3 TLS_AES_256_GCM_SHA384", "250 2.0.0 Ok: queued as 4XkQ2"),
		{Time: s.now(), Kind: store.Relayed, Recipient: item.Recipient.Address.String(), Host: "mx1." + item.Domain},
	}}
}

func (s *site) attempt(item store.QueueItem, host, ip, outcome, tls, reply string) store.Event {
	if ip == "" {
		ip = "203.0.113.10"
	}
	e := store.Event{
		Time: s.now(), Kind: store.Attempt, Recipient: item.Recipient.Address.String(),
		Host: host, IP: ip, TLS: tls, Outcome: outcome, Reply: reply, Source: "192.0.2.17 (out.example.org)",
		Signed: "example.org pr202611r, pr202611e",
	}
	if tls != "none" {
		e.Certificate = "trusted (MTA-STS policy of " + item.Domain + ")"
	}
	return e
}

const greylisted = "451 4.7.1 <dana@partner.example>: Recipient address rejected: Greylisted, see https://postgrey.example/help/partner.example.html"

func (s *site) deferred(item store.QueueItem) store.Outcome {
	next := s.now().Add(15 * time.Minute)
	return store.Outcome{Result: store.Deferred, Retry: next, Reply: greylisted, Events: []store.Event{
		s.attempt(item, "mx1."+item.Domain, "2001:db8:1:2::25", "deferred", "none", greylisted),
		{Time: s.now(), Kind: store.Postponed, Recipient: item.Recipient.Address.String(), Reply: greylisted, Next: &next},
	}}
}

func (s *site) failed(item store.QueueItem) store.Outcome {
	const reply = "550 5.1.1 <nobody@partner.example>: Recipient address rejected: User unknown in virtual mailbox table"
	return store.Outcome{Result: store.Failed, Reply: reply, Events: []store.Event{
		s.attempt(item, "mx1."+item.Domain, "", "failed", "TLS 1.3 TLS_AES_256_GCM_SHA384", reply),
		{Time: s.now(), Kind: store.Bounced, Recipient: item.Recipient.Address.String(), Host: "mx1." + item.Domain, Reply: reply},
	}}
}

// fill gives the site a busy life.
func (s *site) fill() {
	s.t.Helper()
	s.domain("books.example.org")
	s.domain("xn--mnchen-3ya.example")
	for _, name := range []string{"branch-office.example", "second-office.example"} {
		_, err := s.admin.AddDomain(s.t.Context(), admin.AddDomain{Name: name, Backup: true})
		s.must(err)
	}
	people := []string{"Alice Archer", "Bob Baker", "Carol Cooper", "Dan Dyer", "Eve Ewing", "Frank Fletcher", "Grace Glover", "Heidi Hunt", "Ivan Ironside"}
	for i, person := range people {
		local := strings.ToLower(strings.Fields(person)[0])
		s.account(admin.NewAccount{Address: local + "@example.org", Name: person, Quota: []int64{0, 12_000, 40_000, 1e9, 2e9}[i%5]})
		s.wait(37 * time.Minute)
	}
	for i := range 120 {
		s.account(admin.NewAccount{Address: fmt.Sprintf("reader%03d@books.example.org", i+1), Quota: 500e6})
	}
	s.account(admin.NewAccount{Address: "an-extraordinarily-long-name-that-somebody-chose-for-the-archive@xn--mnchen-3ya.example"})
	s.must(s.admin.DisableAccount(s.t.Context(), "dan@example.org", false))
	s.must(s.admin.DisableAccount(s.t.Context(), "ivan@example.org", true))
	for _, name := range []string{"Thunderbird on the laptop", "Phone"} {
		_, err := s.admin.AddAppPassword(s.t.Context(), "alice@example.org", name)
		s.must(err)
	}
	s.alias("info@example.org", "alice@example.org", "bob@example.org", "reception@branch-office.example")
	s.alias("sales@example.org", "carol@example.org")
	s.alias("@books.example.org", "alice@example.org")
	for i := range 14 {
		s.alias(fmt.Sprintf("project-%d@example.org", i+1), "grace@example.org", "heidi@example.org")
	}
	s.waysOut()
	s.traffic()
	s.trouble()
}

// traffic is a day's mail with every kind of fate.
func (s *site) traffic() {
	s.t.Helper()
	s.receive("newsletter@shop.example", 11_800, "bob@example.org")
	s.receive("kim@friends.example", 33_000, "carol@example.org", "alice@example.org")
	s.wait(time.Minute)
	s.collect("alice@example.org", "")
	s.wait(26 * time.Minute)
	s.collect("alice@example.org", "delete")
	s.submit("alice@example.org", "bob@example.org", "dana@partner.example")
	s.round(s.deferred)
	s.wait(16 * time.Minute)
	s.round(s.sent)
	s.wait(40 * time.Minute)
	s.submit("alice@example.org", "nobody@partner.example")
	s.round(s.failed)
	s.wait(12 * time.Minute)
	for i := range 12 {
		s.submit("grace@example.org", fmt.Sprintf("subscriber%d@list%d.example", i, i%4), "x@partner.example")
	}
	s.round(s.deferred)
	s.wait(3 * time.Minute)
	held := s.submit("heidi@example.org", "suspicious@elsewhere.example", "second@elsewhere.example")
	_, err := s.admin.HoldQueue(s.t.Context(), admin.QueueSelection{Message: held.String()})
	s.must(err)
	s.receive("kim@friends.example", 5000, "heidi@example.org", "grace@example.org", "bob@example.org", "alice@example.org", "eve@example.org")
	s.refuse()
	s.wait(14 * time.Second)
	s.eventually("the refusal and the collections are in the trace", func() bool {
		return s.traced("winner@lottery.example", store.Rejected) && s.traced("kim@friends.example", store.Collected)
	})
}

// refuse is a message that was not taken.
func (s *site) refuse() {
	s.t.Helper()
	s.store.Refused(store.Refusal{
		ID: s.store.NewMessageID(), From: "winner@lottery.example", To: []string{"nobody@example.org"},
		Events: []store.Event{{
			Time: s.now(), Kind: store.Rejected, Recipient: "nobody@example.org", Client: "203.0.113.99", Helo: "localhost",
			Protocol: "ESMTP", Reply: "550 5.1.1 No such user here", Reason: "no account or alias has this address", Checks: refusedChecks,
		}},
	})
}

// traced reports whether a message of an address has an event of the kind.
func (s *site) traced(address string, kind store.Kind) bool {
	trails, err := s.admin.Trace(s.t.Context(), address)
	s.must(err)
	return slices.ContainsFunc(trails, func(t store.Trail) bool {
		return slices.ContainsFunc(t.Events, func(e store.Event) bool { return e.Kind == kind })
	})
}

// eventually waits for what is written in batches.
func (s *site) eventually(what string, is func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for range time.Tick(5 * time.Millisecond) {
		if is() {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("waited in vain until %s", what)
		}
	}
}
