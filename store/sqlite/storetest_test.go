package sqlite

import (
	"testing"
	"time"

	"postroom/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Backend{Open: func(t *testing.T, dir string, now func() time.Time) storetest.Store {
		s, err := Open(t.Context(), Options{Dir: dir, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}})
}
