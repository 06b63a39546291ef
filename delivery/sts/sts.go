// Package sts finds the MTA-STS policies of mail domains (RFC 8461), and keeps
// them as long as they say. What comes of one is its caller's to decide.
package sts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"postroom/store"
)

const (
	patience  = 5 * time.Minute // between two tries to fetch a policy (RFC 8461 section 3.3)
	refreshed = 24 * time.Hour  // an unchanged policy is fetched again so often, so that it doesn't expire
	maxFailed = 10_000          // domains that are remembered as failing
)

// A Store keeps policies; store/sqlite is one. A missing one is
// store.ErrNotFound.
type Store interface {
	STSPolicy(ctx context.Context, domain string) (store.STSPolicy, error)
	KeepSTSPolicy(ctx context.Context, p store.STSPolicy) error
	ForgetSTSPolicy(ctx context.Context, domain string) error
}

// A Resolver looks up TXT records, the strings of each joined; *net.Resolver is
// one.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// Policies knows the policies of domains. It may be used by several goroutines at
// once; its fields are not changed then.
type Policies struct {
	Store    Store
	Resolver Resolver
	// HTTP fetches policies. Its Transport decides which addresses may be
	// connected to and which authorities are trusted; it should use no proxy.
	// Redirects aren't followed. nil: http.DefaultClient.
	HTTP *http.Client
	Now  func() time.Time // nil: time.Now
	Log  *slog.Logger     // nil: nothing is logged

	mu     sync.Mutex
	flying map[string]chan struct{} // domains whose policy is being fetched; closed when that has ended
	failed map[string]time.Time     // when fetching may be tried again
}

// For returns the policy of a domain (lower case, A-labels), or the zero Policy if
// there is none that can be had: nobody's mail waits for one. A policy once seen
// counts until it expires, whatever DNS says now (RFC 8461 section 5.1). An error
// is the store's trouble, or the end of ctx.
func (s *Policies) For(ctx context.Context, domain string) (Policy, error) {
	if strings.HasPrefix(domain, "[") || domain == "" { // an address literal
		return Policy{}, nil
	}
	id := s.announced(ctx, domain)
	for {
		kept, err := s.kept(ctx, domain)
		if err != nil || !s.wants(kept, domain, id) {
			return s.valid(kept), errors.Join(err, s.forget(ctx, kept, id))
		}
		flight, ours := s.takeOff(domain)
		switch {
		case ours:
			err := s.refresh(ctx, domain, id)
			s.land(domain, flight, err != nil && ctx.Err() == nil)
		case kept.ID == id && s.now().Before(kept.Expires):
			return kept, nil // somebody else sees to it that it stays fresh
		default:
			select {
			case <-flight:
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return s.valid(kept), ctx.Err()
		}
	}
}

// announced returns the id of a domain's policy, empty if it has none or that
// can't be found out.
func (s *Policies) announced(ctx context.Context, domain string) string {
	records, err := s.Resolver.LookupTXT(ctx, "_mta-sts."+domain)
	if err != nil {
		return ""
	}
	return pick(records)
}

// kept returns the policy that is in the store, expired or not.
func (s *Policies) kept(ctx context.Context, domain string) (Policy, error) {
	p, err := s.Store.STSPolicy(ctx, domain)
	if errors.Is(err, store.ErrNotFound) {
		return Policy{}, nil
	}
	return Policy(p), err
}

// valid returns a policy as long as it counts.
func (s *Policies) valid(p Policy) Policy {
	if !s.now().Before(p.Expires) {
		return Policy{}
	}
	return p
}

// forget removes a policy that has expired and isn't announced any more.
func (s *Policies) forget(ctx context.Context, kept Policy, id string) error {
	if kept.Domain == "" || id != "" || s.now().Before(kept.Expires) {
		return nil
	}
	return s.Store.ForgetSTSPolicy(ctx, kept.Domain)
}

// wants reports whether a policy is to be fetched, to replace the one that is
// kept.
func (s *Policies) wants(kept Policy, domain, id string) bool {
	s.mu.Lock()
	failing := s.now().Before(s.failed[domain])
	s.mu.Unlock()
	if id == "" || failing {
		return false
	}
	age := min(kept.Expires.Sub(kept.Fetched)/2, refreshed)
	return kept.ID != id || !s.now().Before(kept.Fetched.Add(age))
}

// refresh fetches a policy and keeps it.
func (s *Policies) refresh(ctx context.Context, domain, id string) error {
	p, maxAge, err := s.fetch(ctx, domain)
	if err != nil {
		if s.Log != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "MTA-STS policy can't be had", "domain", domain, "err", err)
		}
		return err
	}
	p.Domain, p.ID, p.Fetched = domain, id, s.now()
	p.Expires = p.Fetched.Add(max(maxAge, 2*patience)) // what expires at once would be fetched for each message
	if err := s.Store.KeepSTSPolicy(ctx, store.STSPolicy(p)); err != nil {
		return fmt.Errorf("keep policy: %w", err)
	}
	return nil
}

// takeOff begins to fetch a policy, unless somebody is doing it: then it returns
// what is closed at the end of that.
func (s *Policies) takeOff(domain string) (flight chan struct{}, ours bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if flight, ok := s.flying[domain]; ok {
		return flight, false
	}
	if s.flying == nil {
		s.flying = make(map[string]chan struct{})
	}
	flight = make(chan struct{})
	s.flying[domain] = flight
	return flight, true
}

func (s *Policies) land(domain string, flight chan struct{}, failed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.flying, domain)
	close(flight)
	if failed {
		s.remember(domain)
	}
}

// remember notes that fetching is to wait. There is no end of names that somebody
// can make up: if there are too many, all are forgotten.
func (s *Policies) remember(domain string) {
	if s.failed == nil || len(s.failed) >= maxFailed {
		s.failed = make(map[string]time.Time)
	}
	s.failed[domain] = s.now().Add(patience)
}

func (s *Policies) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}
