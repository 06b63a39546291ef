package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"

	"postroom/store/admin"
)

type routeCmd struct {
	Add    routeAdd    `cmd:"" group:"commands" help:"Lead mail to a server that you choose."`
	List   routeList   `cmd:"" group:"commands" help:"List the routes."`
	Change routeChange `cmd:"" group:"commands" help:"Change where a route leads, who logs in there, and how TLS is used."`
	Remove routeRemove `cmd:"" group:"commands" help:"Remove a route; what waits goes on without it."`
}

type routeAdd struct {
	Domain        string `arg:"" help:"Recipients' domain, such as example.net; * for all."`
	Server        string `arg:"" help:"HOST or HOST:PORT; “mx” for the domain's own servers, to say only how TLS is used."`
	User          string `placeholder:"USER" help:"Log in as this user. The password is asked for."`
	PasswordStdin bool   `help:"Read the password from standard input: one line."`
	TLS           string `name:"tls" enum:",none,may,must" default:"" placeholder:"POLICY" help:"none; may: if the server offers it; must: with a valid certificate, or the mail waits. Otherwise must with --user, else may."`
	From          string `placeholder:"WHOSE" help:"Only mail of this account (alice@example.org), or of senders in this domain (example.org)."`
}

// Help is shown by route add --help.
func (*routeAdd) Help() string {
	return "It takes effect at once, for mail that waits too. A route for a domain goes before one for all (*); among these, one for an account " +
		"goes before one for a sender's domain, and that before one for everybody. Without a route mail goes to the configured smarthost, " +
		"if there is one, else where the domain's MX records lead.\n\n" +
		"  postroom route add '*' smtp.example.net:587 --user me@example.net\n" +
		"  postroom route add example.net mx --tls must"
}

// Run adds a route.
func (c *routeAdd) Run(ctx context.Context, s *shell) error {
	password, err := c.password(s)
	if err != nil {
		return err
	}
	r, err := ask[admin.Route](ctx, s, "route/add", admin.AddRoute{
		Domain: c.Domain, Host: c.Server, User: c.User, Password: password, TLS: c.TLS, From: c.From,
	})
	if err == nil {
		fmt.Fprintf(s.out, "Mail for %s%s goes to %s%s.\n", domainText(r.Domain), fromText(r.From), serverText(r), mannerText(r))
	}
	return err
}

func (c *routeAdd) password(s *shell) (string, error) {
	switch {
	case c.User == "" && c.PasswordStdin:
		return "", usagef("--password-stdin: say which user the password is for: --user")
	case c.User == "":
		return "", nil
	case c.PasswordStdin:
		return readPasswordLine(s.in)
	}
	return s.askOnce("Password of " + c.User + " at " + c.Server + ": ")
}

type routeList struct{ listing }

// Run lists the routes.
func (c *routeList) Run(ctx context.Context, s *shell) error {
	list, err := ask[[]admin.Route](ctx, s, "route/list", nothing{})
	if err != nil {
		return err
	}
	return showList(s, c.listing, list, "No routes: mail goes where the MX records lead, or to the configured smarthost.", func(w io.Writer, list []admin.Route) {
		t := newTable(w, "MAIL FOR", "FROM", "GOES TO", "TLS", "USER")
		for _, r := range list {
			t.row(r.Domain, orAll(r.From), serverText(r), r.TLS, orNothing(r.User))
		}
		t.flush()
	})
}

type routeChange struct {
	Domain        string  `arg:"" help:"The recipients' domain, as it is listed."`
	Server        *string `arg:"" optional:"" help:"HOST or HOST:PORT; “mx” for the domain's own servers. Otherwise it stays the one it is."`
	User          *string `placeholder:"USER" help:"Log in as this user, '' for nobody. The password is asked for."`
	PasswordStdin bool    `help:"Read the password from standard input: one line. Without --user, it is a new one of the same user."`
	TLS           *string `name:"tls" enum:"none,may,must" placeholder:"POLICY" help:"none; may: if the server offers it; must: with a valid certificate, or the mail waits."`
	From          string  `placeholder:"WHOSE" help:"The account or the senders' domain that it is for."`
}

// Run changes a route.
func (c *routeChange) Run(ctx context.Context, s *shell) error {
	if c.Server == nil && c.User == nil && c.TLS == nil && !c.PasswordStdin {
		return usagef("say what is to be different: the server, --user, --password-stdin or --tls")
	}
	password, err := c.password(s)
	if err != nil {
		return err
	}
	r, err := ask[admin.Route](ctx, s, "route/change", admin.ChangeRoute{
		Domain: c.Domain, From: c.From, Host: c.Server, User: c.User, Password: password, TLS: c.TLS,
	})
	if err == nil {
		fmt.Fprintf(s.out, "Mail for %s%s goes to %s%s.\n", domainText(r.Domain), fromText(r.From), serverText(r), mannerText(r))
	}
	return err
}

// password returns the new password, nil if it stays the same.
func (c *routeChange) password(s *shell) (*string, error) {
	var password string
	var err error
	switch {
	case c.PasswordStdin:
		password, err = readPasswordLine(s.in)
	case c.User != nil && *c.User != "":
		password, err = s.askOnce("Password of " + *c.User + ": ")
	default:
		return nil, nil
	}
	return &password, err
}

type routeRemove struct {
	Domain string `arg:"" help:"The recipients' domain, as it is listed."`
	From   string `placeholder:"WHOSE" help:"The account or the senders' domain that it is for."`
}

// Run removes a route.
func (c *routeRemove) Run(ctx context.Context, s *shell) error {
	_, err := ask[nothing](ctx, s, "route/remove", admin.RemoveRoute{Domain: c.Domain, From: c.From})
	if err == nil {
		fmt.Fprintf(s.out, "Removed the route for %s%s.\n", domainText(c.Domain), fromText(c.From))
	}
	return err
}

func domainText(domain string) string {
	if domain == "*" {
		return "all domains"
	}
	return domain
}

func fromText(from string) string {
	if from == "" {
		return ""
	}
	return " from " + from
}

func orAll(whose string) string {
	if whose == "" {
		return "everybody"
	}
	return whose
}

func serverText(r admin.Route) string {
	if r.Port == 0 {
		return "its MX"
	}
	return net.JoinHostPort(r.Host, strconv.Itoa(r.Port))
}

func mannerText(r admin.Route) string {
	text := map[string]string{
		"none": ", never over TLS",
		"may":  ", over TLS if it can be had",
		"must": ", over TLS with a valid certificate only",
	}[r.TLS]
	if r.Auth {
		text += ", logged in as " + r.User
	}
	return text
}
