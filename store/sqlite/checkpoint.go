package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"
)

// How much of the WAL, in octets, is worth a checkpoint beside the writer, and
// how much is so much that the writer itself makes one between two batches.
// Beside a busy writer the WAL would never be done with, and grow without end:
// each time the checkpoint has caught up, there is more.
const (
	checkpointEvery = 8 << 20
	restartAbove    = 64 << 20
)

// A checkpointer moves pages from the WAL into the database.
type checkpointer struct {
	pageSize int64
	written  atomic.Int64  // octets by the writer since the last checkpoint, about
	wal      atomic.Int64  // octets in the WAL that aren't in the database, about
	wanted   chan struct{} // capacity 1
	pinned   atomic.Bool   // a backup reads: the WAL can't be restarted
	truncate atomic.Bool   // the WAL has grown out of measure: cut it
}

// wrote is told of every batch.
func (c *checkpointer) wrote(bytes int64) {
	c.wal.Add(2 * bytes)
	if c.written.Add(2*bytes) > checkpointEvery {
		c.written.Store(0)
		select {
		case c.wanted <- struct{}{}:
		default:
		}
	}
}

// passive makes a checkpoint beside the writer, as far as it gets without waiting
// for anybody, and returns how many octets are left to move.
func (c *checkpointer) passive(ctx context.Context, db *sql.DB) (left int64, err error) {
	frames, moved, err := checkpoint(ctx, db, "PASSIVE")
	if err != nil || frames < 0 { // somebody else makes one
		return 0, err
	}
	left = max(0, frames-moved) * c.pageSize
	if frames*c.pageSize > restartAbove {
		c.wal.Store(frames * c.pageSize) // it can't shrink before it starts again
	} else {
		c.wal.Store(left)
	}
	return left, nil
}

// restartIfLong is called by the writer between two batches. A reader in the
// middle of a query can be in the way; then it is tried again some megabytes
// later, rather than that everybody waits.
func (c *checkpointer) restartIfLong(conn *sql.Conn) error {
	mode := "RESTART"
	switch {
	case c.pinned.Load():
		return nil
	case c.truncate.Load():
		mode = "TRUNCATE"
	case c.wal.Load() < restartAbove:
		return nil
	}
	busy, err := checkpointSoon(conn, mode)
	if err != nil || busy {
		c.wal.Store(restartAbove - checkpointEvery)
		return err
	}
	c.truncate.Store(false)
	c.wal.Store(0)
	c.written.Store(0)
	return nil
}

// checkpointSoon runs a checkpoint on the writer's connection, and gives up
// before anybody notices the wait.
func checkpointSoon(conn *sql.Conn, mode string) (busy bool, err error) {
	ctx := context.Background()
	if _, err := conn.ExecContext(ctx, "PRAGMA busy_timeout = 100"); err != nil {
		return false, err
	}
	frames, moved, err := checkpoint(ctx, conn, mode)
	if _, err := conn.ExecContext(ctx, "PRAGMA busy_timeout = 10000"); err != nil {
		return false, err
	}
	return frames < 0 || moved < frames, err
}

type rowQuerier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// checkpoint runs a checkpoint and returns how many frames the WAL has, and how
// many of them are in the database; -1 if others were in the way.
func checkpoint(ctx context.Context, db rowQuerier, mode string) (frames, moved int64, err error) {
	var busy int64
	err = db.QueryRowContext(ctx, "PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &frames, &moved)
	if err != nil {
		return 0, 0, fmt.Errorf("checkpoint: %w", err)
	}
	if busy != 0 {
		frames = -1
	}
	return frames, moved, nil
}
