package sqlite

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// answerLate is how long an owed vacation notice may wait: who hears only later
// that somebody was away doesn't need to any more.
const answerLate = 24 * time.Hour

// SetVacation changes what is answered in an account's name. It fails with
// store.ErrNotFound if the account isn't here.
func (s *Store) SetVacation(ctx context.Context, account store.AccountID, v store.Vacation) error {
	err := s.write(ctx, 0, func(tx *tx) error {
		if err := tx.mustBeHere(account); err != nil {
			return err
		}
		_, err := tx.exec(`
			INSERT INTO vacation (account, active, subject, text, since, until)
			VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (account) DO UPDATE SET
				active = excluded.active, subject = excluded.subject, text = excluded.text,
				since = excluded.since, until = excluded.until`,
			account, v.On, v.Subject, v.Text, microsOrZero(v.Since), microsOrZero(v.Until))
		if err != nil {
			return err
		}
		return s.followVacations(tx)
	})
	if err != nil {
		return fmt.Errorf("set vacation of account %d: %w", account, err)
	}
	return nil
}

const vacationColumns = `v.active, v.subject, v.text, v.since, v.until`

// scanVacation reads what vacationColumns names into v, which times finishes.
func scanVacation(v *store.Vacation, since, until *int64) []any {
	return []any{&v.On, &v.Subject, &v.Text, since, until}
}

func setTimes(v *store.Vacation, since, until int64) {
	if since != 0 {
		v.Since = fromMicros(since)
	}
	if until != 0 {
		v.Until = fromMicros(until)
	}
}

func microsOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return micros(t)
}

// Vacation returns what is answered in an account's name: the zero Vacation if
// nothing was ever set.
func (s *Store) Vacation(_ context.Context, account store.AccountID) (store.Vacation, error) {
	rows, err := s.query(`SELECT `+vacationColumns+` FROM vacation AS v WHERE v.account = ?`, account)
	if err != nil {
		return store.Vacation{}, fmt.Errorf("read vacation of account %d: %w", account, err)
	}
	v, _, err := first(collect(rows, func(v *store.Vacation) error {
		var since, until int64
		err := rows.Scan(scanVacation(v, &since, &until)...)
		setTimes(v, since, until)
		return err
	}))
	if err != nil {
		return store.Vacation{}, fmt.Errorf("read vacation of account %d: %w", account, err)
	}
	return v, nil
}

// vacations are the spans in which mail is answered, as of the last commit, by
// account. They may be asked by many goroutines at once.
type vacations struct {
	spans atomic.Pointer[map[store.AccountID]store.Vacation]
}

// IsAway reports whether mail that comes at some time for an account is to be
// answered. With nobody away it costs next to nothing.
func (s *Store) IsAway(account store.AccountID, at time.Time) bool {
	spans := s.vacations.spans.Load()
	if spans == nil || len(*spans) == 0 {
		return false
	}
	v, ok := (*spans)[account]
	return ok && v.Holds(at)
}

// followVacations has what a change leaves of the vacations count once it is
// durable.
func (s *Store) followVacations(tx *tx) error {
	spans, err := readVacations(tx)
	tx.afterCommit(func() { s.vacations.spans.Store(&spans) })
	return err
}

func (s *Store) loadVacations() error {
	spans, err := readVacations(s)
	if err != nil {
		return fmt.Errorf("load vacations: %w", err)
	}
	s.vacations.spans.Store(&spans)
	return nil
}

func readVacations(q querier) (map[store.AccountID]store.Vacation, error) {
	rows, err := q.query(`SELECT account, since, until FROM vacation WHERE active`)
	if err != nil {
		return nil, err
	}
	spans := make(map[store.AccountID]store.Vacation)
	_, err = collect(rows, func(*struct{}) error {
		var id store.AccountID
		var since, until int64
		if err := rows.Scan(&id, &since, &until); err != nil {
			return err
		}
		v := store.Vacation{On: true}
		setTimes(&v, since, until)
		spans[id] = v
		return nil
	})
	return spans, err
}

// AnswersChanged signals, at least once after each commit by which a vacation
// notice is owed, that Answers may have something new.
func (s *Store) AnswersChanged() <-chan struct{} { return s.answersChanged }

// oweAnswer notes that a vacation notice is owed to the sender of the message, unless
// one is already or it has had one lately. An account that is gone, or isn't
// away any more, owes none.
func (p *pending) oweAnswer(tx *tx, o store.OwedAnswer) error {
	sender := p.a.Envelope.Sender
	result, err := tx.exec(`
		INSERT OR IGNORE INTO answer (account, sender, key, message, at, recipient, header_id, history, subject)
		SELECT v.account, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
		FROM vacation AS v
		WHERE v.account = ?1
			AND v.active
			AND NOT EXISTS (SELECT 1 FROM answered AS a WHERE a.account = ?1 AND a.key = ?3 AND a.at > ?10)`,
		o.Account, sender.String(), sender.Key(), p.a.ID, micros(p.a.At), o.Recipient.String(), p.a.HeaderID, o.History, o.Subject,
		micros(p.a.At.Add(-store.AnswerEvery)))
	if err != nil {
		return fmt.Errorf("owe vacation notice: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return err
	}
	tx.afterCommit(func() {
		select {
		case p.s.answersChanged <- struct{}{}:
		default:
		}
	})
	return nil
}

// Answers returns the vacation notices that are owed now, the oldest first. What
// isn't owed any more, because its account is disabled or not away or because
// it is too late, is forgotten.
func (s *Store) Answers(ctx context.Context) ([]store.Answer, error) {
	if err := s.forgetAnswers(ctx); err != nil {
		return nil, fmt.Errorf("forget old vacation notices: %w", err)
	}
	rows, err := s.query(`
		SELECT o.id, o.account, a.local, d.name, a.name, ` + vacationColumns + `,
			o.message, o.at, o.sender, o.header_id, o.recipient, o.subject, o.history
		FROM answer AS o
		JOIN account AS a ON a.id = o.account
		JOIN domain AS d ON d.id = a.domain
		JOIN vacation AS v ON v.account = o.account
		ORDER BY o.id
		LIMIT 1000`)
	if err != nil {
		return nil, fmt.Errorf("find owed vacation notices: %w", err)
	}
	return collect(rows, func(a *store.Answer) error { return scanAnswer(rows.Scan, a) })
}

func scanAnswer(scan func(...any) error, a *store.Answer) (err error) {
	var since, until, at int64
	var sender, recipient string
	columns := []any{&a.ID, &a.Account, &a.From.Local, &a.From.Domain, &a.Name}
	columns = append(columns, scanVacation(&a.Vacation, &since, &until)...)
	columns = append(columns, &a.Message, &at, &sender, &a.HeaderID, &recipient, &a.Subject, &a.History)
	if err := scan(columns...); err != nil {
		return err
	}
	setTimes(&a.Vacation, since, until)
	a.OwedAnswer.Account, a.At = a.Account, fromMicros(at)
	if a.Sender, err = mail.ParseAddress(sender); err != nil {
		return fmt.Errorf("sender of message %v: %w", a.Message, err)
	}
	a.Recipient, err = mail.ParseAddress(recipient)
	return err
}

// forgetAnswers removes notices that aren't owed any more, and whom was answered
// too long ago to count.
func (s *Store) forgetAnswers(ctx context.Context) error {
	const stale = `
		FROM answer AS o
		WHERE o.at < ?
			OR NOT EXISTS (
				SELECT 1
				FROM vacation AS v
				JOIN account AS a ON a.id = v.account
				WHERE v.account = o.account AND v.active AND NOT a.disabled)`
	now := s.now()
	late, old := micros(now.Add(-answerLate)), micros(now.Add(-store.AnswerEvery))
	var n int
	err := s.queryRow(`
		SELECT (SELECT COUNT(*)`+stale+`) + (SELECT COUNT(*) FROM answered WHERE at <= ?)`, late, old).Scan(&n)
	if err != nil || n == 0 {
		return err // the usual case: no change for the writer
	}
	return s.write(ctx, 0, func(tx *tx) error {
		if _, err := tx.exec(`DELETE FROM answer WHERE id IN (SELECT o.id`+stale+`)`, late); err != nil {
			return err
		}
		_, err := tx.exec(`DELETE FROM answered WHERE at <= ?`, old)
		return err
	})
}

// DropAnswer forgets a vacation notice that can't be sent to anybody.
func (s *Store) DropAnswer(ctx context.Context, id int64) error {
	err := s.write(ctx, 0, func(tx *tx) error {
		_, err := tx.exec(`DELETE FROM answer WHERE id = ?`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("drop vacation notice: %w", err)
	}
	return nil
}

// noteAnswer notes that a vacation notice is written, together with its
// acceptance: it isn't owed any more, and its reader gets no other for a while.
func (p *pending) noteAnswer(tx *tx) error {
	o := p.a.AnswerTo
	if o == nil {
		return nil
	}
	if err := affected(tx.exec(`DELETE FROM answer WHERE id = ?`, o.ID)); err != nil {
		return fmt.Errorf("end owed vacation notice: %w", err)
	}
	_, err := tx.exec(`
		INSERT INTO answered (account, key, at)
		VALUES (?, ?, ?)
		ON CONFLICT (account, key) DO UPDATE SET at = excluded.at`,
		o.Account, o.Sender.Key(), micros(p.a.At))
	if err != nil {
		return fmt.Errorf("note vacation notice: %w", err)
	}
	return addEvents(tx, o.Message, []store.Event{{
		Time: p.a.At, Kind: store.Answered, Recipient: o.Recipient.String(), Report: &p.a.ID,
	}})
}
