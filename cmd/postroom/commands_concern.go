package main

import (
	"context"
	"io"
	"time"

	"postroom/store/admin"
)

type concernsCmd struct{ listing }

// Run lists what the admin should know.
func (c *concernsCmd) Run(ctx context.Context, s *shell) error {
	list, err := ask[[]admin.Concern](ctx, s, "concerns", nothing{})
	if err != nil {
		return err
	}
	return showList(s, c.listing, list, "Nothing to worry about.", func(w io.Writer, list []admin.Concern) {
		t := newTable(w, "SINCE", "SEEN", "WHAT")
		for _, c := range list {
			t.row(date(c.Since), ago(time.Now(), c.Seen), c.Text)
		}
		t.flush()
	})
}
