package web

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"

	"postroom/store/admin"
	"postroom/web/phrase"
)

// route finds a route by what its row's links name.
func (p *pages) route(v *visit, domain, from string) (routeRow, error) {
	routes, err := p.Admin.Routes(v.r.Context())
	if err != nil {
		return routeRow{}, err
	}
	i := slices.IndexFunc(routes, func(r admin.Route) bool { return r.Domain == domain && r.From == from })
	if i < 0 {
		return routeRow{}, errGone("route")
	}
	return routeRowOf(routes[i]), nil
}

func (p *pages) showRouteChange(v *visit) error {
	query := v.r.URL.Query()
	r, err := p.route(v, query.Get("domain"), query.Get("from"))
	if err != nil {
		return err
	}
	host := r.Host
	if r.Port != 0 {
		host = net.JoinHostPort(r.Host, strconv.Itoa(r.Port))
	}
	return v.change(routeChange(r, admin.AddRoute{Host: host, User: r.User, TLS: r.TLS}), nil)
}

// routeChange is the form about a route, as it was typed.
func routeChange(r routeRow, typed admin.AddRoute) changePage {
	page := changePage{
		Title: fmt.Sprintf(phrase.ChangeRouteTitle, r.Name()), Back: "/routes", BackText: "Routes", Action: "/routes/change",
		About:  phrase.AtOnce,
		Hidden: []hiddenField{{"domain", r.Domain}, {"from", r.From}},
		Fields: []formField{
			{Name: "host", Label: "Goes to", Value: typed.Host, Placeholder: "smtp.example.net:587", Longest: 300, CannotBeNone: true, Help: phrase.RouteHostHelp},
			{Name: "user", Label: "User name", Hint: "empty: none", Value: typed.User, Longest: 500},
			{Name: "password", Label: "Password", Hint: "never shown again", Password: true, Longest: 1000},
			{Name: "tls", Label: "Encryption"},
		},
	}
	if r.Auth {
		page.Fields[2].Hint = "empty: the same as before, if the user is"
	}
	for _, c := range tlsChoices(typed.TLS) {
		page.Fields[3].Choices = append(page.Fields[3].Choices, choice{c.Value, c.Name + ": " + c.Text, c.Chosen})
	}
	return page
}

func (p *pages) changeRoute(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	r, err := p.route(v, v.field("domain"), v.field("from"))
	if err != nil {
		return err
	}
	typed := admin.AddRoute{Host: v.field("host"), User: v.field("user"), Password: v.field("password"), TLS: v.field("tls")}
	_, err = p.Admin.ChangeRoute(v.r.Context(), admin.ChangeRoute{
		Domain: r.Domain, From: r.From, Host: &typed.Host, User: &typed.User, Password: &typed.Password, TLS: &typed.TLS,
	})
	switch {
	case hasMistake(err):
		return v.change(routeChange(r, typed), err)
	case err != nil:
		return err
	}
	return v.done("/routes", phrase.RouteChanged)
}

// source finds a source address by what its row's links name.
func (p *pages) source(v *visit, ip, whose string) (admin.Source, error) {
	sources, err := p.Admin.Sources(v.r.Context())
	if err != nil {
		return admin.Source{}, err
	}
	i := slices.IndexFunc(sources, func(s admin.Source) bool { return s.IP == ip && s.For == whose })
	if i < 0 {
		return admin.Source{}, errGone("source address")
	}
	return sources[i], nil
}

func (p *pages) showSourceChange(v *visit) error {
	query := v.r.URL.Query()
	s, err := p.source(v, query.Get("ip"), query.Get("for"))
	if err != nil {
		return err
	}
	return v.change(p.sourceChange(s, s.Name), nil)
}

func (p *pages) sourceChange(s admin.Source, name string) changePage {
	return changePage{
		Title: fmt.Sprintf(phrase.SourceNameTitle, s.IP), Back: "/sources", BackText: "Source addresses", Action: "/sources/change",
		About:  fmt.Sprintf(phrase.SourceNameAbout, everybodyOr(s.For)),
		Hidden: []hiddenField{{"ip", s.IP}, {"for", s.For}},
		Fields: []formField{{
			Name: "name", Label: "Name", Hint: "empty: " + p.Hostname, Value: name, Placeholder: "out.example.org", Longest: 253,
			Help: phrase.SourceNameHelp,
		}},
	}
}

func (p *pages) changeSource(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	s, err := p.source(v, v.field("ip"), v.field("for"))
	if err != nil {
		return err
	}
	changed, err := p.Admin.ChangeSource(v.r.Context(), admin.ChangeSource{IP: s.IP, For: s.For, Name: v.field("name")})
	switch {
	case hasMistake(err):
		return v.change(p.sourceChange(s, v.field("name")), err)
	case err != nil:
		return err
	}
	name := changed.Name
	if name == "" {
		name = p.Hostname
	}
	return v.done("/sources", fmt.Sprintf(phrase.SourceNamed, changed.IP, name))
}

// changeURL is the page that changes what a row's links name.
func changeURL(path string, names url.Values) string { return path + "/change?" + names.Encode() }
