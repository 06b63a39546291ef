package web

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"postroom/store"
	"postroom/store/zone"
	"postroom/web/phrase"
)

// Public returns the handler of what anybody may ask for, and nothing else: for the
// port that mail programs try without TLS.
func (s *Server) Public() http.Handler {
	p := newPages(s)
	mux := http.NewServeMux()
	p.handlePublic(mux)
	return p.protect(mux)
}

// A publicRoute is one thing that programs ask for.
type publicRoute struct {
	method, path string
	find         func(*http.Request) (publication, error)
}

// publicRoutes are what other servers and mail programs look for under our domains'
// names. They know no sessions. A request's Host is only looked up among our domains,
// nothing is ever made of it.
func (p *pages) publicRoutes() []publicRoute {
	routes := []publicRoute{
		{"GET", "/.well-known/mta-sts.txt", p.stsPolicy},
		{"GET", "/mail/config-v1.1.xml", p.autoconfig},
		{"GET", "/.well-known/autoconfig/mail/config-v1.1.xml", p.autoconfig},
		{"GET", "/apple.mobileconfig", p.appleProfile},
	}
	for _, path := range OutlookPaths {
		routes = append(routes, publicRoute{"GET", path, p.autodiscover}, publicRoute{"POST", path, p.autodiscover})
	}
	return routes
}

func (p *pages) handlePublic(mux *http.ServeMux) {
	for _, r := range p.publicRoutes() {
		mux.Handle(r.method+" "+r.path, p.public(r.find))
	}
}

// OutlookPaths are where Outlook's versions ask for settings: they don't agree on
// capitals.
var OutlookPaths = []string{"/autodiscover/autodiscover.xml", "/Autodiscover/Autodiscover.xml", "/AutoDiscover/AutoDiscover.xml"}

// A publication is what a public handler answers.
type publication struct {
	kind string // Content-Type
	text string
	file string // what to save it as; empty: it is read
}

// errNoPrograms says that mail programs can't both collect and send here.
var errNoPrograms = notPublished("no mail program can collect and send here")

// A notPublished is the reason why there is no such publication.
type notPublished string

// Error returns the reason.
func (e notPublished) Error() string { return string(e) }

// Is reports whether target is store.ErrNotFound.
func (e notPublished) Is(target error) bool { return target == store.ErrNotFound }

// public answers with a publication. Programs read it: they get no pages.
func (p *pages) public(find func(*http.Request) (publication, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found, err := find(r)
		switch {
		case errors.Is(err, store.ErrNotFound):
			http.Error(w, phrase.NoSuchFile, http.StatusNotFound)
		case err != nil:
			p.Log.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "err", err)
			http.Error(w, phrase.LaterAgain, http.StatusInternalServerError)
		default:
			found.head(w.Header())
			_, _ = io.WriteString(w, found.text) // fails only if nobody is there to read it
		}
	})
}

func (p publication) head(h http.Header) {
	h.Set("Content-Type", p.kind)
	if p.file != "" {
		h.Set("Content-Disposition", `attachment; filename="`+url.PathEscape(p.file)+`"`)
	}
}

// stsPolicy finds the MTA-STS policy of the domain in Host (RFC 8461 section 3.3).
func (p *pages) stsPolicy(r *http.Request) (publication, error) {
	domain, ok := strings.CutPrefix(hostOf(r), "mta-sts.")
	if !ok {
		return publication{}, store.ErrNotFound
	}
	policy, err := p.Admin.STSPolicy(r.Context(), domain)
	return publication{kind: "text/plain; charset=utf-8", text: policy.Text()}, err
}

// autoconfig finds the settings for mail programs of a domain's users: that of the
// address which the program names, else that of Host.
func (p *pages) autoconfig(r *http.Request) (publication, error) {
	host := hostOf(r)
	_, domain, _ := strings.Cut(r.URL.Query().Get("emailaddress"), "@")
	for _, domain := range []string{strings.ToLower(domain), strings.TrimPrefix(host, "autoconfig."), host} {
		server, err := p.mailServer(r.Context(), domain)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return publication{}, err
		}
		text, err := xml.MarshalIndent(newSettings(domain, server), "", "  ")
		return publication{kind: "text/xml; charset=utf-8", text: xml.Header + string(text) + "\n"}, err
	}
	return publication{}, store.ErrNotFound
}

func (p *pages) mailServer(ctx context.Context, domain string) (zone.Server, error) {
	if domain == "" {
		return zone.Server{}, store.ErrNotFound
	}
	return p.Admin.MailServer(ctx, domain)
}

// hostOf returns the name that a request is for, without its port.
func hostOf(r *http.Request) string {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
