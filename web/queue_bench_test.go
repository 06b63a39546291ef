package web

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// BenchmarkLongQueue shows pages with 100,000 recipients in the queue, at 20,000
// destinations of which a thousand fail, and 10,000 accounts. Each page is to
// take less than 100 ms.
func BenchmarkLongQueue(b *testing.B) {
	s := newSite(b)
	s.fillLong()
	visitor := s.signedIn()
	for _, path := range []string{
		"/queue", "/queue?after=50000", "/queue?domain=d7.example", "/queue?domain=big.example", "/queue?held=yes", "/queue?sender=user7@example.org",
		"/queue?sender=" + boss, "/queue/return?scope=all", "/queue/return?domain=big.example", "/destinations", "/destinations?page=300", "/destinations?q=failing",
	} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				a := visitor.get(path)
				if a.code != http.StatusOK || len(a.body) > 100_000 {
					b.Fatalf("answered %d with %d octets", a.code, len(a.body))
				}
			}
		})
	}
}

// fillLong makes a queue that is as long as one gets on a bad day.
func (s *site) fillLong() {
	s.t.Helper()
	ctx := s.t.Context()
	for i := range 10_000 {
		_, err := s.store.AddAccount(ctx, store.Account{Address: s.address(fmt.Sprintf("user%d@example.org", i)), Created: s.now()})
		s.must(err)
	}
	for i := range 4_000 {
		a := s.message(fmt.Sprintf("user%d@example.org", i), 500)
		a.Account, a.Origin = s.accountID(a.Envelope.Sender.String()), store.FromAccount
		if i%2 == 0 {
			a.Envelope.Sender = s.address(boss)
		}
		for k := range 25 {
			to := fmt.Sprintf("reader@d%d.example", (i*20+k)%20_000)
			if k >= 20 {
				to = fmt.Sprintf("reader%d@big.example", k)
			}
			a.Outbound = append(a.Outbound, store.Outbound{Sender: a.Envelope.Sender, Recipient: mail.Recipient{Address: s.address(to)}})
		}
		s.must(s.store.Accept(ctx, a))
	}
	settlement := store.Settlement{At: s.now()}
	for i := range 20_000 {
		h := store.Health{Destination: fmt.Sprintf("d%d.example", i), Host: "mx.example", LastSuccess: s.now(), Reply: "250 2.0.0 queued"}
		if i%20 == 0 {
			h.Failures, h.LastFailure, h.NextTry, h.Reply = 3, s.now(), s.now().Add(time.Hour), "connect: connection refused"
		}
		settlement.Health = append(settlement.Health, h)
	}
	s.must(s.store.Settle(ctx, settlement))
	s.must(s.admin.PauseDestination(ctx, "d19999.example"))
}
