package bench

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	_ "github.com/mattn/go-sqlite3" // to look at the database file after its owner's death
)

// drainLimit is how long the queue may take to empty at the end; what is left
// then must stand in it.
const drainLimit = 3 * time.Minute

// drain lets the queue empty and empties every maildrop into the judge's memory.
func (j *judge) drain(ctx context.Context) error {
	fmt.Fprintln(j.out, "draining")
	err := until(ctx, drainLimit, 300*time.Millisecond, func() (bool, error) {
		queued, err := j.queued(ctx)
		return len(queued) == 0, err
	})
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	for _, account := range j.accounts() {
		if _, err := j.drops[account].visit(ctx, j.server, -1, false, func() {}); err != nil {
			return fmt.Errorf("drain %s: %w", account, err)
		}
	}
	return nil
}

// queued returns the recipients that are still to be served.
func (j *judge) queued(ctx context.Context) (map[string]bool, error) {
	b, err := j.server.Command(ctx, "", "queue", "list", "--json")
	if err != nil {
		return nil, err
	}
	var items []struct{ To string }
	if err := json.Unmarshal(b, &items); err != nil {
		return nil, fmt.Errorf("queue list: %w", err)
	}
	queued := make(map[string]bool, len(items))
	for _, item := range items {
		queued[item.To] = true
	}
	return queued, nil
}

// judge holds every record against the maildrops, the queue and the sink.
func (j *judge) judge(ctx context.Context) {
	queued, err := j.queued(ctx)
	if err != nil {
		j.journal.blame("%v", err)
		return
	}
	if len(queued) > 0 {
		fmt.Fprintf(j.out, "%d recipients are still in the queue\n", len(queued))
	}
	outcome := j.journal.outcome()
	for _, r := range outcome.records {
		var there, missing []string
		for _, account := range r.local {
			sort(&there, &missing, account, j.holds(account, r))
		}
		for _, recipient := range r.remote {
			sort(&there, &missing, recipient, queued[recipient] || outcome.served(recipient))
		}
		j.judgeRecord(r, there, missing)
	}
	for recipient, n := range outcome.bounces {
		if n > 1 {
			j.journal.blame("%s: %d reports about it", recipient, n)
		}
	}
	j.judgeEffort(outcome)
}

// collected returns how many messages were collected and deleted in the rounds
// that are over.
func (j *judge) collected() (n int) {
	for _, m := range j.drops {
		n += len(m.gone)
	}
	return n
}

// judgeEffort guards against a run that found nothing because nothing happened.
func (j *judge) judgeEffort(outcome outcome) {
	by, collected := j.journal.tally(0).by, j.collected()
	fmt.Fprintf(j.out, "%d collected and deleted, %d reports\n", collected, len(outcome.bounces))
	if by[accepted] == 0 || collected == 0 || len(outcome.received) == 0 {
		j.journal.blame("the run says nothing: %d accepted, %d collected, %d sent on; first refusal: %s", by[accepted], collected, len(outcome.received), outcome.refusal())
	}
}

func sort(there, missing *[]string, name string, isThere bool) {
	if isThere {
		*there = append(*there, name)
	} else {
		*missing = append(*missing, name)
	}
}

// holds says whether a message is in a maildrop, or was collected there.
func (j *judge) holds(account string, r *record) bool {
	_, ok := j.drops[account].holders[r.number]
	return ok
}

// judgeRecord knows what each fate means: accepted is everywhere, refused and
// unsent nowhere, and what was never answered is either, but nothing between.
func (j *judge) judgeRecord(r *record, there, missing []string) {
	switch {
	case r.fate == accepted && len(missing) > 0:
		j.journal.blame("message %d (%d octets) was answered %q and is LOST for %v", r.number, r.size, r.reply, missing)
	case (r.fate == refused || r.fate == unsent) && len(there) > 0:
		j.journal.blame("message %d was answered %q and is there for %v", r.number, r.reply, there)
	case r.fate == inDoubt && len(there) > 0 && len(missing) > 0:
		j.journal.blame("message %d, never answered, is there for %v and not for %v: half a commit", r.number, there, missing)
	}
}

// checkIntegrity looks at the database of a dead server.
func (j *judge) checkIntegrity(ctx context.Context) {
	if found, err := Integrity(ctx, filepath.Join(j.server.Data(), "postroom.db")); err != nil || found != "ok" {
		j.journal.blame("integrity_check: %s %v", found, err)
	}
}

// Integrity runs SQLite's integrity_check on a database that nobody has open
// and returns what it said: "ok" if all is well. The file isn't changed.
func Integrity(ctx context.Context, file string) (string, error) {
	db, err := sql.Open("sqlite3", (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: file}).EscapedPath(), RawQuery: "mode=ro"}).String())
	if err != nil {
		return "", fmt.Errorf("open database: %w", err)
	}
	defer db.Close()
	var found string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&found); err != nil {
		return "", fmt.Errorf("integrity check: %w", err)
	}
	return found, nil
}
