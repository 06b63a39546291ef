package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postroom/store"
)

// AddAccess asks for mail from somebody to be refused, or to be taken whatever
// the checks say.
type AddAccess struct {
	Action  string `json:"action"`            // block, allow
	What    string `json:"what"`              // an address or a network (CIDR), a domain with all below it, a mail address
	Note    string `json:"note,omitempty"`    // for the admin
	Expires string `json:"expires,omitempty"` // after how long the entry ends, such as "12h", "30d", "2w"; empty: never
}

// RemoveAccess names an entry by its list and by what AddAccess was given.
type RemoveAccess struct {
	Action string `json:"action"`
	What   string `json:"what"`
}

// An AccessEntry is one line of the admin's own lists, as it is shown.
type AccessEntry struct {
	What     string    `json:"what"`   // a network with its length, "192.0.2.1/32" as "192.0.2.1"; a domain, a mail address
	Action   string    `json:"action"` // block, allow
	Note     string    `json:"note"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires"`            // zero, in JSON null: never
	Replaced string    `json:"replaced,omitempty"` // the list that the same was in before: block, allow; only in the answer of AddAccess
}

// MarshalJSON writes e with null for an end that there isn't.
func (e AccessEntry) MarshalJSON() ([]byte, error) {
	type plain AccessEntry
	shown := struct {
		plain
		Expires *time.Time `json:"expires"`
	}{plain: plain(e)}
	if !e.Expires.IsZero() {
		shown.Expires = &e.Expires
	}
	return json.Marshal(shown)
}

var accessWords = map[store.AccessAction]string{store.Allow: "allow", store.Block: "block"}

// AddAccess adds to the admin's own lists, at once. It replaces the entry for the
// same, in the other list too.
func (a *Admin) AddAccess(ctx context.Context, request AddAccess) (AccessEntry, error) {
	e, err := a.parseAccess(request)
	if err != nil {
		return AccessEntry{}, err
	}
	before, err := a.setAccess(ctx, e)
	if err != nil {
		return AccessEntry{}, fmt.Errorf("%s %s: %w", accessWords[e.Action], e.What, err)
	}
	shown := accessEntryOf(e)
	shown.Replaced = accessWords[before.Action]
	return shown, nil
}

// ChangeAccess asks for an entry, which Action and What name as in RemoveAccess, to
// be different. What is nil stays as it is.
type ChangeAccess struct {
	Action  string  `json:"action"`
	What    string  `json:"what"`
	Note    *string `json:"note,omitempty"`
	Expires *string `json:"expires,omitempty"` // after how long from now it ends, as in AddAccess; empty: never
}

// ChangeAccess changes the note and the end of an entry.
func (a *Admin) ChangeAccess(ctx context.Context, request ChangeAccess) (AccessEntry, error) {
	action, err := parseAction(request.Action)
	if err != nil {
		return AccessEntry{}, err
	}
	what, err := parseWhat(request.What)
	if err != nil {
		return AccessEntry{}, err
	}
	change, err := a.parseAccessChange(request)
	if err != nil {
		return AccessEntry{}, err
	}
	was, err := a.access(ctx, what)
	if err != nil {
		return AccessEntry{}, err
	}
	is := was
	change.Apply(&is)
	noted := a.noting(ctx, "list.change", shownWhat(what), accessStateOf(was), accessStateOf(is))
	e, err := a.Store.ChangeAccess(noted, what, action, change)
	if errors.Is(err, store.ErrNotFound) {
		return AccessEntry{}, a.noAccess(ctx, what, action)
	}
	if err != nil {
		return AccessEntry{}, fmt.Errorf("change %s: %w", what, err)
	}
	change.Apply(&e)
	return accessEntryOf(e), nil
}

func (a *Admin) setAccess(ctx context.Context, e store.AccessEntry) (before store.AccessEntry, err error) {
	if before, err = a.access(ctx, e.What); err != nil {
		return before, err
	}
	noted := a.noting(ctx, "list."+accessWords[e.Action], shownWhat(e.What), accessStateOf(before), accessStateOf(e))
	return a.Store.SetAccess(noted, e)
}

// access returns the entry for something, the zero one if there is none.
func (a *Admin) access(ctx context.Context, what string) (store.AccessEntry, error) {
	entries, err := a.Store.AccessEntries(ctx)
	if err != nil {
		return store.AccessEntry{}, err
	}
	for _, e := range entries {
		if e.What == what && !e.Ended(a.Now()) {
			return e, nil
		}
	}
	return store.AccessEntry{}, nil
}

// AccessEntries returns one of the admin's lists, or with an empty action both:
// networks first, then domains, then mail addresses. What has ended isn't there.
func (a *Admin) AccessEntries(ctx context.Context, action string) ([]AccessEntry, error) {
	want, err := parseAction(action)
	if err != nil && action != "" {
		return nil, err
	}
	entries, err := a.Store.AccessEntries(ctx)
	if err != nil {
		return nil, err
	}
	var list []AccessEntry
	for _, e := range entries {
		if !e.Ended(a.Now()) && (action == "" || e.Action == want) {
			list = append(list, accessEntryOf(e))
		}
	}
	slices.SortStableFunc(list, func(x, y AccessEntry) int { return accessKind(x.What) - accessKind(y.What) })
	return list, nil
}

// accessKind sorts networks before domains before mail addresses.
func accessKind(what string) int {
	switch {
	case strings.Contains(what, "@"):
		return 2
	case isNetwork(what):
		return 0
	}
	return 1
}

// RemoveAccess removes an entry, at once.
func (a *Admin) RemoveAccess(ctx context.Context, request RemoveAccess) error {
	action, err := parseAction(request.Action)
	if err != nil {
		return err
	}
	what, err := parseWhat(request.What)
	if err != nil {
		return err
	}
	entry, err := a.access(ctx, what)
	if err != nil {
		return err
	}
	noted := a.noting(ctx, "list.remove", shownWhat(what), accessStateOf(entry), nil)
	err = a.Store.RemoveAccess(noted, what, action)
	if errors.Is(err, store.ErrNotFound) {
		return a.noAccess(ctx, what, action)
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", what, err)
	}
	return nil
}

// noAccess says that an entry isn't there, and whether it is in the other list.
func (a *Admin) noAccess(ctx context.Context, what string, action store.AccessAction) error {
	entries, err := a.Store.AccessEntries(ctx)
	if err != nil {
		return err
	}
	word, shown := accessWords[action], shownWhat(what)
	for _, e := range entries {
		if e.What == what {
			return notFound("%s is not in the %s list but in the %s list.", shown, word, accessWords[e.Action])
		}
	}
	return notFound("%s is not in the %s list.", shown, word)
}

func accessEntryOf(e store.AccessEntry) AccessEntry {
	return AccessEntry{What: shownWhat(e.What), Action: accessWords[e.Action], Note: e.Note, Created: e.Created, Expires: e.Expires}
}
