package zone

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A silence never answers; it counts who waits.
type silence struct {
	mu            sync.Mutex
	waiting, most int
}

func (s *silence) wait(ctx context.Context) error {
	s.mu.Lock()
	s.waiting++
	s.most = max(s.most, s.waiting)
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting--
	return &net.DNSError{Err: "timed out", IsTimeout: true, IsTemporary: true}
}

func (s *silence) LookupMX(ctx context.Context, _ string) ([]*net.MX, error) { return nil, s.wait(ctx) }

func (s *silence) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	return nil, s.wait(ctx)
}

func (s *silence) LookupTXT(ctx context.Context, _ string) ([]string, error) { return nil, s.wait(ctx) }

func (s *silence) LookupAddr(ctx context.Context, _ string) ([]string, error) {
	return nil, s.wait(ctx)
}

func (s *silence) LookupCNAME(ctx context.Context, _ string) (string, error) { return "", s.wait(ctx) }

func (s *silence) LookupSRV(ctx context.Context, _ string) ([]*net.SRV, error) {
	return nil, s.wait(ctx)
}

func (s *silence) CheckSPF(ctx context.Context, _ netip.Addr, _ string) (result, why string) {
	return "temperror", s.wait(ctx).Error()
}

// Whatever happens, a look ends after ten seconds, with so many questions at a time.
func TestLookEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := facts(), &silence{}
		for i := range 200 {
			f.Sources = append(f.Sources, Source{IP: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})})
		}
		began := time.Now()
		r := Judge(f, Look(t.Context(), f, s))
		if took := time.Since(began); took != patience {
			t.Errorf("it took %v", took)
		}
		if s.most != maxTurns || s.waiting != 0 {
			t.Errorf("%d questions at a time, %d at the end", s.most, s.waiting)
		}
		for _, rec := range r.Records {
			if rec.State != Unknown {
				t.Errorf("%s %s is %s", rec.Type, rec.Name, rec.State)
			}
		}
	})
}

// So it does when whoever asked has gone.
func TestLookIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := facts()
	if r := Judge(f, Look(ctx, f, &silence{})); r.OK || r.Records[0].State != Unknown {
		t.Errorf("%+v", r.Records[0])
	}
}
