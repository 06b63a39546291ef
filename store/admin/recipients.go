package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"postroom/store"
	"postroom/store/mail"
)

// DomainRecipients are whom a backup domain is known to have.
type DomainRecipients struct {
	Domain     string   `json:"domain"`
	Any        bool     `json:"any"`        // mail for every address is taken
	Recipients []string `json:"recipients"` // addresses; mail for others, but for the postmaster's, is refused unless Any
}

// ChangeDomainRecipients asks for another list of a backup domain's recipients.
// They are given as addresses of the domain or as local parts.
type ChangeDomainRecipients struct {
	Name   string   `json:"name"`
	Set    []string `json:"set"` // the whole list; null leaves it
	Add    []string `json:"add,omitempty"`
	Remove []string `json:"remove,omitempty"`
	Any    bool     `json:"any,omitempty"` // drop the list: take mail for every address
}

// DomainRecipients returns whom a backup domain is known to have.
func (a *Admin) DomainRecipients(ctx context.Context, name string) (DomainRecipients, error) {
	name, err := parseDomain(name)
	if err != nil {
		return DomainRecipients{}, err
	}
	locals, err := a.Store.BackupRecipients(ctx, name)
	if err != nil {
		return DomainRecipients{}, a.recipientsError(ctx, name, err)
	}
	list := DomainRecipients{Domain: name, Any: locals == nil, Recipients: make([]string, len(locals))}
	for i, local := range locals {
		list.Recipients[i] = mail.Address{Local: local, Domain: name}.String()
	}
	return list, nil
}

// ChangeDomainRecipients changes whom a backup domain is known to have, and
// returns the new list. Mail that has been taken already stays.
func (a *Admin) ChangeDomainRecipients(ctx context.Context, request ChangeDomainRecipients) (DomainRecipients, error) {
	change, err := parseRecipientsChange(request)
	if err != nil {
		return DomainRecipients{}, err
	}
	if err := a.changeRecipients(ctx, change); err != nil {
		return DomainRecipients{}, err
	}
	return a.DomainRecipients(ctx, change.domain)
}

// A recipientsChange is a ChangeDomainRecipients with names as the store keeps
// them.
type recipientsChange struct {
	domain           string
	set, add, remove []string
	any              bool
}

func parseRecipientsChange(request ChangeDomainRecipients) (c recipientsChange, err error) {
	if c.domain, err = parseDomain(request.Name); err != nil {
		return c, err
	}
	c.any = request.Any
	piecemeal := len(request.Add)+len(request.Remove) > 0
	switch {
	case c.any && (request.Set != nil || piecemeal):
		return c, invalid("Either every address is taken, or those of a list. Ask for one of them.")
	case request.Set != nil && piecemeal:
		return c, invalid("Give the whole list, or what to add and to remove, but not both at once.")
	}
	if c.set, err = parseLocals(c.domain, request.Set); err != nil {
		return c, err
	}
	if c.add, err = parseLocals(c.domain, request.Add); err != nil {
		return c, err
	}
	c.remove, err = parseLocals(c.domain, request.Remove)
	return c, err
}

// parseLocals reads addresses of a domain, or local parts of it. Empty lines, as
// a file may have them, are passed over.
func parseLocals(domain string, texts []string) ([]string, error) {
	if texts == nil {
		return nil, nil
	}
	locals := []string{}
	for _, text := range texts {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		address, err := parseRecipient(domain, text)
		if err != nil {
			return nil, err
		}
		locals = append(locals, strings.ToLower(address.Local))
	}
	return locals, nil
}

func parseRecipient(domain, text string) (mail.Address, error) {
	if !strings.Contains(text, "@") {
		address, err := mail.ParseAddress(text + "@" + domain)
		if err != nil {
			return address, invalid("%q is not a mail address, nor what stands before its @.", text)
		}
		return address, nil
	}
	address, err := parseAddress(text)
	if err == nil && address.Domain != domain {
		err = invalid("%s is not an address of %s.", address, domain)
	}
	return address, err
}

// changeRecipients carries a change out, in one commit.
func (a *Admin) changeRecipients(ctx context.Context, c recipientsChange) error {
	had, err := a.Store.BackupRecipients(ctx, c.domain)
	if err != nil {
		return a.recipientsError(ctx, c.domain, err)
	}
	if err := c.checkRemove(had); err != nil {
		return err
	}
	wanted := c.apply(had)
	was, is := recipientsStates(had, wanted)
	ctx = a.noting(ctx, "domain.recipients", c.domain, was, is)
	switch {
	case c.set != nil, c.any, len(c.add) > 0 && len(c.remove) > 0:
		err = a.Store.SetBackupRecipients(ctx, c.domain, wanted)
	case len(c.remove) > 0:
		err = a.Store.RemoveBackupRecipients(ctx, c.domain, c.remove)
	case len(c.add) > 0:
		err = a.Store.AddBackupRecipients(ctx, c.domain, c.add)
	}
	return a.recipientsError(ctx, c.domain, err)
}

func (c recipientsChange) checkRemove(had []string) error {
	if had == nil && len(c.remove) > 0 {
		return invalid("%s has no list of recipients: mail for every address is taken. Set a list first.", c.domain)
	}
	for _, local := range c.remove {
		if _, found := slices.BinarySearch(had, local); !found {
			return notFound("%s is not among the recipients of %s.", mail.Address{Local: local, Domain: c.domain}, c.domain)
		}
	}
	return nil
}

// apply returns the list that the change makes of another one, in order; nil if
// every address is to be taken.
func (c recipientsChange) apply(had []string) []string {
	switch {
	case c.any:
		return nil
	case c.set != nil:
		return sortedOnce(c.set)
	}
	removed := sortedOnce(c.remove)
	kept := slices.DeleteFunc(slices.Clone(had), func(local string) bool {
		_, found := slices.BinarySearch(removed, local)
		return found
	})
	if had == nil && len(c.add) == 0 {
		return nil
	}
	return sortedOnce(append(kept, c.add...))
}

// sortedOnce returns a list in order, each of it once; never nil.
func sortedOnce(list []string) []string {
	sorted := append([]string{}, list...)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

// mostNoted is how many recipients an entry of the journal names.
const mostNoted = 1000

// recipientsStates returns what the journal says of two lists: how they differ.
func recipientsStates(had, wanted []string) (was, is recipientsState) {
	was, is = recipientsState{Any: had == nil, Count: len(had)}, recipientsState{Any: wanted == nil, Count: len(wanted)}
	was.Only, is.Only = notIn(had, wanted), notIn(wanted, had)
	if len(was.Only)+len(is.Only) > mostNoted {
		was.Only, is.Only, was.Many, is.Many = nil, nil, true, true
	}
	return was, is
}

// notIn returns what a list has and another one hasn't; both are in order.
func notIn(list, other []string) (only []string) {
	for _, local := range list {
		if _, found := slices.BinarySearch(other, local); !found {
			only = append(only, local)
		}
	}
	return only
}

// recipientsError says why a domain has no list of recipients.
func (a *Admin) recipientsError(ctx context.Context, name string, err error) error {
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("recipients of %s: %w", name, err)
	}
	domains, err := a.Store.Domains(ctx)
	if err != nil {
		return err
	}
	isHere := func(d store.Domain) bool { return d.Name == name }
	if i := slices.IndexFunc(domains, isHere); i >= 0 && !domains[i].Backup {
		return invalid("%s is not a backup domain: its recipients are its accounts and aliases.", name)
	}
	return noDomain(name)
}
