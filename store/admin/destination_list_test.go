package admin_test

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

// inDoubt orders destinations as the list of them does.
func inDoubt(a, b admin.Destination) int {
	rank := map[string]int{"ok": 1}
	waits := func(d admin.Destination) int64 { return d.Waiting + d.Held + d.Sending }
	return cmp.Or(cmp.Compare(rank[a.State], rank[b.State]), cmp.Compare(waits(b), waits(a)), cmp.Compare(a.Destination, b.Destination))
}

func TestListOfDestinations(t *testing.T) {
	for name, leading := range map[string]func(store.Ways) func(store.Lane) string{
		"it lists domains": nil,
		"it lists a relay": overRelay,
		"it lists a domain's own ways": func(store.Ways) func(store.Lane) string {
			return func(l store.Lane) string { return l.Domain + " from 192.0.2.1" }
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.fill()
			f.Leading = leading
			ctx := t.Context()
			f.accept("alice@example.org", 100, nil, "x@one.example", "y@two.example", "z@two.example", "x@direct.example", "x@held.example", "x@paused.example")
			_, err := f.HoldQueue(ctx, admin.QueueSelection{Domain: "held.example"})
			f.must(err)
			f.must(f.PauseDestination(ctx, "paused.example"))
			f.must(f.PauseDestination(ctx, "coming.example"))
			for _, failing := range []string{"relay smtp.example:587", "two.example", "two.example from 192.0.2.1", "paused.example from 192.0.2.1"} {
				f.know(store.Health{Destination: failing, Host: "smtp.example", Failures: 3, NextTry: f.now.Add(time.Hour), Reply: "connection refused"})
			}
			f.know(store.Health{Destination: "one.example", Host: "mx.one.example", LastSuccess: f.now, Reply: "250 2.0.0 ok"})
			want, err := f.Destinations(ctx)
			f.must(err)
			slices.SortFunc(want, inDoubt)
			var got []admin.Destination
			for {
				part, err := f.ListDestinations(ctx, store.ListQuery{Offset: int64(len(got)), Limit: 3})
				f.must(err)
				got = append(got, part.Rows...)
				if part.All != int64(len(want)) || part.Matching != part.All || part.Paused < 2 || part.Failing == 0 {
					t.Fatalf("says %+v of %d", part, len(want))
				}
				if len(got) >= len(want) {
					break
				}
			}
			if len(got) != len(want) {
				t.Fatalf("lists %d, want %d", len(got), len(want))
			}
			for i := range want {
				if g, w := shownOf(got[i]), shownOf(want[i]); !reflect.DeepEqual(g, w) {
					t.Errorf("lists %+v, want %+v", g, w)
				}
			}
			for _, text := range []string{"failing", "PAUSED", "MX.one", "o.example", "no%", ""} {
				part, err := f.ListDestinations(ctx, store.ListQuery{Text: text})
				f.must(err)
				n := 0
				for _, d := range want {
					if strings.Contains(strings.ToLower(d.Destination+" "+d.State+" "+d.Host), strings.ToLower(text)) {
						n++
					}
				}
				if len(part.Rows) != n || part.Matching != int64(n) {
					t.Errorf("finds %d with %q and says %d, want %d", len(part.Rows), text, part.Matching, n)
				}
			}
		})
	}
}

// shownOf leaves out what nobody sees.
func shownOf(d admin.Destination) map[string]any {
	fields := make(map[string]any)
	for _, f := range reflect.VisibleFields(reflect.TypeOf(d)) {
		if f.IsExported() {
			fields[f.Name] = reflect.ValueOf(d).FieldByIndex(f.Index).Interface()
		}
	}
	return fields
}
