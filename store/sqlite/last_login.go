package sqlite

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"postroom/store"
)

// loginPrecision is how exactly it is kept when somebody logged in: mail programs
// that log in more often write nothing.
const loginPrecision = time.Minute

// logins remembers which logins have been noted last.
type logins struct {
	mu   sync.Mutex
	last map[loginKey]store.Login
}

type loginKey struct {
	account  store.AccountID
	protocol string
}

// isNews reports whether a login differs from the last one that was, and remembers
// it. To the precision that is kept, two of the same minute don't.
func (l *logins) isNews(login store.Login) bool {
	login.At = login.At.Truncate(loginPrecision).UTC()
	key := loginKey{login.Account, login.Protocol}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last[key] == login {
		return false
	}
	if l.last == nil {
		l.last = make(map[loginKey]store.Login)
	}
	l.last[key] = login
	return true
}

// NoteLogin notes that an account has logged in, in the place of an earlier time
// over the same protocol. It never waits, and what it notes may be lost in a crash.
func (s *Store) NoteLogin(login store.Login) {
	if !s.logins.isNews(login) {
		return
	}
	login.At = login.At.Truncate(loginPrecision)
	s.notes.add(func(tx *tx) error {
		// The account may have been removed meanwhile.
		_, err := tx.exec(`
			INSERT OR REPLACE INTO last_login (account, protocol, at, client, app_password)
			SELECT id, ?, ?, ?, ?
			FROM account
			WHERE id = ?`,
			login.Protocol, micros(login.At), addrText(login.Client), login.AppPassword, login.Account)
		if err != nil {
			return fmt.Errorf("note login: %w", err)
		}
		return noteSource(tx, login, 0)
	})
}

// NoteFailedLogin notes that somebody tried in vain to log in to an account. It
// never waits, and what it notes may be lost in a crash.
func (s *Store) NoteFailedLogin(login store.Login) {
	s.notes.add(func(tx *tx) error { return noteSource(tx, login, 1) })
}

// keptSources is how many sources of an account are kept, of each kind.
const keptSources = 20

// noteSource notes where a login came from; failed is 1 if it was in vain.
func noteSource(tx *tx, login store.Login, failed int) error {
	if !login.Client.IsValid() {
		return nil
	}
	_, err := tx.exec(`
		INSERT INTO login_source (account, failed, network, protocol, first, last, times)
		SELECT id, ?2, ?3, ?4, ?5, ?5, ?2
		FROM account
		WHERE id = ?1
		ON CONFLICT DO UPDATE SET protocol = excluded.protocol, last = excluded.last, times = times + excluded.times`,
		login.Account, failed, sourceOf(login.Client).String(), login.Protocol, micros(login.At))
	if err != nil {
		return fmt.Errorf("note where a login came from: %w", err)
	}
	_, err = tx.exec(`
		DELETE FROM login_source
		WHERE account = ?1 AND failed = ?2 AND network NOT IN (
			SELECT network
			FROM login_source
			WHERE account = ?1 AND failed = ?2
			ORDER BY last DESC
			LIMIT ?3)`, login.Account, failed, keptSources)
	if err != nil {
		return fmt.Errorf("forget where logins came from: %w", err)
	}
	return nil
}

// sourceOf returns what one client is: see store.LoginSource.
func sourceOf(client netip.Addr) netip.Prefix {
	client = client.Unmap().WithZone("")
	bits := 64
	if client.Is4() {
		bits = 32
	}
	p, _ := client.Prefix(bits) // fails for none of these
	return p
}

// LoginSources returns where the logins of an account came from, well and in vain,
// the latest of each first.
func (s *Store) LoginSources(_ context.Context, account store.AccountID) ([]store.LoginSource, error) {
	rows, err := s.query(`
		SELECT network, failed, protocol, first, last, times
		FROM login_source
		WHERE account = ?
		ORDER BY last DESC, network`, account)
	if err != nil {
		return nil, fmt.Errorf("list where logins came from: %w", err)
	}
	return collect(rows, func(l *store.LoginSource) error {
		var network string
		var first, last int64
		if err := rows.Scan(&network, &l.Failed, &l.Protocol, &first, &last, &l.Times); err != nil {
			return err
		}
		l.First, l.Last = fromMicros(first), fromMicros(last)
		var err error
		l.Network, err = netip.ParsePrefix(network)
		return err
	})
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// LastLogins returns when an account has logged in last over each protocol, by
// protocol. They are kept to the minute.
func (s *Store) LastLogins(_ context.Context, account store.AccountID) ([]store.Login, error) {
	rows, err := s.query(`
		SELECT account, protocol, at, client, app_password
		FROM last_login
		WHERE account = ?
		ORDER BY protocol`, account)
	if err != nil {
		return nil, fmt.Errorf("list last logins: %w", err)
	}
	return collect(rows, func(l *store.Login) error {
		var at int64
		var client string
		err := rows.Scan(&l.Account, &l.Protocol, &at, &client, &l.AppPassword)
		l.At = fromMicros(at)
		l.Client, _ = netip.ParseAddr(client) // the zero Addr: nobody knows
		return err
	})
}
