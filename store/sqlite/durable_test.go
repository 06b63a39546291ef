package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"postroom/store"
	"postroom/store/mail"
)

// openFilled opens a store with n accounts.
func openFilled(t *testing.T, n int) (*Store, []store.AccountID) {
	s := openTest(t)
	ids := fill(t, s, n)
	if err := s.loadUsage(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, ids
}

// localMessage returns an acceptance of n octets for an account.
func localMessage(s *Store, account store.AccountID, n int) store.Acceptance {
	return store.Acceptance{
		ID: s.NewMessageID(), At: s.now(), Size: int64(n), Body: strings.NewReader(strings.Repeat("x", n)),
		Envelope: mail.Envelope{Sender: mail.Address{Local: "sender", Domain: "example.net"}},
		Local:    []store.LocalDelivery{{Account: account, Recipient: mail.Address{Local: "u", Domain: "example.org"}}},
	}
}

// number returns the one number that a query gives.
func number(t *testing.T, s *Store, query string) (n int64) {
	t.Helper()
	if err := s.reader().QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// eventually waits for what the background does.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		<-tick.C
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	s := openTest(t)
	if _, err := Open(t.Context(), Options{Dir: s.opts.Dir}); !errors.Is(err, store.ErrLocked) {
		t.Errorf("error is %v, want ErrLocked", err)
	}
}

func TestNewerDataIsRefused(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	err = s.write(t.Context(), 0, func(tx *tx) error {
		_, err := tx.exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (4711, 1)`)
		return err
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Dir: dir}); !errors.Is(err, store.ErrNewer) {
		t.Errorf("error is %v, want ErrNewer", err)
	}
}

func TestNewDataIsForItsOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode of the data folder is %v (%v), want 0700", info.Mode(), err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(s.path() + suffix)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode of the database's %q is %v (%v), want 0600", suffix, info.Mode(), err)
		}
	}
}

// A body that was staged and never committed is gone after a restart, and so is
// one that broke off, without a restart.
func TestNoStagedChunkSurvives(t *testing.T) {
	s, ids := openFilled(t, 1)
	broken := localMessage(s, ids[0], 3<<20)
	broken.Body = io.LimitReader(broken.Body, 2<<20)
	if err := s.Accept(t.Context(), broken); err == nil {
		t.Fatal("half a body was accepted")
	}
	eventually(t, "the chunks are removed", func() bool { return number(t, s, `SELECT COUNT(*) FROM chunk`) == 0 })

	if _, err := s.stage(t.Context(), strings.NewReader(strings.Repeat("x", 1<<20)), 1<<20); err != nil {
		t.Fatal(err)
	}
	if n := number(t, s, `SELECT COUNT(*) FROM chunk`); n != 4 {
		t.Fatalf("%d staged chunks, want 4", n)
	}
	if err := s.write(t.Context(), 0, removeAllStaged); err != nil { // what Open does first
		t.Fatal(err)
	}
	if n := number(t, s, `SELECT (SELECT COUNT(*) FROM chunk) + (SELECT COUNT(*) FROM staging)`); n != 0 {
		t.Errorf("%d rows are left of a staged body", n)
	}
}

// After an error at commit nothing is taken until the database has been opened
// again and checked; then it goes on by itself, with all that was accepted.
func TestFailedCommitReopens(t *testing.T) {
	s, ids := openFilled(t, 1)
	if err := s.Accept(t.Context(), localMessage(s, ids[0], 10)); err != nil {
		t.Fatal(err)
	}
	failing := true
	err := s.write(t.Context(), 0, func(*tx) error {
		s.writer.beforeCommit = func() error {
			if failing {
				failing = false
				return sqlite3.Error{Code: sqlite3.ErrIoErr}
			}
			return nil
		}
		return nil
	})
	if err == nil {
		t.Fatal("a change was reported durable although its commit failed")
	}
	eventually(t, "the store takes mail again", func() bool {
		return s.Ready() == nil && s.Accept(context.Background(), localMessage(s, ids[0], 10)) == nil
	})
	entries, err := s.Entries(t.Context(), ids[0])
	if err != nil || len(entries) != 2 {
		t.Errorf("%d entries (%v), want 2", len(entries), err)
	}
}

// A commit that is said to have failed may have been written all the same: what is
// kept in memory follows what is on the disk.
func TestFailedCommitThatWasWritten(t *testing.T) {
	s, _ := openFilled(t, 1)
	if _, keys, err := s.SigningKeys(t.Context(), "example.org"); err != nil || len(keys) > 0 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	var written atomic.Bool
	err := s.write(t.Context(), 0, func(*tx) error {
		s.writer.beforeCommit = func() error {
			if !written.Load() {
				return nil
			}
			written.Store(false)
			return errors.Join(s.writer.run1("COMMIT"), sqlite3.Error{Code: sqlite3.ErrIoErr})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		what   string
		change func() error
		seen   func() bool
	}{
		{
			"lists", func() error {
				_, err := s.SetAccess(context.Background(), store.AccessEntry{What: "192.0.2.0/24", Action: store.Block})
				return err
			}, func() bool {
				_, ok := s.Access().Network(netip.MustParseAddr("192.0.2.1"), time.Now())
				return ok
			},
		},
		{
			"keys", func() error {
				return s.AddDKIMKeys(context.Background(), store.DKIMKey{Domain: "example.org", Selector: "s", Algorithm: "rsa", Private: []byte("x")})
			}, func() bool {
				_, keys, err := s.SigningKeys(t.Context(), "example.org")
				return err == nil && len(keys) == 1
			},
		},
	} {
		written.Store(true)
		if err := test.change(); err == nil {
			t.Errorf("%s: a failed commit was reported durable", test.what)
		}
		eventually(t, "the "+test.what+" in memory are those on the disk", test.seen)
		eventually(t, "the store takes changes again", func() bool { return s.Ready() == nil })
	}
}

// A full disk refuses what doesn't fit, and nothing else: deletions in the same
// batch commit, and mail is taken again as soon as there is room.
func TestFullDiskOnlyRefuses(t *testing.T) {
	s, ids := openFilled(t, 1)
	for range 20 {
		if err := s.Accept(t.Context(), localMessage(s, ids[0], 100<<10)); err != nil {
			t.Fatal(err)
		}
	}
	limit := func(query string) {
		t.Helper()
		if err := s.write(t.Context(), 0, func(tx *tx) error { return tx.scan(query, nil, new(int64)) }); err != nil {
			t.Fatal(err)
		}
	}
	limit(`PRAGMA max_page_count = 1`) // SQLite takes the number of pages in use instead
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { errs[i] = s.Accept(context.Background(), localMessage(s, ids[0], 200<<10)) })
	}
	wg.Wait()
	for _, err := range errs {
		if !isFull(err) {
			t.Errorf("error is %v, want that the disk is full", err)
		}
	}
	entries, err := s.Entries(t.Context(), ids[0])
	if err != nil {
		t.Fatal(err)
	}
	var messages []store.MessageID
	for _, e := range entries {
		messages = append(messages, e.Message)
	}
	if err := s.RemoveEntries(t.Context(), store.Removal{Account: ids[0], At: s.now(), Messages: messages[:19]}); err != nil {
		t.Errorf("nothing can be deleted while the disk is full: %v", err)
	}
	eventually(t, "there is room again", func() bool {
		return s.Accept(context.Background(), localMessage(s, ids[0], 200<<10)) == nil
	})
	if s.Ready() != nil {
		t.Errorf("a full disk is no reason to stop: %v", s.Ready())
	}
}

// Under load without a pause the WAL stays within bounds.
func TestWALStaysShort(t *testing.T) {
	s, ids := openFilled(t, 20)
	var longest int64
	for round := range 12 {
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				for range 5 {
					if err := s.Accept(context.Background(), localMessage(s, ids[i], 250<<10)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		info, err := os.Stat(s.path() + "-wal")
		if err != nil {
			t.Fatal(round, err)
		}
		longest = max(longest, info.Size())
	}
	if longest > 200<<20 {
		t.Errorf("the WAL grew to %d MB under 300 MB of mail", longest>>20)
	}
	t.Logf("longest WAL: %d MB", longest>>20)
}

func TestBackupAndRestore(t *testing.T) {
	s, ids := openFilled(t, 3)
	a := localMessage(s, ids[0], 1<<20)
	a.Outbound = []store.Outbound{{Sender: a.Envelope.Sender, Recipient: mail.Recipient{Address: mail.Address{Local: "r", Domain: "example.com"}}}}
	a.Owed = []store.OwedReport{{Recipient: mail.Recipient{Address: mail.Address{Local: "u", Domain: "example.org"}}, Kind: store.OwedDelivered}}
	if err := s.Accept(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "backup")
	stop, stopped := make(chan struct{}), make(chan int)
	go func() { // mail goes on meanwhile
		n := 0
		for ; ; n++ {
			select {
			case <-stop:
				stopped <- n
				return
			default:
				if err := s.Accept(context.Background(), localMessage(s, ids[1], 4096)); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	var last, total int64
	err := s.Backup(t.Context(), file, func(d, all int64) { last, total = d, all })
	close(stop)
	if n := <-stopped; n == 0 {
		t.Error("no mail was accepted during the backup")
	}
	if err != nil || last != total || total < 1<<20 {
		t.Fatalf("backup: %v, %d of %d octets", err, last, total)
	}
	if err := s.Backup(t.Context(), file, nil); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a second backup to the same file: %v, want ErrConflict", err)
	}
	if info, err := os.Stat(s.path() + "-wal"); err != nil || info.Size() > 1<<20 {
		t.Errorf("the WAL is still %d octets long after the backup (%v)", info.Size(), err)
	}
	if err := Restore(t.Context(), file, s.opts); !errors.Is(err, store.ErrLocked) {
		t.Errorf("restore into a folder in use: %v, want ErrLocked", err)
	}
	checkRestored(t, s, file, ids[0], a)
}

func checkRestored(t *testing.T, s *Store, file string, account store.AccountID, a store.Acceptance) {
	opts := Options{Dir: t.TempDir()}
	if err := Restore(t.Context(), file, opts); err != nil {
		t.Fatal(err)
	}
	if err := Restore(t.Context(), file, opts); !errors.Is(err, store.ErrConflict) {
		t.Errorf("restore over a database: %v, want ErrConflict", err)
	}
	r, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	was, err := s.Entries(t.Context(), account)
	is, err2 := r.Entries(t.Context(), account)
	if err := errors.Join(err, err2); err != nil || len(is) != 1 || is[0] != was[0] {
		t.Errorf("the restored maildrop is %v, was %v (%v)", is, was, err)
	}
	body, err := r.OpenMessage(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(body)
	if err != nil || !bytes.Equal(text, bytes.Repeat([]byte("x"), 1<<20)) {
		t.Errorf("the restored body has %d octets (%v)", len(text), err)
	}
	lanes, err := r.Lanes(t.Context())
	if err != nil || len(lanes) != 0 {
		t.Errorf("%+v restored would be sent again (%v)", lanes, err)
	}
	held, err := r.Queue(t.Context(), store.QueueFilter{Held: true})
	if err != nil || len(held) != 1 || held[0].Hold != store.HeldByRestore {
		t.Errorf("held are %+v (%v), want the one that was queued", held, err)
	}
	if n := number(t, r, `SELECT COUNT(*) FROM queue`); n != 1 {
		t.Errorf("%d rows are restored, want no report that is owed", n)
	}
	if n, err := r.ReleaseQueue(t.Context(), store.QueueFilter{}); n != 1 || err != nil {
		t.Errorf("%d items released (%v), want 1", n, err)
	}
	if lanes, err := r.Lanes(t.Context()); err != nil || len(lanes) != 1 {
		t.Errorf("%+v may be claimed after the release (%v), want one lane", lanes, err)
	}
}

func TestRestoreRefusesOtherFiles(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other.db")
	db := sql.OpenDB(newConnector(other, nil))
	if _, err := db.ExecContext(t.Context(), `CREATE TABLE x (y)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{text, other, filepath.Join(t.TempDir(), "missing")} {
		dir := t.TempDir()
		if err := Restore(t.Context(), file, Options{Dir: dir}); err == nil {
			t.Errorf("%s was restored", filepath.Base(file))
		}
		if left, err := filepath.Glob(filepath.Join(dir, FileName+"*")); err != nil || len(left) > 0 {
			t.Errorf("%v is left of a failed restore", left)
		}
	}
}
