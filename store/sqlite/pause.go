package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"postroom/store"
)

// PauseDomain keeps everything for a recipient domain here until it is resumed;
// what is to be returned to its sender goes on. It fails with store.ErrConflict if
// the domain is paused.
func (s *Store) PauseDomain(ctx context.Context, domain string) error {
	// Claims wait until the change is durable: nothing must be claimed from an
	// older view.
	defer s.claims.lockToWithdraw()()
	err := s.write(ctx, 0, func(tx *tx) error {
		paused, err := tx.exists(`SELECT 1 FROM pause WHERE domain = ?`, domain)
		if err != nil || paused {
			return errors.Join(err, conflictIf(paused))
		}
		_, err = tx.exec(`INSERT INTO pause (domain, since) VALUES (?, ?)`, domain, micros(s.now()))
		return err
	})
	if err != nil {
		return fmt.Errorf("pause %s: %w", domain, err)
	}
	s.paused.set(domain, true)
	s.announceWays()
	return nil
}

// A lockedSet is a set, of domains or of accounts. Nothing else is done under its lock, so the
// writer's goroutine may change it.
type lockedSet[K comparable] struct {
	mu sync.Mutex
	in map[K]bool
}

func (l *lockedSet[K]) has(k K) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.in[k]
}

func (l *lockedSet[K]) set(k K, in bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if in {
		l.in[k] = true
	} else {
		delete(l.in, k)
	}
}

func (l *lockedSet[K]) replace(all map[K]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.in = all
}

// loadPaused reads which domains are paused.
func (s *Store) loadPaused() error {
	names, err := s.pausedDomains()
	if err != nil {
		return err
	}
	s.paused.replace(names)
	return nil
}

func (s *Store) pausedDomains() (map[string]bool, error) {
	rows, err := s.query(`SELECT domain FROM pause`)
	if err != nil {
		return nil, fmt.Errorf("list pauses: %w", err)
	}
	names, err := collect(rows, func(name *string) error { return rows.Scan(name) })
	if err != nil {
		return nil, fmt.Errorf("list pauses: %w", err)
	}
	paused := make(map[string]bool, len(names))
	for _, name := range names {
		paused[name] = true
	}
	return paused, nil
}

// ResumeDomain ends a pause. It fails with store.ErrNotFound if there is none.
func (s *Store) ResumeDomain(ctx context.Context, domain string) error {
	var lanes []store.LaneDue
	err := s.write(ctx, 0, func(tx *tx) (err error) {
		if err = affected(tx.exec(`DELETE FROM pause WHERE domain = ?`, domain)); err != nil {
			return err
		}
		lanes, err = lanesOf(tx, `domain = ?`, domain)
		return err
	})
	if err != nil {
		return fmt.Errorf("resume %s: %w", domain, err)
	}
	s.paused.set(domain, false)
	s.announceWays()
	s.announce(lanes)
	return nil
}
