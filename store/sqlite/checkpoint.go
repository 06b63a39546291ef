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

// passive makes a checkpoint beside the writer: as far as it gets without
// waiting for anybody.
func (c *checkpointer) passive(ctx context.Context, db *sql.DB) error {
	frames, moved, err := checkpoint(ctx, db, "PASSIVE")
	if err != nil {
		return err
	}
	if frames >= 0 {
		c.wal.Store(max(0, frames-moved) * c.pageSize)
	}
	if frames*c.pageSize > restartAbove {
		c.wal.Store(frames * c.pageSize) // it can't shrink before it starts again
	}
	return nil
}

// restartIfLong is called by the writer between two batches.
func (c *checkpointer) restartIfLong(conn *sql.Conn) error {
	if c.wal.Load() < restartAbove || c.pinned.Load() {
		return nil
	}
	c.wal.Store(0)
	c.written.Store(0)
	_, _, err := checkpoint(context.Background(), conn, "RESTART")
	return err
}

type rowQuerier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// checkpoint runs a checkpoint and returns how many frames the WAL has, and how
// many of them are in the database.
func checkpoint(ctx context.Context, db rowQuerier, mode string) (frames, moved int64, err error) {
	var busy int64
	err = db.QueryRowContext(ctx, "PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &frames, &moved)
	if err != nil {
		return 0, 0, fmt.Errorf("checkpoint: %w", err)
	}
	return frames, moved, nil
}
