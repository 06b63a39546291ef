package sqlite

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"postroom/store"
)

// An eventRow is an event as it is kept: what is asked for in columns, the rest
// as JSON.
type eventRow struct {
	at        int64
	kind      store.Kind
	recipient string
	detail    string // empty if there is none
}

// encodeEvents turns events into rows. It is done before a change begins, so
// that the writer has no encoding to wait for.
func encodeEvents(events []store.Event) ([]eventRow, error) {
	rows := make([]eventRow, len(events))
	for i, e := range events {
		row := eventRow{at: micros(e.Time), kind: e.Kind, recipient: e.Recipient}
		e.Time, e.Kind, e.Recipient = time.Time{}, "", ""
		if !reflect.ValueOf(e).IsZero() {
			detail, err := json.Marshal(e)
			if err != nil {
				return nil, fmt.Errorf("encode event: %w", err)
			}
			row.detail = string(detail)
		}
		rows[i] = row
	}
	return rows, nil
}

// insertTrail begins the trace of a message.
func insertTrail(tx *tx, id store.MessageID, at int64, headerID, sender, recipients string, refused bool) error {
	_, err := tx.exec(`
		INSERT INTO trail (id, at, header_id, sender, recipients, refused)
		VALUES (?, ?, ?, ?, ?, ?)`,
		id, at, headerID, sender, recipients, refused)
	if err != nil {
		return fmt.Errorf("insert trail: %w", err)
	}
	return nil
}

// addEvents adds events to a trail that exists.
func addEvents(tx *tx, id store.MessageID, events []store.Event) error {
	rows, err := encodeEvents(events)
	if err != nil {
		return err
	}
	return appendEvents(tx, id, rows)
}

func appendEvents(tx *tx, id store.MessageID, rows []eventRow) error {
	var seq int64
	err := tx.scan(`SELECT COALESCE(MAX(seq) + 1, 0) FROM event WHERE trail = ?`, []any{id}, &seq)
	if err != nil {
		return fmt.Errorf("find end of trail: %w", err)
	}
	return insertEvents(tx, id, seq, rows)
}

func insertEvents(tx *tx, id store.MessageID, seq int64, rows []eventRow) error {
	for i, r := range rows {
		_, err := tx.exec(`
			INSERT INTO event (trail, seq, at, kind, recipient, detail)
			VALUES (?, ?, ?, ?, ?, ?)`,
			id, seq+int64(i), r.at, string(r.kind), r.recipient, r.detail)
		if err != nil {
			return fmt.Errorf("insert event: %w", err)
		}
	}
	return nil
}
