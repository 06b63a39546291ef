package sqlite

import (
	"testing"
)

// openTest opens a new store that lives as long as the test.
func openTest(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestEveryConnectionSyncsFully(t *testing.T) {
	s := openTest(t)
	var readers, writer int
	if err := s.reader().QueryRow("PRAGMA synchronous").Scan(&readers); err != nil {
		t.Fatal(err)
	}
	if err := s.write(t.Context(), 0, func(tx *tx) error { return tx.scan("PRAGMA synchronous", nil, &writer) }); err != nil {
		t.Fatal(err)
	}
	if readers != 2 || writer != 2 {
		t.Errorf("synchronous is %d for readers and %d for the writer, want 2 (FULL)", readers, writer)
	}
}
