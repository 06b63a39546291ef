package admin

import (
	"context"
	"encoding/json"
	"fmt"

	"postroom/store"
)

// noting returns a context for the one call of the store that carries an operation
// out. The entry in the journal is committed together with it.
//
// The action is a fixed word, "alias.add". Before and after are what there was and
// is now of what the subject names, as structs that make small JSON objects of plain
// values; nil: nothing. Nothing secret is in them: of a password only that there is
// one. Where both are equal nothing changes, and there is no entry.
//
// Every operation that changes something calls it, and stands in the table of
// TestEveryChangeIsInTheJournal. How one is taken back stands in undoings.
func (a *Admin) noting(ctx context.Context, action, subject string, before, after any) context.Context {
	was, is := valuesOf(before), valuesOf(after)
	if was == is && was != "" {
		return ctx
	}
	return store.WithChange(ctx, a.change(ctx, action, subject, was, is))
}

// notingMany is noting for a change of many items of the queue: which ones is said
// by after, and how many is counted. If it is none there is no entry.
func (a *Admin) notingMany(ctx context.Context, action, subject string, before, after any) context.Context {
	c := a.change(ctx, action, subject, valuesOf(before), valuesOf(after))
	c.Counts = true
	return store.WithChange(ctx, c)
}

func (a *Admin) change(ctx context.Context, action, subject, before, after string) *store.Change {
	actor := ActorOf(ctx)
	return &store.Change{
		At: a.Now(), Who: actor.Name, Via: actor.Via, Client: actor.Client,
		Action: action, Subject: subject, Before: before, After: after, Undoes: undoneOf(ctx),
	}
}

// valuesOf writes what an entry says as JSON; empty for nothing.
func valuesOf(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Errorf("journal: %T is no plain values: %w", v, err))
	}
	if string(text) == "null" {
		return ""
	}
	return string(text)
}

type undoneKey struct{}

// taking returns a context for the operation that takes an entry back: its own
// entry says so.
func taking(ctx context.Context, id store.ChangeID) context.Context {
	return context.WithValue(ctx, undoneKey{}, id)
}

func undoneOf(ctx context.Context) store.ChangeID {
	id, _ := ctx.Value(undoneKey{}).(store.ChangeID)
	return id
}
