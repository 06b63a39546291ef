package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mattn/go-sqlite3"

	"postroom/store"
)

// isFull reports whether a change failed because the disk is full: it was
// undone, and the next one may fit.
func isFull(err error) bool {
	e, ok := errors.AsType[sqlite3.Error](err)
	return ok && e.Code == sqlite3.ErrFull || errors.Is(err, store.ErrDiskFull)
}

// afterBatch is what the writer does between two batches.
func (s *Store) afterBatch(b batchReport) {
	switch {
	case b.err == nil:
		s.checks.wrote(b.bytes + 4*s.checks.pageSize)
		if s.opts.Committed != nil {
			s.opts.Committed(b.changes, b.took)
		}
		if err := s.checks.restartIfLong(s.writer.conn); err != nil {
			s.log.Warn("checkpoint failed", "err", err)
		}
	case isFull(b.err):
		s.log.Warn("disk full: a change was refused", "err", b.err)
		s.makeRoomInWAL()
	default:
		s.log.Error("commit failed: the database is opened again and checked", "err", b.err)
		s.reopen(b.err)
	}
}

// makeRoomInWAL starts the WAL from its beginning, where there is room for the
// small changes that delete mail.
func (s *Store) makeRoomInWAL() {
	if _, err := checkpointSoon(s.writer.conn, "RESTART"); err != nil {
		s.log.Warn("checkpoint failed", "err", err)
	}
}

// How long to wait between two attempts to open a broken database again.
const reopenPause = time.Second

// reopen closes the database after an error at commit, opens it again and checks
// it. A failed sync is never simply tried again: the system may have dropped what
// it couldn't write, and say that all is well the next time. Until the database
// has been checked no change is taken.
func (s *Store) reopen(cause error) {
	w := s.writer
	cause = fmt.Errorf("the database is being checked after an error: %w", cause)
	w.broken.Store(&cause)
	for !w.closing() {
		err := s.reconnect()
		if err == nil {
			w.broken.Store(nil)
			s.log.Info("the database is open again")
			return
		}
		s.log.Error("the database could not be opened again", "err", err)
		w.refuse(reopenPause, cause)
	}
}

func (s *Store) reconnect() error {
	ctx := context.Background()
	if err := s.disconnect(); err != nil {
		s.log.Warn("closing the broken database", "err", err)
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	s.writer.conn = conn
	clear(s.writer.stmts)
	var verdict string
	if err := conn.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return fmt.Errorf("check database: %w", err)
	}
	if verdict != "ok" {
		return fmt.Errorf("check database: %s", verdict)
	}
	// What failed may have been written all the same.
	s.directory.clear()
	s.signing.clear()
	s.announceWays()
	if err := errors.Join(s.loadPaused(), s.loadSuspended()); err != nil {
		return err
	}
	if err := errors.Join(s.loadAccess(ctx), s.loadMeter(), s.loadDevices(), s.loadVacations()); err != nil {
		return err
	}
	lanes, err := s.allLanes()
	if err != nil {
		return err
	}
	s.announce(lanes)
	return s.loadUsage(ctx)
}
