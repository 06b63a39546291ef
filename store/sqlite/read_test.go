package sqlite

import (
	"context"
	"errors"
	"sync"
	"testing"

	"postroom/store"
)

// TestTheFirstReadersDontWaitForEachOther asks a store that has just been opened
// many things at once: none of its queries is prepared yet, and there are more
// callers than connections.
func TestTheFirstReadersDontWaitForEachOther(t *testing.T) {
	nobody := address(t, "nobody@example.org")
	for range 20 {
		s := openTest(t)
		var all sync.WaitGroup
		for range 40 {
			all.Go(func() {
				if _, err := s.Resolve(t.Context(), nobody); err != nil {
					t.Error(err)
				}
			})
			all.Go(func() {
				if _, err := s.AccountByAddress(context.Background(), nobody); !errors.Is(err, store.ErrNotFound) {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
}
