package policy

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"postroom/store/mail"
)

// passes reports how many of n tries from addr pass.
func passes(r *Rate, addr string, limit, n int) (passed int) {
	for range n {
		if ok, _ := r.take(netip.MustParseAddr(addr), limit); ok {
			passed++
		}
	}
	return passed
}

func TestRate(t *testing.T) {
	for _, tt := range []struct {
		it     string
		before func(r *Rate)
		addr   string
		want   int // of 100, with a limit of 10
	}{
		{"takes as many as the limit", func(*Rate) {}, "192.0.2.1", 10},
		{"takes IPv6", func(*Rate) {}, "2001:db8::1", 10},
		{"takes any number from this machine", func(*Rate) {}, "127.0.0.1", 100},
		{"takes any number from this machine, by IPv6", func(*Rate) {}, "::1", 100},
		{"takes four times as many from a network", func(r *Rate) {
			for i := range 4 {
				passes(r, fmt.Sprintf("192.0.2.%d", i), 10, 9)
			}
		}, "192.0.2.99", 4},
		{"takes four times as many from a network of IPv6", func(r *Rate) {
			for i := range 39 {
				passes(r, fmt.Sprintf("2001:db8::%x", i+1), 10, 1)
			}
		}, "2001:db8::ffff", 1},
		{"keeps networks apart", func(r *Rate) { passes(r, "192.0.3.1", 10, 100) }, "192.0.2.1", 10},
		{"doesn't count what it refuses", func(r *Rate) {
			passes(r, "192.0.2.1", 10, 1000)
			time.Sleep(2 * time.Minute)
		}, "192.0.2.1", 10},
		{"slides", func(r *Rate) {
			passes(r, "192.0.2.1", 10, 10)
			time.Sleep(90 * time.Second)
		}, "192.0.2.1", 5},
		{"forgets after a while", func(r *Rate) {
			passes(r, "192.0.2.1", 10, 10)
			time.Sleep(time.Hour)
		}, "192.0.2.1", 10},
	} {
		t.Run(tt.it, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &Rate{}
				tt.before(r)
				if got := passes(r, tt.addr, 10, 100); got != tt.want {
					t.Errorf("%d pass, want %d", got, tt.want)
				}
			})
		})
	}
}

func TestRateIsNeverExceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Rate{}
		var times []time.Time
		for range 6000 { // five minutes, one try each 50 ms
			if passes(r, "192.0.2.1", 30, 1) == 1 {
				times = append(times, time.Now())
			}
			time.Sleep(50 * time.Millisecond)
		}
		for i := 60; i < len(times); i++ {
			if d := times[i].Sub(times[i-60]); d < rateWindow {
				t.Fatalf("60 passed in %v", d)
			}
		}
		if len(times) < 5*28 || len(times) > 6*30 {
			t.Errorf("%d passed in five minutes, of 30 a minute", len(times))
		}
	})
}

func TestNoRate(t *testing.T) {
	if got := passes(&Rate{}, "192.0.2.1", 0, 1000); got != 1000 {
		t.Errorf("%d of 1000 pass without a limit", got)
	}
}

// spray tries once from each of n addresses, each in another network.
func spray(r *Rate, n int) {
	for i := range n {
		var b [16]byte
		b[0] = 0x20
		binary.BigEndian.PutUint32(b[2:], uint32(i))
		r.take(netip.AddrFrom16(b), 10)
	}
}

func TestRateUnderSpray(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Rate{}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		passes(r, "192.0.2.1", 10, 10)
		spray(r, 10*maxRated)
		if got := passes(r, "192.0.2.1", 10, 100); got != 0 {
			t.Errorf("the one that counted was forgotten: %d pass", got)
		}
		time.Sleep(rateWindow)
		spray(r, 10*maxRated)
		runtime.GC()
		runtime.ReadMemStats(&after)
		if n := len(r.addresses.this) + len(r.addresses.old) + len(r.networks.this) + len(r.networks.old); n > 4*maxRated {
			t.Errorf("%d are remembered", n)
		}
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
			t.Errorf("%d MB are remembered", grown>>20)
		}
		runtime.KeepAlive(r)
	})
}

func TestRateChecks(t *testing.T) {
	r := &Rate{}
	client := Client{Addr: netip.MustParseAddr("192.0.2.1")}
	connections, messages := Connections(r, 1), Messages(&Rate{}, 1)
	for i, want := range []struct {
		pass  bool
		quiet bool
	}{{true, false}, {false, false}, {false, true}} {
		v, err := connections.Judge(t.Context(), client, struct{}{})
		if v.Pass() != want.pass || v.Quiet != want.quiet || err != nil || !want.pass && v.Answer.Code != 421 {
			t.Errorf("connection %d: %+v, %v", i, v, err)
		}
		v, err = messages.Judge(t.Context(), client, mail.Address{})
		if v.Pass() != want.pass || v.Quiet != want.quiet || err != nil || !want.pass && v.Answer.Code != 450 {
			t.Errorf("message %d: %+v, %v", i, v, err)
		}
	}
	client.Account = 7
	if v, err := messages.Judge(t.Context(), client, mail.Address{}); !v.Pass() || err != nil {
		t.Errorf("one of our own: %+v, %v", v, err)
	}
}

func TestTally(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tally, addr := &Tally{}, netip.MustParseAddr("192.0.2.1")
		for range 100 {
			tally.Add(addr, time.Now())
		}
		for i := range 10 * maxRated {
			tally.Add(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), time.Now())
		}
		for _, want := range []struct {
			after time.Duration
			addr  string
			count int
		}{{0, "192.0.2.99", 100}, {0, "192.0.3.1", 0}, {15 * time.Minute, "192.0.2.1", 50}, {time.Hour, "192.0.2.1", 0}} {
			time.Sleep(want.after)
			if got := tally.Count(netip.MustParseAddr(want.addr), time.Now()); got != want.count {
				t.Errorf("%d of %s after %v, want %d", got, want.addr, want.after, want.count)
			}
		}
	})
}
