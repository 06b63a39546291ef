package sqlite

import (
	"context"
	"slices"
	"testing"
)

// What can't be removed now, on a full disk say, is removed later: all of it.
func TestReapForgetsNothingThatWasGivenUp(t *testing.T) {
	s, err := Open(t.Context(), Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.staged.abandon(10, 20, 30)
	if err := s.reap(context.Background()); err == nil {
		t.Fatal("a closed store was written to")
	}
	if left := s.staged.take(); !slices.Equal(left, []int64{10, 20, 30}) {
		t.Errorf("%v are left to remove, want all three", left)
	}
}
