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

// changeRecipients carries a change out. The step that may fail comes first.
func (a *Admin) changeRecipients(ctx context.Context, c recipientsChange) error {
	if c.set != nil || c.any {
		return a.recipientsError(ctx, c.domain, a.Store.SetBackupRecipients(ctx, c.domain, c.set))
	}
	if len(c.remove) > 0 {
		if err := a.removeRecipients(ctx, c); err != nil {
			return err
		}
	}
	if len(c.add) == 0 {
		return nil
	}
	return a.recipientsError(ctx, c.domain, a.Store.AddBackupRecipients(ctx, c.domain, c.add))
}

func (a *Admin) removeRecipients(ctx context.Context, c recipientsChange) error {
	had, err := a.Store.BackupRecipients(ctx, c.domain)
	switch {
	case err != nil:
		return a.recipientsError(ctx, c.domain, err)
	case had == nil:
		return invalid("%s has no list of recipients: mail for every address is taken. Set a list first.", c.domain)
	}
	for _, local := range c.remove {
		if _, found := slices.BinarySearch(had, local); !found {
			return notFound("%s is not among the recipients of %s.", mail.Address{Local: local, Domain: c.domain}, c.domain)
		}
	}
	return a.recipientsError(ctx, c.domain, a.Store.RemoveBackupRecipients(ctx, c.domain, c.remove))
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
