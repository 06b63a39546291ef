package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"postroom/store"
)

// selectDKIMKey is what scanDKIMKey reads.
const selectDKIMKey = `
	SELECT k.id, d.name, k.selector, k.algorithm, k.private, k.created, k.since, k.until
	FROM dkim_key AS k
	JOIN domain AS d ON d.id = k.domain`

func scanDKIMKey(rows *sql.Rows) func(*store.DKIMKey) error {
	return func(k *store.DKIMKey) error {
		var created, since, until int64
		err := rows.Scan(&k.ID, &k.Domain, &k.Selector, &k.Algorithm, &k.Private, &created, &since, &until)
		k.Created, k.Since, k.Until = fromMicros(created), fromMicros(since), fromMicros(until)
		return err
	}
}

// AddDKIMKeys adds keys, all or none. It fails with store.ErrNotFound if a key's
// domain isn't one whose mail ends here, and with store.ErrConflict if the domain
// has a key with that selector.
func (s *Store) AddDKIMKeys(ctx context.Context, keys ...store.DKIMKey) error {
	err := s.changeDKIMKeys(ctx, func(tx *tx) error {
		for _, k := range keys {
			if err := tx.insertDKIMKey(k); err != nil {
				return fmt.Errorf("%s._domainkey.%s: %w", k.Selector, k.Domain, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("add DKIM key: %w", err)
	}
	return nil
}

func (t *tx) insertDKIMKey(k store.DKIMKey) error {
	var domain store.DomainID
	err := t.scan(`SELECT id FROM domain WHERE name = ? AND backup = 0`, []any{k.Domain}, &domain)
	if err != nil {
		return noRows(err, store.ErrNotFound)
	}
	taken, err := t.exists(`SELECT 1 FROM dkim_key WHERE domain = ? AND selector = ?`, domain, k.Selector)
	if err != nil || taken {
		return errors.Join(err, conflictIf(taken))
	}
	_, err = t.exec(`
		INSERT INTO dkim_key (domain, selector, algorithm, private, created, since, until)
		VALUES (?, ?, ?, ?, ?, ?, ?)`,
		domain, k.Selector, k.Algorithm, k.Private, micros(k.Created), micros(k.Since), micros(k.Until))
	return err
}

// DKIMKeys returns the keys of a domain, or with an empty name those of all, by
// domain and in the order in which they were made.
func (s *Store) DKIMKeys(_ context.Context, domain string) ([]store.DKIMKey, error) {
	rows, err := s.query(selectDKIMKey+`
		WHERE d.name = ?1 OR ?1 = ''
		ORDER BY d.name, k.id`, domain)
	if err != nil {
		return nil, fmt.Errorf("list DKIM keys: %w", err)
	}
	return collect(rows, scanDKIMKey(rows))
}

// StartDKIMKey lets a key sign from at on. Those of the domain that did so with
// the same algorithm end then. It fails with store.ErrNotFound.
func (s *Store) StartDKIMKey(ctx context.Context, domain, selector string, at time.Time) error {
	err := s.changeDKIMKeys(ctx, func(tx *tx) error {
		_, err := tx.exec(`
			UPDATE dkim_key
			SET until = ?3
			WHERE domain = (SELECT id FROM domain WHERE name = ?1)
				AND selector <> ?2
				AND since <> 0
				AND (until = 0 OR until > ?3)
				AND algorithm = (
					SELECT algorithm
					FROM dkim_key AS k
					JOIN domain AS d ON d.id = k.domain
					WHERE d.name = ?1 AND k.selector = ?2)`,
			domain, selector, micros(at))
		if err != nil {
			return err
		}
		return affected(tx.exec(`
			UPDATE dkim_key
			SET since = ?3, until = 0
			WHERE domain = (SELECT id FROM domain WHERE name = ?1) AND selector = ?2`,
			domain, selector, micros(at)))
	})
	if err != nil {
		return fmt.Errorf("start DKIM key %s of %s: %w", selector, domain, err)
	}
	return nil
}

// RemoveDKIMKey removes a key. It fails with store.ErrNotFound.
func (s *Store) RemoveDKIMKey(ctx context.Context, domain, selector string) error {
	err := s.changeDKIMKeys(ctx, func(tx *tx) error {
		return affected(tx.exec(`
			DELETE FROM dkim_key
			WHERE domain = (SELECT id FROM domain WHERE name = ?) AND selector = ?`, domain, selector))
	})
	if err != nil {
		return fmt.Errorf("remove DKIM key %s of %s: %w", selector, domain, err)
	}
	return nil
}

// changeDKIMKeys runs a change after which SigningKeys gives something else.
func (s *Store) changeDKIMKeys(ctx context.Context, apply func(*tx) error) error {
	return s.write(ctx, 0, func(tx *tx) error {
		tx.afterCommit(s.signing.clear)
		return apply(tx)
	})
}

// SigningKeys returns which domain answers for mail from a domain, and its keys,
// used or not: the domain itself, or the nearest one above it whose mail ends here
// (RFC 6376 section 3.10, RFC 7489 section 3.1.1: such a signature is aligned). It
// may have no keys yet. It fails with store.ErrNotFound if there is no such domain.
// The keys are shared, and not to be changed.
func (s *Store) SigningKeys(_ context.Context, domain string) (string, []store.DKIMKey, error) {
	known, ok, generation := s.signing.get(domain)
	if !ok {
		var err error
		if known, err = s.readSigning(domain); err != nil {
			return "", nil, fmt.Errorf("look up DKIM keys for %s: %w", domain, err)
		}
		s.signing.keep(generation, domain, known)
	}
	if known.domain == "" {
		return "", nil, store.ErrNotFound
	}
	return known.domain, known.keys, nil
}

func (s *Store) readSigning(domain string) (signingKeys, error) {
	for name, above := domain, true; above; _, name, above = strings.Cut(name, ".") {
		var one int
		err := s.queryRow(`SELECT 1 FROM domain WHERE name = ? AND backup = 0`, name).Scan(&one)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return signingKeys{}, err
		}
		rows, err := s.query(selectDKIMKey+`
			WHERE d.name = ?
			ORDER BY k.id`, name)
		if err != nil {
			return signingKeys{}, err
		}
		keys, err := collect(rows, scanDKIMKey(rows))
		return signingKeys{name, keys}, err
	}
	return signingKeys{}, nil
}

// signingKeys are the keys of the domain that answers for another one; of none if
// the name is empty.
type signingKeys struct {
	domain string
	keys   []store.DKIMKey
}

// A signingCache remembers them until keys or domains change, as a directoryCache
// does with addresses.
type signingCache struct {
	mu         sync.RWMutex
	generation uint64
	by         map[string]signingKeys
}

func (c *signingCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.by = nil
}

func (c *signingCache) get(domain string) (known signingKeys, ok bool, generation uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	known, ok = c.by[domain]
	return known, ok, c.generation
}

func (c *signingCache) keep(generation uint64, domain string, known signingKeys) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation == c.generation {
		c.by = keep(c.by, domain, known)
	}
}
