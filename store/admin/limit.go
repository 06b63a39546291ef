package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"postroom/store"
)

// ServerName is what the server is called among those who have limits.
const ServerName = "server"

// SetLimit asks for limits of one's own. Each limit is a number, "none", or
// "default" for what the configuration says; an empty one stays as it is.
type SetLimit struct {
	Name              string `json:"name"` // an account's address, a domain, or "server"
	MessagesPerHour   string `json:"messages_per_hour,omitempty"`
	MessagesPerDay    string `json:"messages_per_day,omitempty"`
	RecipientsPerHour string `json:"recipients_per_hour,omitempty"`
	RecipientsPerDay  string `json:"recipients_per_day,omitempty"`
}

// Limits are how much somebody may send to other servers, and how much of that is
// left.
type Limits struct {
	Name              string `json:"name"`  // an account's address, a domain, or "server"
	Scope             string `json:"scope"` // account, domain, server
	MessagesPerHour   Limit  `json:"messages_per_hour"`
	MessagesPerDay    Limit  `json:"messages_per_day"`
	RecipientsPerHour Limit  `json:"recipients_per_hour"`
	RecipientsPerDay  Limit  `json:"recipients_per_day"`
	// Within are the wider limits in which the same mail counts: those of an
	// account's domain and of the server. Only of Admin.Limits.
	Within []Limits `json:"within,omitempty"`
}

// A Limit is one of them, over a sliding hour or a sliding day.
type Limit struct {
	Limit  *int64 `json:"limit"`  // nil: any number
	Source string `json:"source"` // own, configuration
	Used   int64  `json:"used"`   // within the hour or the day that ends now
	Left   *int64 `json:"left"`   // nil: any number
	// Frees is when more is left than now; zero if nothing is used, or if there is
	// no limit.
	Frees time.Time `json:"frees,omitzero"`
}

// nearPercent is how much of a limit has to be used for it to be listed.
const nearPercent = 50

// SetLimit gives an account, a domain or the server limits of its own. They take
// effect at once.
func (a *Admin) SetLimit(ctx context.Context, request SetLimit) (Limits, error) {
	owner, err := a.limitOwner(ctx, request.Name)
	if err != nil {
		return Limits{}, err
	}
	sending, err := a.Store.Sending(ctx, owner)
	if err != nil {
		return Limits{}, fmt.Errorf("find the limits of %s: %w", request.Name, err)
	}
	own := sending.Own
	if err := request.apply(&own); err != nil {
		return Limits{}, err
	}
	noted := a.noting(ctx, "limit.set", ownerName(owner, sending.Name), limitStateOf(sending.Own), limitStateOf(own))
	if err := a.Store.SetAllowance(noted, owner, own); err != nil {
		return Limits{}, fmt.Errorf("set the limits of %s: %w", request.Name, err)
	}
	return a.Limits(ctx, request.Name)
}

// apply puts what is asked for into an allowance.
func (r SetLimit) apply(own *store.Allowance) error {
	if r == (SetLimit{Name: r.Name}) {
		return invalid("Say which limit: messages or recipients, per hour or per day.")
	}
	for _, limit := range []struct {
		text string
		into *int64
	}{
		{r.MessagesPerHour, &own.MessagesPerHour},
		{r.MessagesPerDay, &own.MessagesPerDay},
		{r.RecipientsPerHour, &own.RecipientsPerHour},
		{r.RecipientsPerDay, &own.RecipientsPerDay},
	} {
		if err := parseLimit(limit.text, limit.into); err != nil {
			return err
		}
	}
	return nil
}

// mostLimit is a number that nobody reaches.
const mostLimit = 1_000_000_000

func parseLimit(text string, into *int64) error {
	switch text = strings.ToLower(strings.TrimSpace(text)); text {
	case "":
	case "none":
		*into = store.NoLimit
	case "default":
		*into = store.Unset
	case "0":
		return invalid("A limit of 0 isn't possible. Say none for any number; who is to send nothing can be disabled.")
	default:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 || n > mostLimit {
			return invalid(`%q is not a limit. It should be a number from 1 to %d, "none", or "default" for what the configuration says.`, text, mostLimit)
		}
		*into = n
	}
	return nil
}

// Limits returns the limits of an account, a domain or the server ("server"), and
// the wider ones that apply too.
func (a *Admin) Limits(ctx context.Context, name string) (Limits, error) {
	owner, err := a.limitOwner(ctx, name)
	if err != nil {
		return Limits{}, err
	}
	sending, err := a.Store.Sending(ctx, owner)
	if err != nil {
		return Limits{}, fmt.Errorf("find the limits of %s: %w", name, err)
	}
	limits, wider := limitsOf(sending), ServerName
	switch owner.Scope {
	case store.ServerScope:
		return limits, nil
	case store.AccountScope:
		wider = sending.Name[strings.LastIndexByte(sending.Name, '@')+1:]
	}
	next, err := a.Limits(ctx, wider)
	if err != nil {
		return Limits{}, err
	}
	limits.Within = append([]Limits{next}, next.Within...)
	limits.Within[0].Within = nil
	return limits, nil
}

// AllLimits returns the limits of the server, and of all domains and accounts
// that have limits of their own, or have used half or more of one.
func (a *Admin) AllLimits(ctx context.Context) ([]Limits, error) {
	sendings, err := a.Store.Sendings(ctx, nearPercent)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(sendings, func(s store.Sending) bool { return s.Owner.Scope == store.ServerScope }) {
		server, err := a.Store.Sending(ctx, store.Owner{Scope: store.ServerScope})
		if err != nil {
			return nil, err
		}
		sendings = slices.Insert(sendings, 0, server)
	}
	list := make([]Limits, len(sendings))
	for i, s := range sendings {
		list[i] = limitsOf(s)
	}
	return list, nil
}

// limitOwner finds whose limits a person names.
func (a *Admin) limitOwner(ctx context.Context, name string) (store.Owner, error) {
	name = strings.TrimPrefix(strings.TrimSpace(name), "@")
	switch {
	case strings.EqualFold(name, ServerName):
		return store.Owner{Scope: store.ServerScope}, nil
	case strings.Contains(name, "@"):
		account, err := a.account(ctx, name)
		return store.Owner{Scope: store.AccountScope, ID: int64(account.ID)}, err
	case name == "":
		return store.Owner{}, invalid("Say whose limits: an account's address, a domain, or server.")
	}
	domain, err := a.domain(ctx, name)
	return store.Owner{Scope: store.DomainScope, ID: int64(domain.ID)}, err
}

// domain finds a domain that can have accounts.
func (a *Admin) domain(ctx context.Context, text string) (store.Domain, error) {
	name, err := parseDomain(text)
	if err != nil {
		return store.Domain{}, err
	}
	domains, err := a.Store.Domains(ctx)
	if err != nil {
		return store.Domain{}, err
	}
	i := slices.IndexFunc(domains, func(d store.Domain) bool { return d.Name == name })
	switch {
	case i < 0:
		return store.Domain{}, noDomain(name)
	case domains[i].Backup:
		return store.Domain{}, invalid("%s is a backup domain: nobody sends from here in its name.", name)
	}
	return domains[i], nil
}

func limitsOf(s store.Sending) Limits {
	return Limits{
		Name:              ownerName(s.Owner, s.Name),
		Scope:             scopeWords[s.Owner.Scope],
		MessagesPerHour:   limitOf(s.Uses[0]),
		MessagesPerDay:    limitOf(s.Uses[1]),
		RecipientsPerHour: limitOf(s.Uses[2]),
		RecipientsPerDay:  limitOf(s.Uses[3]),
	}
}

func limitOf(u store.LimitUse) Limit {
	l := Limit{Source: "configuration", Used: u.Used, Frees: u.Frees}
	if u.Own {
		l.Source = "own"
	}
	if u.Most != store.NoLimit {
		most, left := u.Most, u.Left()
		l.Limit, l.Left = &most, &left
	}
	return l
}

var scopeWords = map[store.Scope]string{
	store.AccountScope: "account", store.DomainScope: "domain", store.ServerScope: "server",
}

func ownerName(owner store.Owner, name string) string {
	if owner.Scope == store.ServerScope {
		return ServerName
	}
	return name
}

// sendLimitNotices writes the mails that warn of limits.
func (a *Admin) sendLimitNotices(ctx context.Context) error {
	owed, err := a.Store.LimitNotices(ctx)
	if err != nil {
		return fmt.Errorf("find owed notices: %w", err)
	}
	var failed []error
	for _, n := range owed {
		name := ownerName(n.Owner, n.Name)
		if err := a.Store.Accept(ctx, a.limitNotice(n)); err != nil {
			failed = append(failed, fmt.Errorf("limit notice about %s: %w", name, err))
			continue
		}
		a.Log.Info("limit notice written", "about", name, "admins", n.Admins, "used", n.Use.Used, "limit", n.Use.Most)
	}
	return errors.Join(failed...)
}
