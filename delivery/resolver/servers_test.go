package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// A server that is dead costs the first question its time, and no other.
func TestDeadServerIsRemembered(t *testing.T) {
	dead, good := start(t), start(t)
	dead.spoilWith(func(*dns.Msg, *dns.Msg) *dns.Msg { return nil })
	r, now := of(dead, good), time.Now()
	r.Now = func() time.Time { return now }
	ask := func(name string) (toDead int) {
		before := len(dead.questions())
		r.LookupNetIP(t.Context(), "ip4", name)
		return len(dead.questions()) - before
	}
	for i, want := range []int{1, 0, 0, 0} {
		if got := ask(fmt.Sprintf("n%d.test", i)); got != want {
			t.Errorf("question %d went to the dead server %d times, want %d", i, got, want)
		}
	}
	now = now.Add(minSick)
	if first, second := ask("later1.test"), ask("later2.test"); first != 1 || second != 0 {
		t.Errorf("when it could be well again it was asked %d and %d times, want 1 and 0", first, second)
	}
	dead.spoilWith(nil)
	now = now.Add(maxSick)
	if first, second := ask("well1.test"), ask("well2.test"); first != 1 || second != 1 {
		t.Errorf("when it was well again it was asked %d and %d times, want 1 and 1", first, second)
	}
}

// A server that is slow with one question isn't dead if it answers others.
func TestSlowQuestionIsNoSickness(t *testing.T) {
	s, other := start(t, "a.test. 60 IN A 192.0.2.1"), start(t, "slow.test. 60 IN A 192.0.2.2")
	r := of(s, other)
	s.spoilWith(func(m, a *dns.Msg) *dns.Msg {
		if m.Question[0].Name != "slow.test." {
			return a
		}
		return nil
	})
	r.note(s.address, time.Now(), false)
	began := time.Now()
	r.note(s.address, began, false) // an answer to somebody else, meanwhile
	r.note(s.address, began.Add(-time.Millisecond), true)
	if list := r.order([]string{s.address, other.address}); list[0] != s.address {
		t.Errorf("the order is %v", list)
	}
	if list, err := r.LookupNetIP(t.Context(), "ip4", "slow.test"); fmt.Sprint(list) != "[192.0.2.2]" {
		t.Errorf("found %v, %v", list, err)
	}
}

// A slow answer is found by the second, more patient round.
func TestSlowServer(t *testing.T) {
	s := start(t, "a.test. 60 IN A 192.0.2.1")
	first := true
	s.spoilWith(func(_, a *dns.Msg) *dns.Msg {
		if first {
			first = false
			return nil
		}
		return a
	})
	if list, err := of(s).LookupNetIP(t.Context(), "ip4", "a.test"); fmt.Sprint(list) != "[192.0.2.1]" {
		t.Errorf("found %v, %v", list, err)
	}
}

func TestReferralIsNoAnswer(t *testing.T) {
	s := start(t, "a.test. 60 IN A 192.0.2.1")
	s.spoilWith(func(_, a *dns.Msg) *dns.Msg {
		ns, _ := dns.NewRR("test. 60 IN NS ns.test.")
		a.Answer, a.Ns, a.Rcode = nil, []dns.RR{ns}, dns.RcodeSuccess
		return a
	})
	list, err := of(s).LookupMX(t.Context(), "a.test")
	if e, ok := errors.AsType[*net.DNSError](err); !ok || !e.IsTemporary {
		t.Errorf("found %v, %v", list, err)
	}
}

func TestQuestionsTogether(t *testing.T) {
	s := start(t, "a.test. 60 IN A 192.0.2.1")
	r := of(s)
	r.Timeout = 5 * time.Second
	asked, open := make(chan struct{}, 10), make(chan struct{})
	s.spoilWith(func(_, a *dns.Msg) *dns.Msg {
		asked <- struct{}{}
		<-open
		return a
	})
	var wg sync.WaitGroup
	impatient, cancel := context.WithCancel(t.Context())
	wg.Go(func() {
		if list, err := r.LookupNetIP(t.Context(), "ip4", "a.test"); fmt.Sprint(list) != "[192.0.2.1]" {
			t.Errorf("the first found %v, %v", list, err)
		}
	})
	<-asked
	cancel()
	if _, err := r.LookupNetIP(impatient, "ip4", "a.test"); !errors.Is(err, context.Canceled) {
		t.Errorf("the impatient one got %v", err)
	}
	for range 5 {
		wg.Go(func() {
			if list, err := r.LookupNetIP(t.Context(), "ip4", "A.test"); fmt.Sprint(list) != "[192.0.2.1]" {
				t.Errorf("another found %v, %v", list, err)
			}
		})
	}
	close(open)
	wg.Wait()
	if q := s.questions(); len(q) != 1 {
		t.Errorf("asked %q", q)
	}
}

// Whoever waits for a question that its asker gives up asks it themselves.
func TestAskerGivesUp(t *testing.T) {
	s := start(t, "a.test. 60 IN A 192.0.2.1")
	r := of(s)
	q := question{"a.test.", dns.TypeA}
	_, f, mine := r.board(q)
	if !mine {
		t.Fatal("somebody asks already")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	found := make(chan string)
	go func() {
		list, err := r.LookupNetIP(t.Context(), "ip4", "a.test")
		found <- fmt.Sprint(list, err)
	}()
	r.ride(ctx, q, f)
	if got := <-found; got != "[192.0.2.1] <nil>" {
		t.Errorf("found %s", got)
	}
}

func TestFailuresAreNotKept(t *testing.T) {
	s := start(t, "a.test. 60 IN A 192.0.2.1")
	s.spoilWith(func(_, a *dns.Msg) *dns.Msg { a.Rcode, a.Answer = dns.RcodeServerFailure, nil; return a })
	r := of(s)
	if _, err := r.LookupNetIP(t.Context(), "ip4", "a.test"); err == nil {
		t.Fatal("no error")
	}
	s.spoilWith(nil)
	if list, err := r.LookupNetIP(t.Context(), "ip4", "a.test"); fmt.Sprint(list) != "[192.0.2.1]" {
		t.Errorf("found %v, %v", list, err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	now := time.Now()
	r := &Resolver{Now: func() time.Time { return now }}
	keep := func(name string, a answer) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.remember(question{name, dns.TypeA}, a)
	}
	for i := range maxCached + 10 {
		keep(fmt.Sprint("n", i), answer{until: now.Add(time.Hour)})
	}
	if n := len(r.cache); n > maxCached || n < maxCached/2 {
		t.Errorf("%d answers are kept", n)
	}
	var long []dns.RR
	for i := range 200 {
		rr, _ := dns.NewRR(fmt.Sprintf("long.test. 60 IN MX 10 mail-%d.long.test.", i))
		long = append(long, rr)
	}
	keep("long.test.", answer{records: long, until: now.Add(time.Hour)})
	if _, ok := r.cache[question{"long.test.", dns.TypeA}]; ok {
		t.Error("a very long answer is kept")
	}
}
