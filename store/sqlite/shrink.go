package sqlite

import (
	"context"
	"fmt"
)

// Free pages are kept for new mail up to a quarter of the file; beyond that, and
// above a floor, they are given back to the disk, some pages at a time.
const (
	shrinkFloor  = 64 << 20 // octets
	shrinkAtOnce = 512      // pages
)

// shrink gives back free pages until few enough are left.
func (s *Store) shrink(ctx context.Context) error {
	for ctx.Err() == nil {
		var pages, free int64
		err := s.queryRow(`SELECT page_count, freelist_count FROM pragma_page_count, pragma_freelist_count`).Scan(&pages, &free)
		if err != nil {
			return fmt.Errorf("count free pages: %w", err)
		}
		if free*s.checks.pageSize < shrinkFloor || free < pages/4 {
			return nil
		}
		err = s.write(ctx, shrinkAtOnce*s.checks.pageSize/8, vacuumSome)
		if err != nil {
			return fmt.Errorf("give back pages: %w", err)
		}
	}
	return ctx.Err()
}

// vacuumSome gives back one page for each row that it reads: a statement that is
// only started does nothing.
func vacuumSome(tx *tx) error {
	rows, err := tx.query(fmt.Sprintf(`PRAGMA incremental_vacuum(%d)`, shrinkAtOnce))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}
