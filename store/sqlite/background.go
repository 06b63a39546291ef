package sqlite

import (
	"context"
	"errors"
	"time"

	"postroom/store"
)

// How often the background work looks around without being called.
const (
	noteInterval   = 200 * time.Millisecond
	indexInterval  = time.Second
	reapInterval   = time.Minute
	expireInterval = time.Hour
)

// runReaper removes what nobody refers to any more, and what is too old to be kept,
// until ctx ends. The store was opened at began.
func (s *Store) runReaper(ctx context.Context, began time.Time) {
	reap, expire := time.NewTicker(reapInterval), time.NewTicker(expireInterval)
	defer reap.Stop()
	defer expire.Stop()
	s.report(ctx, "remove what is old", s.expire(ctx, began))
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.reapWanted:
		case <-reap.C:
		case <-expire.C:
			s.report(ctx, "remove what is old", s.expire(ctx, s.now()))
			continue
		}
		s.report(ctx, "hold or release an account's queue", s.followStandings(ctx))
		s.report(ctx, "reap", s.reap(ctx))
		s.report(ctx, "give back space", s.shrink(ctx))
	}
}

// runNotes writes notes soon after they are made, and makes new trails findable,
// until ctx ends.
func (s *Store) runNotes(ctx context.Context) {
	index := time.NewTicker(indexInterval)
	defer index.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.notes.soon:
			s.flushNotes(ctx)
			pause(ctx, noteInterval) // let more come together
		case <-index.C:
			more := true
			for more && ctx.Err() == nil {
				var err error
				more, err = s.indexTrails(ctx)
				s.report(ctx, "index trails", err)
			}
		}
	}
}

func (s *Store) flushNotes(ctx context.Context) {
	dropped, err := s.notes.flush()
	s.report(ctx, "write notes", err)
	if dropped > 0 {
		s.log.Warn("notes for the trace dropped: too many at once", "count", dropped)
	}
}

// runCheckpoints makes checkpoints beside the writer until ctx ends.
func (s *Store) runCheckpoints(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.checks.wanted:
			_, err := s.checks.passive(ctx, s.checkDB.Load())
			s.report(ctx, "checkpoint", err)
		}
	}
}

// report logs what went wrong in the background, unless it was the stop.
func (s *Store) report(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrClosed) {
		s.log.Warn("background work failed", "work", what, "err", err)
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
