package sqlite

import (
	"bytes"
	"io"
	"testing"

	"postroom/store"
)

func TestRecentBodies(t *testing.T) {
	var r recentBodies
	text := func(id store.MessageID) []byte { return bytes.Repeat([]byte{byte(id)}, maxRecentBody) }
	const most = maxRecent / maxRecentBody
	for id := store.MessageID(1); id <= most+1; id++ {
		r.keep(id, text(id))
	}
	r.keep(1000, bytes.Repeat([]byte("x"), maxRecentBody+1))
	r.forget(3)
	r.keep(1001, []byte("short"))
	for _, row := range []struct {
		it   string
		id   store.MessageID
		want []byte
	}{
		{"has lost the oldest", 1, nil},
		{"keeps the one after it", 2, text(2)},
		{"has forgotten what is gone", 3, nil},
		{"keeps the newest", most + 1, text(most + 1)},
		{"takes no large one", 1000, nil},
		{"keeps a short one", 1001, []byte("short")},
	} {
		t.Run(row.it, func(t *testing.T) {
			b := r.open(row.id)
			if b == nil {
				if row.want != nil {
					t.Fatal("it is not there")
				}
				return
			}
			got, err := io.ReadAll(b)
			if err != nil || row.want == nil || !bytes.Equal(got, row.want) || b.Size != int64(len(got)) {
				t.Errorf("%d octets, size %d, %v; want %d", len(got), b.Size, err, len(row.want))
			}
		})
	}
	if want := maxRecent - maxRecentBody + len("short"); r.size != want {
		t.Errorf("%d octets are counted, want %d", r.size, want)
	}
}
