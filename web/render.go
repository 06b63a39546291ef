package web

import (
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"strings"
	"time"

	"postroom/store"
	"postroom/web/phrase"
)

//go:embed templates
var templateFiles embed.FS

// parse makes one template of each page: the layout and the shared pieces with
// the page's own "content".
func (p *pages) parse(files fs.FS) (map[string]*template.Template, error) {
	base, err := template.New("").Funcs(p.funcs()).ParseFS(files, "templates/layout.html", "templates/pieces*.html")
	if err != nil {
		return nil, fmt.Errorf("parse layout: %w", err)
	}
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	parsed := make(map[string]*template.Template)
	for _, name := range names {
		if strings.HasPrefix(path.Base(name), "pieces") {
			continue
		}
		page, err := base.Clone()
		if err != nil {
			return nil, err
		}
		if page, err = page.ParseFS(files, name); err != nil {
			return nil, fmt.Errorf("parse page: %w", err)
		}
		parsed[strings.TrimSuffix(path.Base(name), ".html")] = page
	}
	return parsed, nil
}

// funcs are the words that templates have besides their own struct's.
func (p *pages) funcs() template.FuncMap {
	return template.FuncMap{
		"asset":    p.assetURL,
		"moment":   func(at time.Time) moment { return newMoment(at, p.Now()) },
		"mailbox":  mailbox,
		"hostname": hostname,
		"whom":     whom,
		"octets":   phrase.Octets,
		"number":   phrase.Number,
		"plural":   phrase.Plural,
		"account":  accountURL,
		"alias":    aliasURL,
		"domain":   domainURL,
		"changes":  changesURL,
		"message":  messageURL,
		"searched": searchURL,
		"asked":    previewURL,
	}
}

// A navigation is a group of links that is on every page.
type navigation struct {
	Title string
	Links []link
}

type link struct{ Text, URL, Section string }

// sections is the navigation: later pages get their line here.
var sections = []navigation{
	{"Mail", []link{
		{"Overview", "/", "overview"},
		{"Messages", "/messages", "messages"},
		{"Queue", "/queue", "queue"},
		{"Delivery preview", "/preview", "preview"},
	}},
	{"Ways out", []link{
		{"Destinations", "/destinations", "destinations"},
		{"Routes", "/routes", "routes"},
		{"Source addresses", "/sources", "sources"},
	}},
	{"Directory", []link{
		{"Domains", "/domains", "domains"},
		{"Accounts", "/accounts", "accounts"},
		{"Aliases", "/aliases", "aliases"},
		{"Devices", "/devices", "devices"},
	}},
	{"Trust", []link{
		{"Block and allow", "/lists", "lists"},
		{"Limits", "/limits", "limits"},
		{"Check a mail", "/check", "check"},
	}},
	{"Server", []link{
		{"Certificate", "/certificate", "certificate"},
		{"Long work", "/long-work", "long-work"},
		{"Journal", "/journal", "journal"},
	}},
	{"You", []link{
		{"Your own page", "/me", "me"},
	}},
}

// ownSections is the navigation of who is no administrator: the pages that
// everybody has.
var ownSections = []navigation{
	{"Your account", []link{
		{"Your own page", "/me", "me"},
		{"Mail programs", "/me/programs", "me/programs"},
		{"Forwarding", "/me/forwarding", "me/forwarding"},
		{"Vacation notice", "/me/vacation", "me/vacation"},
		{"Limits", "/me/limits", "me/limits"},
	}},
	{"Signing in", []link{
		{"Password", "/me/password", "me/password"},
		{"App passwords", "/me/app-passwords", "me/app-passwords"},
		{"Second factor", "/me/two-factor", "me/two-factor"},
		{"Sessions", "/me/sessions", "me/sessions"},
		{"Logins", "/me/logins", "me/logins"},
	}},
}

func sectionsFor(a store.Account) []navigation {
	if a.Admin {
		return sections
	}
	return ownSections
}

// sectionFor names the entry of a's navigation that a path belongs to. Everybody's
// own pages are one entry of an administrator's.
func sectionFor(a store.Account, path string) string {
	if own, ok := strings.CutPrefix(path, "/me/"); ok && !a.Admin {
		return "me/" + own
	}
	return section(path)
}

// section names the part of the site that a path lies in.
func section(path string) string {
	if path == "/" {
		return "overview"
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return first
}
