package web

import (
	"fmt"
	"net"
	"net/url"
	"strconv"

	"postroom/store/admin"
	"postroom/web/phrase"
)

type routesPage struct {
	Routes  []routeRow
	List    listing
	Form    admin.AddRoute // without the password, which is never sent back
	TLS     []tlsChoice
	Mistake string
}

type routeRow struct {
	admin.Route
	ChangeURL string
	All       bool   // for every domain
	Server    string // host and port, empty for the domain's own
	TLSWords  string
	RemoveURL string
}

// A tlsChoice is one of the policies, explained.
type tlsChoice struct {
	Value, Name, Text string
	Chosen            bool
}

// tlsChoices are the policies that a route can have.
func tlsChoices(chosen string) []tlsChoice {
	choices := []tlsChoice{
		{"", "Fitting", phrase.EncryptedFitting, false},
		{"may", "If offered", phrase.EncryptedIfOffered, false},
		{"must", "Always", phrase.EncryptedAlways, false},
		{"none", "Never", phrase.EncryptedNever, false},
	}
	for i := range choices {
		choices[i].Chosen = choices[i].Value == chosen
	}
	return choices
}

// tlsName is the short name of a policy.
func tlsName(policy string) string {
	for _, c := range tlsChoices("") {
		if c.Value == policy {
			return c.Name
		}
	}
	return policy
}

func (p *pages) showRoutes(v *visit) error { return p.routesPage(v, admin.AddRoute{}, nil) }

func (p *pages) routesPage(v *visit, form admin.AddRoute, mistake error) error {
	routes, err := p.Admin.Routes(v.r.Context())
	if err != nil {
		return err
	}
	shown, list := part(v, routes, func(r admin.Route) string { return r.Domain + " " + r.From + " " + r.Host + " " + r.User })
	form.Password = ""
	page := routesPage{List: list, Form: form, TLS: tlsChoices(form.TLS)}
	for _, r := range shown {
		page.Routes = append(page.Routes, routeRowOf(r))
	}
	return v.showForm("routes", "Routes", &page, &page.Mistake, mistake)
}

func routeRowOf(r admin.Route) routeRow {
	row := routeRow{Route: r, All: r.Domain == "*", TLSWords: tlsName(r.TLS)}
	names := url.Values{"domain": {r.Domain}, "from": {r.From}}
	row.RemoveURL, row.ChangeURL = "/routes/remove?"+names.Encode(), changeURL("/routes", names)
	if r.Port != 0 {
		row.Server = net.JoinHostPort(r.Host, strconv.Itoa(r.Port))
	}
	return row
}

// Name says which mail a route is for.
func (r routeRow) Name() string {
	name := "mail for " + r.Domain
	if r.All {
		name = "all mail"
	}
	if r.From != "" {
		name += " from " + r.From
	}
	return name
}

func (p *pages) addRoute(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	form := admin.AddRoute{
		Domain: v.field("domain"), Host: v.field("host"), From: v.field("from"),
		User: v.field("user"), Password: v.field("password"), TLS: v.field("tls"),
	}
	added, err := p.Admin.AddRoute(v.r.Context(), form)
	switch {
	case hasMistake(err):
		return p.routesPage(v, form, err)
	case err != nil:
		return err
	}
	row := routeRowOf(added)
	where := "goes to " + row.Server
	if row.Server == "" {
		where = "goes to the servers that its MX records name, under this policy,"
	}
	return v.done("/routes", fmt.Sprintf(phrase.RouteTakes, row.Name(), where))
}

func (p *pages) confirmRoute(v *visit) error {
	query := v.r.URL.Query()
	r, err := p.route(v, query.Get("domain"), query.Get("from"))
	if err != nil {
		return err
	}
	return v.confirm(routeLoss(r))
}

// routeLoss says what the removal of a route changes.
func routeLoss(r routeRow) confirmPage {
	page := confirmPage{
		Title: fmt.Sprintf(phrase.RemoveRouteTitle, r.Name()), Back: "/routes", BackText: "Routes",
		Action: "/routes/remove", Button: "Remove the route", Hidden: []hiddenField{{"domain", r.Domain}, {"from", r.From}},
		Lost: []string{phrase.NextRoute},
	}
	if r.Auth {
		page.Lost = append(page.Lost, phrase.RoutePasswordForgotten)
	}
	return page
}

func (p *pages) removeRoute(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	request := admin.RemoveRoute{Domain: v.field("domain"), From: v.field("from")}
	if err := p.Admin.RemoveRoute(v.r.Context(), request); err != nil {
		return err
	}
	return v.done("/routes", phrase.RouteRemoved)
}
