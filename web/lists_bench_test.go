package web

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/netip"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"

	"postroom/store"
	"postroom/store/mail"
	"postroom/store/sqlite"
)

// BenchmarkLongLists shows the lists of a server with 10,000 accounts, 10,000
// aliases, 1,000 domains, 1,000 devices and 50,000 entries of the admin's own
// lists. Each page is to take less than 100 ms.
func BenchmarkLongLists(b *testing.B) {
	s := newSite(b)
	s.fillLists()
	visitor := s.signedIn()
	for _, path := range []string{
		"/accounts", "/accounts?page=150", "/accounts?q=user99", "/accounts?sort=full", "/aliases", "/aliases?page=150", "/aliases?q=team77",
		"/domains", "/domains?page=15", "/domains/d7.example", "/lists", "/lists?page=900", "/lists?q=spammer77", "/devices", "/limits", "/routes", "/sources",
	} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				a := visitor.get(path)
				if a.code != http.StatusOK || len(a.body) > 100_000 {
					b.Fatalf("answered %d with %d octets", a.code, len(a.body))
				}
			}
		})
	}
}

// fillLists makes lists as long as a large server has them.
func (s *site) fillLists() {
	s.t.Helper()
	ctx := s.t.Context()
	ids := make([]store.AccountID, 1_000)
	each(s.t, 1_000, func(i int) error {
		_, err := s.store.AddDomain(ctx, store.Domain{Name: fmt.Sprintf("d%d.example", i), Created: s.now()})
		return err
	})
	each(s.t, 10_000, func(i int) error {
		a, err := s.store.AddAccount(ctx, store.Account{
			Address: mail.Address{Local: fmt.Sprintf("user%d", i), Domain: fmt.Sprintf("d%d.example", i%1000)}, Name: fmt.Sprintf("Person %d", i), Quota: int64(i) * 1e6,
			Created: s.now(),
		})
		if i%10 == 0 {
			ids[i/10] = a.ID
		}
		return err
	})
	each(s.t, 10_000, func(i int) error {
		return s.store.AddAlias(ctx, store.Alias{
			Source: mail.Address{Local: fmt.Sprintf("team%d", i), Domain: fmt.Sprintf("d%d.example", i%1000)}, Created: s.now(),
			Targets: []mail.Address{{Local: fmt.Sprintf("user%d", i), Domain: fmt.Sprintf("d%d.example", i%1000)}, {Local: "boss", Domain: "d1.example"}},
		})
	})
	each(s.t, len(ids), func(i int) error {
		network := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i / 250), byte(i%250 + 1)}), 32)
		return s.store.AddDevice(ctx, store.Device{Network: network, Account: ids[i], Created: s.now()})
	})
	s.fillAccess(50_000)
}

// fillAccess puts entries into the admin's own lists all at once, behind the
// store's back: one by one, each would have the whole list read again.
func (s *site) fillAccess(n int) {
	s.t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(s.dir, sqlite.FileName)+"?_busy_timeout=10000")
	s.must(err)
	defer db.Close()
	tx, err := db.BeginTx(s.t.Context(), nil)
	s.must(err)
	for i := range n {
		what := fmt.Sprintf("spammer%d.example", i)
		switch i % 3 {
		case 0:
			what = fmt.Sprintf("198.18.%d.%d/32", i/250, i%250)
		case 1:
			what = fmt.Sprintf("eve@spammer%d.example", i)
		}
		_, err := tx.ExecContext(s.t.Context(), `INSERT INTO access (what, action, note, created, expires) VALUES (?, 2, 'seen in the logs', ?, 0)`, what, s.now().UnixMicro())
		s.must(err)
	}
	s.must(tx.Commit())
	_, err = s.store.SetAccess(s.t.Context(), store.AccessEntry{What: "last.example", Action: store.Block, Created: s.now()}) // reads them
	s.must(err)
}

// each calls do for the numbers below n, many at once: the writer commits what
// waits together.
func each(t testing.TB, n int, do func(i int) error) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(200)
	for i := range n {
		group.Go(func() error { return do(i) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}
