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
// it.
func (l *logins) isNews(login store.Login) bool {
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
	login.At = login.At.Truncate(loginPrecision).UTC()
	if !s.logins.isNews(login) {
		return
	}
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
		return nil
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
