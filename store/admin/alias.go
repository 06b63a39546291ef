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

// NewAlias asks for an alias. The source @example.org is the catch-all of
// example.org.
type NewAlias struct {
	Source  string   `json:"source"`
	Targets []string `json:"targets"`
	// Strict refuses what is doubtful: the Error is of that kind and has the
	// warnings.
	Strict bool `json:"strict,omitempty"`
}

// An Alias leads from one address to others.
type Alias struct {
	Source  string    `json:"source"`
	Targets []string  `json:"targets"`
	Created time.Time `json:"created"`
	// Problems are what is wrong with where it leads, in sentences; of an alias that
	// was just saved also what should be known about it. Aliases leaves them out.
	Problems []string `json:"problems,omitempty"`
}

// AddAlias makes an alias.
func (a *Admin) AddAlias(ctx context.Context, request NewAlias) (Alias, error) {
	alias, err := parseAlias(request)
	if err != nil {
		return Alias{}, err
	}
	if err := a.mustBeLocal(ctx, alias.Source.Domain); err != nil {
		return Alias{}, err
	}
	alias.Created, alias.Source.Local = a.Now(), strings.ToLower(alias.Source.Local) // as it is kept
	warnings, err := a.warnings(ctx, alias, request.Strict)
	if err != nil {
		return Alias{}, err
	}
	err = a.Store.AddAlias(a.noting(ctx, "alias.add", sourceText(alias.Source), nil, aliasStateOf(alias)), alias)
	switch {
	case errors.Is(err, store.ErrLoop):
		return Alias{}, a.aliasLoop(alias, err)
	case errors.Is(err, store.ErrConflict):
		return Alias{}, a.addressTaken(ctx, alias.Source)
	case errors.Is(err, store.ErrNotFound):
		return Alias{}, noDomain(alias.Source.Domain)
	case err != nil:
		return Alias{}, fmt.Errorf("add alias %s: %w", sourceText(alias.Source), err)
	}
	added := aliasOf(alias)
	added.Problems = warnings
	return added, nil
}

// Aliases returns all aliases by domain and name.
func (a *Admin) Aliases(ctx context.Context) ([]Alias, error) {
	aliases, err := a.Store.Aliases(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Alias, len(aliases))
	for i, alias := range aliases {
		list[i] = aliasOf(alias)
	}
	return list, nil
}

// RemoveAlias removes an alias and returns it as it was.
func (a *Admin) RemoveAlias(ctx context.Context, text string) (Alias, error) {
	source, err := parseSource(text)
	if err != nil {
		return Alias{}, err
	}
	alias, err := a.alias(ctx, source)
	if err != nil {
		return Alias{}, err
	}
	noted := a.noting(ctx, "alias.remove", sourceText(alias.Source), aliasStateOf(alias), nil)
	err = a.Store.RemoveAlias(noted, source)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Alias{}, noAlias(source)
	case err != nil:
		return Alias{}, fmt.Errorf("remove alias %s: %w", sourceText(source), err)
	}
	return aliasOf(alias), nil
}

// alias finds an alias.
func (a *Admin) alias(ctx context.Context, source mail.Address) (store.Alias, error) {
	alias, err := a.Store.Alias(ctx, source)
	if errors.Is(err, store.ErrNotFound) {
		return store.Alias{}, noAlias(source)
	}
	return alias, err
}

func noAlias(source mail.Address) error {
	return notFound("There is no alias %s.", sourceText(source))
}

// Alias returns one alias.
func (a *Admin) Alias(ctx context.Context, text string) (Alias, error) {
	source, err := parseSource(text)
	if err != nil {
		return Alias{}, err
	}
	alias, err := a.alias(ctx, source)
	if err != nil {
		return Alias{}, err
	}
	return aliasOf(alias), nil
}

// AliasesTo returns the sources of the aliases that name an address themselves.
func (a *Admin) AliasesTo(ctx context.Context, text string) ([]string, error) {
	address, err := parseAddress(text)
	if err != nil {
		return nil, err
	}
	return a.leadingTo(ctx, address)
}

// leadingTo returns the sources of the aliases that name an address themselves.
func (a *Admin) leadingTo(ctx context.Context, address mail.Address) ([]string, error) {
	aliases, err := a.Store.AliasesTo(ctx, address)
	if err != nil {
		return nil, err
	}
	sources := []string{}
	for _, alias := range aliases {
		sources = append(sources, sourceText(alias.Source))
	}
	return sources, nil
}

// addressTaken says what it is that has an address already.
func (a *Admin) addressTaken(ctx context.Context, address mail.Address) error {
	_, err := a.Store.AccountByAddress(ctx, address)
	switch {
	case err == nil:
		return conflict("There is an account %s already.", address)
	case errors.Is(err, store.ErrNotFound):
		return conflict("There is an alias %s already. Remove it first if it should become something else.", sourceText(address))
	}
	return err
}

// mustBeLocal returns an Error unless mail for the domain ends here.
func (a *Admin) mustBeLocal(ctx context.Context, name string) error {
	domains, err := a.Store.Domains(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(domains, func(d store.Domain) bool { return d.Name == name })
	switch {
	case i < 0:
		return noDomain(name)
	case domains[i].Backup:
		return invalid("%s is a backup domain: its mail is only held here for its own server, so it has no accounts and no aliases.", name)
	}
	return nil
}

func parseAlias(request NewAlias) (store.Alias, error) {
	source, err := parseSource(request.Source)
	if err != nil {
		return store.Alias{}, err
	}
	if len(request.Targets) == 0 {
		return store.Alias{}, invalid("An alias needs at least one address that it leads to.")
	}
	targets, err := parseTargets(request.Targets)
	if err != nil {
		return store.Alias{}, err
	}
	return store.Alias{Source: source, Targets: targets}, nil
}

// parseSource reads an address, or a catch-all: "@example.org".
func parseSource(text string) (mail.Address, error) {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "@") {
		return parseAddress(text)
	}
	domain, err := parseDomain(text)
	return mail.Address{Domain: domain}, err
}

// sourceText is the inverse of parseSource.
func sourceText(source mail.Address) string {
	if source.Local == "" {
		return "@" + source.Domain
	}
	return source.String()
}

func aliasOf(alias store.Alias) Alias {
	return Alias{Source: sourceText(alias.Source), Targets: addressTexts(alias.Targets), Created: alias.Created}
}
