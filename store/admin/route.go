package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postroom/store"
)

// AddRoute asks for mail to be led to a server that the admin has chosen.
type AddRoute struct {
	Domain   string `json:"domain"` // the recipients'; "*": all
	Host     string `json:"host"`   // HOST or HOST:PORT, the port being 25; "mx": where the domain's own MX records lead
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	TLS      string `json:"tls,omitempty"`  // none, may, must; empty: must with a user unless the host is this machine, else may
	From     string `json:"from,omitempty"` // an account's address or a sender's domain; empty: everybody's mail
}

// RemoveRoute names a route by what AddRoute was given.
type RemoveRoute struct {
	Domain string `json:"domain"`
	From   string `json:"from,omitempty"`
}

// A Route is one as it is shown. Its password is shown to nobody.
type Route struct {
	Domain  string    `json:"domain"`         // "*": all
	From    string    `json:"from,omitempty"` // empty: everybody's mail
	Host    string    `json:"host"`           // "mx": where the domain's own MX records lead
	Port    int       `json:"port,omitempty"` // 0 with "mx"
	TLS     string    `json:"tls"`            // none, may, must
	Auth    bool      `json:"auth"`
	User    string    `json:"user,omitempty"`
	Created time.Time `json:"created"`
}

// AddRoute adds a route. It takes effect at once, for mail that waits too.
func (a *Admin) AddRoute(ctx context.Context, request AddRoute) (Route, error) {
	route, err := parseRoute(request)
	if err != nil {
		return Route{}, err
	}
	if route.For, err = a.parseFor(ctx, request.From); err != nil {
		return Route{}, err
	}
	route.Created = a.Now()
	added, err := a.Store.AddRoute(ctx, route)
	switch {
	case errors.Is(err, store.ErrConflict):
		return Route{}, conflict("There is a route for %s already. Remove it first.", routeName(route.Domain, route.For))
	case errors.Is(err, store.ErrNotFound):
		return Route{}, notFound("There is no account %s.", route.For.Address)
	case err != nil:
		return Route{}, fmt.Errorf("add route: %w", err)
	}
	return routeOf(added), a.hasten(ctx, added)
}

// hasten has mail tried at once that waits where a new route may help: that is
// why routes are made.
func (a *Admin) hasten(ctx context.Context, route store.Route) error {
	filter := store.QueueFilter{Account: route.For.Account}
	if route.Domain != store.AnyDomain {
		filter.Domain = route.Domain
	}
	if _, err := a.Store.RetryQueue(ctx, filter); err != nil {
		return fmt.Errorf("retry what waits for the new route: %w", err)
	}
	return nil
}

// Routes returns all routes by domain, of one domain the narrowest first.
func (a *Admin) Routes(ctx context.Context) ([]Route, error) {
	routes, err := a.Store.Routes(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Route, len(routes))
	for i, route := range routes {
		list[i] = routeOf(route)
	}
	return list, nil
}

// RemoveRoute removes a route. Mail that waits goes on without it. Where it isn't
// said whose route is meant, that is everybody's, or else the only one there is.
func (a *Admin) RemoveRoute(ctx context.Context, request RemoveRoute) error {
	domain, err := parseRouteDomain(request.Domain)
	if err != nil {
		return err
	}
	whose, err := a.parseFor(ctx, request.From)
	if err != nil {
		return err
	}
	err = a.Store.RemoveRoute(ctx, domain, whose)
	switch {
	case errors.Is(err, store.ErrNotFound) && request.From == "":
		return a.removeOnly(ctx, domain)
	case errors.Is(err, store.ErrNotFound):
		return a.noRoute(ctx, domain, whose)
	case err != nil:
		return fmt.Errorf("remove route: %w", err)
	}
	return nil
}

// removeOnly removes the one route that there is for a domain.
func (a *Admin) removeOnly(ctx context.Context, domain string) error {
	routes, err := a.Store.Routes(ctx)
	if err != nil {
		return err
	}
	routes = slices.DeleteFunc(routes, func(r store.Route) bool { return r.Domain != domain })
	if len(routes) != 1 {
		return a.noRoute(ctx, domain, store.For{})
	}
	if err := a.Store.RemoveRoute(ctx, domain, routes[0].For); err != nil {
		return fmt.Errorf("remove route: %w", err)
	}
	return nil
}

// noRoute says that a route isn't there, and which ones for its domain are.
func (a *Admin) noRoute(ctx context.Context, domain string, whose store.For) error {
	routes, err := a.Store.Routes(ctx)
	if err != nil {
		return err
	}
	var others []string
	for _, route := range routes {
		if route.Domain == domain {
			others = append(others, routeName(domain, route.For))
		}
	}
	if len(others) == 0 {
		return notFound("There is no route for %s.", routeName(domain, whose))
	}
	return notFound("There is no route for %s. There is one for %s: say which one is meant.",
		routeName(domain, whose), strings.Join(others, ", and one for "))
}

func routeName(domain string, whose store.For) string {
	name := domain
	if domain == store.AnyDomain {
		name = "all domains (*)"
	}
	if from := forText(whose); from != "" {
		return name + " from " + from
	}
	return name
}

func routeOf(r store.Route) Route {
	host := r.Host
	if host == "" {
		host = byMX
	}
	return Route{
		Domain:  r.Domain,
		From:    forText(r.For),
		Host:    host,
		Port:    r.Port,
		TLS:     tlsWords[r.TLS],
		Auth:    r.User != "",
		User:    r.User,
		Created: r.Created,
	}
}

// parseFor reads whose mail a route or a source is for: an account's address, a
// domain, or nothing for everybody.
func (a *Admin) parseFor(ctx context.Context, text string) (store.For, error) {
	text = strings.TrimPrefix(strings.TrimSpace(text), "@")
	switch {
	case text == "":
		return store.For{}, nil
	case !strings.Contains(text, "@"):
		domain, err := parseDomain(text)
		return store.For{Domain: domain}, err
	}
	account, err := a.account(ctx, text)
	if err != nil {
		return store.For{}, err
	}
	return store.For{Account: account.ID, Address: account.Address.String()}, nil
}

func forText(f store.For) string {
	if f.Account != 0 {
		return f.Address
	}
	return f.Domain
}
