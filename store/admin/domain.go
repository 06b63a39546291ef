package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// AddDomain asks for a domain to be served.
type AddDomain struct {
	Name   string `json:"name"`
	Backup bool   `json:"backup"` // only hold its mail until its own server is up
}

// A Domain is one that is served.
type Domain struct {
	Name     string    `json:"name"`
	Backup   bool      `json:"backup"`
	Accounts int       `json:"accounts"`
	Aliases  int       `json:"aliases"`
	Created  time.Time `json:"created"`
	Listed   bool      `json:"listed,omitempty"` // of a backup domain: only known recipients are taken, see DomainRecipients
}

// AddDomain begins to serve a domain.
func (a *Admin) AddDomain(ctx context.Context, request AddDomain) (Domain, error) {
	name, err := parseDomain(request.Name)
	if err != nil {
		return Domain{}, err
	}
	added := store.Domain{Name: name, Backup: request.Backup, Created: a.Now()}
	d, err := a.Store.AddDomain(a.noting(ctx, "domain.add", name, nil, domainState{Backup: added.Backup}), added)
	if errors.Is(err, store.ErrConflict) {
		return Domain{}, conflict("The domain %s is here already.", name)
	}
	if err != nil {
		return Domain{}, fmt.Errorf("add domain %s: %w", name, err)
	}
	if !d.Backup && a.DomainAdded != nil {
		a.DomainAdded()
	}
	return Domain{Name: d.Name, Backup: d.Backup, Created: d.Created}, nil
}

// Domains returns all domains by name, with how much each has.
func (a *Admin) Domains(ctx context.Context) ([]Domain, error) {
	domains, err := a.Store.Domains(ctx)
	if err != nil {
		return nil, err
	}
	accounts, err := a.Store.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	aliases, err := a.Store.Aliases(ctx)
	if err != nil {
		return nil, err
	}
	accountsOf, aliasesOf := make(map[string]int), make(map[string]int)
	for _, account := range accounts {
		accountsOf[account.Address.Domain]++
	}
	for _, alias := range aliases {
		aliasesOf[alias.Source.Domain]++
	}
	list := make([]Domain, len(domains))
	for i, d := range domains {
		list[i] = Domain{d.Name, d.Backup, accountsOf[d.Name], aliasesOf[d.Name], d.Created, d.Listed}
	}
	return list, nil
}

// RemoveDomain stops serving a domain, which must have no accounts and no aliases
// left.
func (a *Admin) RemoveDomain(ctx context.Context, name string) error {
	name, err := parseDomain(name)
	if err != nil {
		return err
	}
	was, err := a.domainState(ctx, name)
	if err != nil {
		return err
	}
	err = a.Store.RemoveDomain(a.noting(ctx, "domain.remove", name, was, nil), name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return notFound("There is no domain %s here.", name)
	case errors.Is(err, store.ErrInUse):
		return a.domainInUse(ctx, name)
	case err != nil:
		return fmt.Errorf("remove domain %s: %w", name, err)
	}
	a.forgetLook(name)
	return a.Store.Clear(ctx, dnsConcern+name)
}

// domainState returns what the journal says of a domain, nil if it isn't here.
func (a *Admin) domainState(ctx context.Context, name string) (*domainState, error) {
	domains, err := a.Store.Domains(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(domains, func(d store.Domain) bool { return d.Name == name })
	if i < 0 {
		return nil, nil
	}
	state := domainState{Backup: domains[i].Backup}
	if domains[i].Listed {
		locals, err := a.Store.BackupRecipients(ctx, name)
		if err != nil {
			return nil, err
		}
		state.Recipients = new(len(locals))
	}
	return &state, nil
}

func (a *Admin) domainInUse(ctx context.Context, name string) error {
	domains, err := a.Domains(ctx)
	if err != nil {
		return err
	}
	for _, d := range domains {
		if d.Name == name {
			return inUse("The domain %s still has %s and %s. Remove them first.",
				name, count(d.Accounts, "account", "accounts"), count(d.Aliases, "alias", "aliases"))
		}
	}
	return noDomain(name)
}

func noDomain(name string) error {
	return notFound("There is no domain %s here. Add the domain first, or check its spelling.", name)
}

func parseDomain(s string) (string, error) {
	s = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(s), "@"), ".")
	name, err := mail.ParseDomain(s)
	if err != nil {
		return "", invalid("%q is not a domain name. It should look like example.org.", s)
	}
	return name, nil
}

// parseDestination reads a domain that mail is sent to, which may also be an
// address-literal (RFC 5321 4.1.3).
func parseDestination(s string) (string, error) {
	if s := strings.TrimSpace(s); strings.HasPrefix(s, "[") {
		if a, err := mail.ParseAddress("x@" + s); err == nil {
			return a.Domain, nil
		}
	}
	return parseDomain(s)
}

// parseAddress reads an address as a person writes it.
func parseAddress(s string) (mail.Address, error) {
	s = strings.TrimSpace(s)
	s = strings.TrimSuffix(strings.TrimPrefix(s, "<"), ">")
	address, err := mail.ParseAddress(s)
	if err != nil {
		return mail.Address{}, invalid("%q is not a mail address. It should look like alice@example.org.", s)
	}
	return address, nil
}

// count returns a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
