package sqlite

import (
	"strings"
	"testing"

	"postroom/store"
	"postroom/store/mail"
)

// BenchmarkIndexTrails measures a trail: reading it, and writing its keys.
func BenchmarkIndexTrails(b *testing.B) {
	f := newDirectory(b)
	f.domain(b, "example.org", false)
	alice := f.account(b, store.Account{}, "alice@example.org")
	for range b.N {
		id := f.NewMessageID()
		sender := mail.Address{Local: strings.ToLower(id.String()), Domain: "elsewhere.example"}
		err := f.write(b.Context(), 0, func(tx *tx) error {
			if err := insertTrail(tx, id, 1, id.String()+"@elsewhere.example", sender.String(), `["alice@example.org"]`, false); err != nil {
				return err
			}
			return addEvents(tx, id, []store.Event{{Kind: store.Accepted}, {Kind: store.Delivered, Recipient: f.accounts[alice]}})
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for more := true; more; {
		var err error
		if more, err = f.indexTrails(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
