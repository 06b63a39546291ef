package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// WebSessions keeps the sessions of the web page, for github.com/alexedwards/scs.
// Who steals the database can't use them: it holds hashes of the tokens.
type WebSessions struct{ s *Store }

// WebSessions returns the sessions of the web page.
func (s *Store) WebSessions() WebSessions { return WebSessions{s} }

func tokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// FindCtx returns a session's data. It reports false if there is no such session
// or its time is over.
func (w WebSessions) FindCtx(_ context.Context, token string) (data []byte, found bool, err error) {
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

// CommitCtx adds a session or replaces it, and removes those whose time is over.
func (w WebSessions) CommitCtx(ctx context.Context, token string, data []byte, expires time.Time) error {
	now := micros(w.s.now())
	err := w.s.write(ctx, int64(len(data)), func(tx *tx) error {
		if _, err := tx.exec(`DELETE FROM web_session WHERE expires <= ?`, now); err != nil {
			return err
		}
		_, err := tx.exec(`
			INSERT INTO web_session (token, data, expires)
			VALUES (?, ?, ?)
			ON CONFLICT (token) DO UPDATE SET data = excluded.data, expires = excluded.expires`,
			tokenHash(token), data, micros(expires))
		return err
	})
	if err != nil {
		return fmt.Errorf("keep web session: %w", err)
	}
	return nil
}

// DeleteCtx removes a session, if it is there.
func (w WebSessions) DeleteCtx(ctx context.Context, token string) error {
	err := w.s.write(ctx, 0, func(tx *tx) error {
		_, err := tx.exec(`DELETE FROM web_session WHERE token = ?`, tokenHash(token))
		return err
	})
	if err != nil {
		return fmt.Errorf("delete web session: %w", err)
	}
	return nil
}

// Find is FindCtx without a context.
func (w WebSessions) Find(token string) (data []byte, found bool, err error) {
	return w.FindCtx(context.Background(), token)
}

// Commit is CommitCtx without a context.
func (w WebSessions) Commit(token string, data []byte, expires time.Time) error {
	return w.CommitCtx(context.Background(), token, data, expires)
}

// Delete is DeleteCtx without a context.
func (w WebSessions) Delete(token string) error { return w.DeleteCtx(context.Background(), token) }
