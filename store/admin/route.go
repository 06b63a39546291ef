package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
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
	added, err := a.Store.AddRoute(a.noting(ctx, "route.add", routeSubject(route), nil, routeStateOf(route)), route)
	switch {
	case errors.Is(err, store.ErrConflict):
		return Route{}, conflict("There is a route for %s already. Change or remove it.", routeName(route.Domain, route.For))
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

// ChangeRoute asks for a route, which Domain and From name as in RemoveRoute, to be
// different. What is nil stays as it is.
type ChangeRoute struct {
	Domain   string  `json:"domain"`
	From     string  `json:"from,omitempty"`
	Host     *string `json:"host,omitempty"`     // as in AddRoute
	User     *string `json:"user,omitempty"`     // empty: nobody logs in any more
	Password *string `json:"password,omitempty"` // of a new User too
	TLS      *string `json:"tls,omitempty"`
}

// ChangeRoute changes where a route leads and how. It takes effect at once, for
// mail that waits too.
func (a *Admin) ChangeRoute(ctx context.Context, request ChangeRoute) (Route, error) {
	before, err := a.route(ctx, request.Domain, request.From)
	if err != nil {
		return Route{}, err
	}
	route, err := request.apply(before)
	if err != nil {
		return Route{}, err
	}
	was, is := routeStateOf(before), routeStateOf(route)
	if before.Password != "" && route.Password != "" && route.Password != before.Password {
		is.Password = "new"
	}
	noted := a.noting(ctx, "route.change", routeSubject(route), was, is)
	switch before, err = a.Store.ChangeRoute(noted, route); {
	case errors.Is(err, store.ErrNotFound):
		return Route{}, a.noRoute(ctx, route.Domain, route.For)
	case err != nil:
		return Route{}, fmt.Errorf("change route: %w", err)
	}
	route.ID, route.Created = before.ID, before.Created
	return routeOf(route), a.hasten(ctx, route)
}

// apply returns a route as it is to be.
func (r ChangeRoute) apply(before store.Route) (store.Route, error) {
	now := routeOf(before)
	asked := AddRoute{Domain: before.Domain, Host: serverOf(now), User: before.User, Password: before.Password, TLS: now.TLS}
	if r.Host != nil {
		asked.Host = *r.Host
	}
	if r.TLS != nil {
		asked.TLS = *r.TLS
	}
	if r.User != nil && *r.User != before.User {
		asked.User, asked.Password = *r.User, "" // a password belongs to its user
	}
	if r.Password != nil && *r.Password != "" {
		asked.Password = *r.Password
	}
	route, err := parseRoute(asked)
	route.For = before.For
	return route, err
}

// serverOf returns the host of a route with its port, as AddRoute takes it.
func serverOf(r Route) string {
	if r.Port == 0 {
		return r.Host
	}
	return net.JoinHostPort(r.Host, strconv.Itoa(r.Port))
}

// route finds the route for a domain and some senders. Where it isn't said whose is
// meant, that is everybody's, or else the only one there is.
func (a *Admin) route(ctx context.Context, domain, from string) (store.Route, error) {
	name, err := parseRouteDomain(domain)
	if err != nil {
		return store.Route{}, err
	}
	whose, err := a.parseFor(ctx, from)
	if err != nil {
		return store.Route{}, err
	}
	routes, err := a.Store.Routes(ctx)
	if err != nil {
		return store.Route{}, err
	}
	routes = slices.DeleteFunc(routes, func(r store.Route) bool { return r.Domain != name })
	i := slices.IndexFunc(routes, func(r store.Route) bool { return r.For == whose })
	switch {
	case i >= 0:
		return routes[i], nil
	case from == "" && len(routes) == 1:
		return routes[0], nil
	}
	return store.Route{}, a.noRoute(ctx, name, whose)
}

// RemoveRoute removes a route. Mail that waits goes on without it. Where it isn't
// said whose route is meant, that is everybody's, or else the only one there is.
func (a *Admin) RemoveRoute(ctx context.Context, request RemoveRoute) error {
	route, err := a.route(ctx, request.Domain, request.From)
	if err != nil {
		return err
	}
	noted := a.noting(ctx, "route.remove", routeSubject(route), routeStateOf(route), nil)
	err = a.Store.RemoveRoute(noted, route.Domain, route.For)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return a.noRoute(ctx, route.Domain, route.For)
	case err != nil:
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

// routeSubject is what the journal calls a route.
func routeSubject(r store.Route) string {
	if from := forText(r.For); from != "" {
		return r.Domain + " from " + from
	}
	return r.Domain
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
