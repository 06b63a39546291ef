package sqlite

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postroom/store"
	"postroom/store/mail"
)

// What is claimed from memory is what stands in the queue.
func TestArrivalsAreAsInTheQueue(t *testing.T) {
	s, accounts := openFilled(t, 1)
	a := localMessage(s, 1, 10)
	a.Local, a.Account, a.Authentic, a.HeaderID = nil, accounts[0], true, "id@here.test"
	a.Envelope = mail.Envelope{
		Sender: mail.Address{Local: "Some one", Domain: "here.test"}, EightBit: true, UTF8: true,
		Return: mail.ReturnFull, ID: "x=y", TLS: mail.TLSOptional,
	}
	to := mail.Address{Local: "bob", Domain: "there.test"}
	a.Outbound = []store.Outbound{
		{Sender: a.Envelope.Sender, Recipient: mail.Recipient{Address: to, Notify: mail.NotifyFailure, Original: "rfc822;bob@there.test"}},
		{
			Sender:    mail.Address{Local: "SRS0=abcd=12=elsewhere.test=carol", Domain: "here.test"},
			Recipient: mail.Recipient{Address: mail.Address{Local: "dan", Domain: "there.test"}},
			Via:       mail.Address{Local: "all", Domain: "here.test"}, Expires: a.At.Add(time.Hour),
		},
	}
	if err := s.Accept(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if n := s.arrivals.total; n != 2 {
		t.Fatalf("%d items are kept in memory, want 2", n)
	}
	want, err := s.Queue(t.Context(), store.QueueFilter{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		want[i].Sending = true
	}
	claimed, err := s.ClaimLane(t.Context(), store.LaneClaim{Lane: want[0].Lane(), Now: s.now(), Works: 10, PerWork: 10})
	if diff := cmp.Diff(want, claimed.Items); diff != "" || err != nil || s.arrivals.total != 0 {
		t.Errorf("%v, %d are left, the queue has (-) and memory (+)\n%s", err, s.arrivals.total, diff)
	}
}

// However items are claimed, and whatever happens at the same time, each is
// claimed once, and all are.
func TestArrivalsAreClaimedOnce(t *testing.T) {
	s, _ := openFilled(t, 1)
	const senders, each = 4, 250
	var sending sync.WaitGroup
	for k := range senders {
		sending.Go(func() {
			random := rand.New(rand.NewPCG(uint64(k), 1))
			for range each {
				a := localMessage(s, 1, 10)
				a.Local, a.Outbound = nil, []store.Outbound{randomRecipient(random), randomRecipient(random)}
				if err := s.Accept(context.Background(), a); err != nil {
					t.Error(err)
				}
				if random.IntN(20) == 0 { // a new era
					if err := s.PauseDomain(context.Background(), fmt.Sprintf("none%d.test", k)); err != nil {
						t.Error(err)
					}
					if err := s.ResumeDomain(context.Background(), fmt.Sprintf("none%d.test", k)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	var mu sync.Mutex
	seen, memory := make(map[store.QueueID]int), 0
	claim := func(random *rand.Rand, lane store.Lane) {
		request := store.LaneClaim{Lane: lane, Now: s.now().Add(time.Hour), Works: 3, PerWork: 2}
		switch random.IntN(20) {
		case 0:
			request.Together = func(l store.Lane) bool { return l.Class == store.Fresh }
		case 1:
			late := s.now().Add(time.Hour)
			request.Late = &late
		}
		kept := s.arrivals.kept()
		c, err := s.ClaimLane(context.Background(), request)
		if err != nil {
			t.Error(err)
		}
		var settlement store.Settlement
		mu.Lock()
		if kept > 0 {
			memory++
		}
		for _, i := range c.Items {
			seen[i.ID]++
			settlement.Outcomes = append(settlement.Outcomes, store.Outcome{Item: i.ID, Message: i.Message, Result: store.Sent})
		}
		mu.Unlock()
		if err := s.Settle(context.Background(), settlement); err != nil {
			t.Error(err)
		}
	}
	done := make(chan struct{})
	go func() { sending.Wait(); close(done) }()
	var claiming sync.WaitGroup
	for k := range 3 {
		claiming.Go(func() {
			random := rand.New(rand.NewPCG(uint64(k), 2))
			for over := false; ; {
				lanes, err := s.Lanes(context.Background())
				if err != nil {
					t.Error(err)
				}
				if over && len(lanes) == 0 {
					return
				}
				select {
				case <-done:
					over = true
				default:
				}
				for _, l := range lanes {
					claim(random, l.Lane)
				}
			}
		})
	}
	claiming.Wait()
	for _, l := range slices.Collect(maps.Keys(s.arrivals.lanes)) { // the last look at each lane
		if _, err := s.ClaimLane(t.Context(), store.LaneClaim{Lane: l, Now: s.now(), Works: 1, PerWork: 1, Together: func(store.Lane) bool { return true }}); err != nil {
			t.Error(err)
		}
	}
	if n := len(s.arrivals.lanes); n != 0 {
		t.Errorf("%d lanes are remembered that are empty", n)
	}
	if len(seen) != 2*senders*each || memory == 0 {
		t.Errorf("%d items were claimed, want %d; %d claims could be served from memory", len(seen), 2*senders*each, memory)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("item %d was claimed %d times", id, n)
		}
	}
}

// kept returns how many items are in memory.
func (a *arrivals) kept() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.total
}
