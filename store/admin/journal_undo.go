package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"postroom/store"
)

// An UndoPlan says what undoing an entry would change back.
type UndoPlan struct {
	Entry      JournalEntry    `json:"entry"`
	Now        json.RawMessage `json:"now"`                  // what there is; null: nothing
	Then       json.RawMessage `json:"then"`                 // what there would be; null: nothing
	Recipients int64           `json:"recipients,omitempty"` // of the queue, that it would change
	Lost       string          `json:"lost,omitempty"`       // what doesn't come back, in a sentence
}

// An undoing is how the entries of one action are taken back.
type undoing struct {
	// plan says what would be changed back. It fails with an *Error where that can't be,
	// or where things have changed since.
	plan func(ctx context.Context, a *Admin, c store.Change) (UndoPlan, error)
	// do carries a plan out by the operations that a person would use. One of them, and
	// one only, leaves an entry.
	do func(ctx context.Context, a *Admin, c store.Change, plan UndoPlan) error
}

// PlanUndo returns what Undo would do.
func (a *Admin) PlanUndo(ctx context.Context, id store.ChangeID) (UndoPlan, error) {
	c, err := a.changeByID(ctx, id)
	if err != nil {
		return UndoPlan{}, err
	}
	return a.planUndo(ctx, c)
}

// Undo takes an entry back, and returns the entry that this leaves. Where things
// have changed since the entry it changes nothing, and says so in an *Error.
func (a *Admin) Undo(ctx context.Context, id store.ChangeID) (JournalEntry, error) {
	a.undoes.Lock() // so that nobody carries the same plan out twice
	defer a.undoes.Unlock()
	c, err := a.changeByID(ctx, id)
	if err != nil {
		return JournalEntry{}, err
	}
	plan, err := a.planUndo(ctx, c)
	if err != nil {
		return JournalEntry{}, err
	}
	if err := undoings[c.Action].do(taking(ctx, id), a, c, plan); err != nil {
		return JournalEntry{}, err
	}
	if c, err = a.changeByID(ctx, id); err != nil {
		return JournalEntry{}, err
	}
	if c.UndoneBy == 0 {
		return JournalEntry{}, conflict("There was nothing left to undo.")
	}
	if c, err = a.changeByID(ctx, c.UndoneBy); err != nil {
		return JournalEntry{}, err
	}
	return journalEntryOf(c), nil
}

func (a *Admin) planUndo(ctx context.Context, c store.Change) (UndoPlan, error) {
	if c.UndoneBy != 0 {
		return UndoPlan{}, conflict("This was undone already, by entry %d.", c.UndoneBy)
	}
	undo, ok := undoings[c.Action]
	if !ok {
		return UndoPlan{}, inUse("%s", whyNot(c.Action))
	}
	plan, err := undo.plan(ctx, a, c)
	plan.Entry = journalEntryOf(c)
	return plan, err
}

// A restorer takes back the changes of one kind of things, whose states the
// journal tells as a T.
type restorer[T any] struct {
	// now returns what there is of a subject; nil: nothing. like is what the entry
	// tells of it.
	now func(ctx context.Context, a *Admin, subject string, like T) (*T, error)
	// put makes what is (nil: nothing) what was (nil: nothing).
	put func(ctx context.Context, a *Admin, subject string, is, was *T) error
	// mayNot fails with an *Error where the journal doesn't know enough, or where
	// something else depends on what is. It may be nil.
	mayNot func(ctx context.Context, a *Admin, subject string, was *T) error
	// lost says what doesn't come back, in a sentence. It may be nil.
	lost func(was *T) string
}

// undoing returns r without its type.
func (r restorer[T]) undoing() undoing { return undoing{r.plan, r.do} }

func (r restorer[T]) plan(ctx context.Context, a *Admin, c store.Change) (plan UndoPlan, err error) {
	like, err := stateFrom[T](c.After + c.Before) // the first of them that there is
	if err != nil {
		return plan, err
	}
	now, err := r.now(ctx, a, c.Subject, *like)
	if err != nil {
		return plan, err
	}
	plan.Now = rawOf(valuesOf(now))
	if plan.Then, err = changedBack(c, plan.Now); err != nil {
		return plan, err
	}
	was, err := stateFrom[T](string(plan.Then))
	if err != nil {
		return plan, err
	}
	if r.mayNot != nil {
		if err := r.mayNot(ctx, a, c.Subject, was); err != nil {
			return plan, err
		}
	}
	if r.lost != nil {
		plan.Lost = r.lost(was)
	}
	return plan, nil
}

func (r restorer[T]) do(ctx context.Context, a *Admin, c store.Change, plan UndoPlan) error {
	is, err := stateFrom[T](string(plan.Now))
	if err != nil {
		return err
	}
	was, err := stateFrom[T](string(plan.Then))
	if err != nil {
		return err
	}
	return r.put(ctx, a, c.Subject, is, was)
}

// stateFrom reads the first object of a text, nil for none.
func stateFrom[T any](text string) (*T, error) {
	if text == "" {
		return nil, nil
	}
	state := new(T)
	if err := firstJSON(text, state); err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return state, nil
}

// changedBack returns what there will be once an entry is taken back, nil for
// nothing. What has changed since in other ways stays. It fails with an *Error if
// what the entry made isn't there any more.
func changedBack(c store.Change, now json.RawMessage) (json.RawMessage, error) {
	switch {
	case c.After == "" && now != nil:
		return nil, conflict("There is another one for %s by now. See the later entries about it.", c.Subject)
	case c.After != "" && now == nil:
		return nil, conflict("What this made of %s isn't there any more. See the later entries about it.", c.Subject)
	case c.After == "":
		return rawOf(c.Before), nil
	}
	before, err := valuesIn(c.Before)
	if err != nil {
		return nil, err
	}
	after, err := valuesIn(c.After)
	if err != nil {
		return nil, err
	}
	current, err := valuesIn(string(now))
	if err != nil {
		return nil, err
	}
	then := maps.Clone(current)
	for name := range union(before, after) {
		same := string(before[name]) == string(after[name])
		switch {
		case same && c.Before != "":
		case string(current[name]) != string(after[name]):
			return nil, conflict("%s has been changed since. See the later entries about it, and undo those first.", c.Subject)
		case before[name] == nil:
			delete(then, name)
		default:
			then[name] = before[name]
		}
	}
	if c.Before == "" {
		return nil, nil
	}
	return json.Marshal(then)
}

// valuesIn reads what an entry says by name; empty for nothing.
func valuesIn(text string) (map[string]json.RawMessage, error) {
	values := make(map[string]json.RawMessage)
	if text == "" {
		return values, nil
	}
	if err := firstJSON(text, &values); err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return values, nil
}

func union(a, b map[string]json.RawMessage) map[string]json.RawMessage {
	all := maps.Clone(b)
	maps.Copy(all, a)
	return all
}

// whyNot says why an action can't be undone.
func whyNot(action string) string {
	if reason, ok := notUndone[action]; ok {
		return reason
	}
	return "This kind of change can't be undone here. Change it back by hand, if it should be different."
}

func firstJSON(text string, into any) error {
	return json.NewDecoder(strings.NewReader(text)).Decode(into)
}
