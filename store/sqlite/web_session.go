package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"postroom/store"
)

// WebSessions keeps the sessions of the web page. Who steals the database can't use
// them: it holds hashes of the tokens.
type WebSessions struct{ s *Store }

// WebSessions returns the sessions of the web page.
func (s *Store) WebSessions() WebSessions { return WebSessions{s} }

func tokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Find returns a session's data. It reports false if there is no such session or
// its time is over.
func (w WebSessions) Find(_ context.Context, token string) (data []byte, found bool, err error) {
	err = w.s.queryRow(`
		SELECT data
		FROM web_session
		WHERE token = ? AND expires > ?`, tokenHash(token), micros(w.s.now())).Scan(&data)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("find web session: %w", err)
	}
	return data, true, nil
}

// Add adds a session, and removes those whose time is over.
func (w WebSessions) Add(ctx context.Context, token string, session store.WebSession) error {
	now := micros(w.s.now())
	err := w.s.write(ctx, int64(len(session.Data)), func(tx *tx) error {
		if _, err := tx.exec(`DELETE FROM web_session WHERE expires <= ?`, now); err != nil {
			return err
		}
		_, err := tx.exec(`
			INSERT INTO web_session (id, token, account, data, began, seen, client, agent, expires)
			VALUES (?, ?, NULLIF(?, 0), ?, ?, ?, ?, ?, ?)`,
			session.ID, tokenHash(token), session.Account, session.Data, micros(session.Began), micros(session.Seen),
			session.Client, session.Agent, micros(session.Expires))
		return err
	})
	if err != nil {
		return fmt.Errorf("add web session: %w", err)
	}
	return nil
}

// Change keeps what has changed in a session. It fails with store.ErrNotFound if
// the session was ended meanwhile, which stays ended.
func (w WebSessions) Change(ctx context.Context, token string, session store.WebSession) error {
	err := w.s.write(ctx, int64(len(session.Data)), func(tx *tx) error {
		return affected(tx.exec(`
			UPDATE web_session
			SET account = NULLIF(?, 0), data = ?, seen = ?, client = ?, agent = ?, expires = ?
			WHERE token = ?`,
			session.Account, session.Data, micros(session.Seen), session.Client, session.Agent, micros(session.Expires),
			tokenHash(token)))
	})
	if err != nil {
		return fmt.Errorf("keep web session: %w", err)
	}
	return nil
}

// Delete removes a session, if it is there.
func (w WebSessions) Delete(ctx context.Context, token string) error {
	err := w.s.write(ctx, 0, func(tx *tx) error {
		_, err := tx.exec(`DELETE FROM web_session WHERE token = ?`, tokenHash(token))
		return err
	})
	if err != nil {
		return fmt.Errorf("delete web session: %w", err)
	}
	return nil
}

// SessionsOf returns the sessions in which an account is signed in, the one seen
// last first, without their data.
func (s *Store) SessionsOf(_ context.Context, account store.AccountID) ([]store.WebSession, error) {
	rows, err := s.query(`
		SELECT id, account, began, seen, client, agent, expires
		FROM web_session
		WHERE account = ? AND expires > ?
		ORDER BY seen DESC, id`, account, micros(s.now()))
	if err != nil {
		return nil, fmt.Errorf("list web sessions: %w", err)
	}
	return collect(rows, func(w *store.WebSession) error {
		var began, seen, expires int64
		err := rows.Scan(&w.ID, &w.Account, &began, &seen, &w.Client, &w.Agent, &expires)
		w.Began, w.Seen, w.Expires = fromMicros(began), fromMicros(seen), fromMicros(expires)
		return err
	})
}

// EndSession ends one session of an account, or fails with store.ErrNotFound.
func (s *Store) EndSession(ctx context.Context, account store.AccountID, id int64) error {
	err := s.write(ctx, 0, func(tx *tx) error {
		return affected(tx.exec(`DELETE FROM web_session WHERE account = ? AND id = ?`, account, id))
	})
	if err != nil {
		return fmt.Errorf("end web session: %w", err)
	}
	return nil
}

// EndSessions ends the sessions of an account, all but one; 0 stands for none. It
// returns how many have ended.
func (s *Store) EndSessions(ctx context.Context, account store.AccountID, but int64) (n int64, err error) {
	now := micros(s.now())
	err = s.write(ctx, 0, func(tx *tx) error {
		err := tx.scan(`SELECT COUNT(*) FROM web_session WHERE account = ? AND id <> ? AND expires > ?`, []any{account, but, now}, &n)
		if err != nil {
			return err
		}
		return tx.endSessions(account, but)
	})
	if err != nil {
		return 0, fmt.Errorf("end web sessions: %w", err)
	}
	return n, nil
}

func (t *tx) endSessions(account store.AccountID, but int64) error {
	_, err := t.exec(`DELETE FROM web_session WHERE account = ? AND id <> ?`, account, but)
	return err
}
