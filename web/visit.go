package web

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"

	"github.com/alexedwards/scs/v2"

	"postroom/store"
	"postroom/store/admin"
)

// pages is a Server with what it needs to answer.
type pages struct {
	*Server
	sessions  *scs.SessionManager
	assets    map[string]asset
	templates map[string]*template.Template
}

// newPages makes everything that is made once. Files that are built in can't
// fail later, so they may fail here.
func newPages(s *Server) *pages {
	assets, err := loadAssets(assetFiles)
	if err != nil {
		panic(err)
	}
	p := &pages{Server: s, sessions: newSessions(s.Sessions), assets: assets}
	if p.templates, err = p.parse(templateFiles); err != nil {
		panic(err)
	}
	return p
}

// A handler answers a visit or returns the reason it could not. It writes
// nothing before it is sure to succeed: the methods of visit see to that.
type handler func(v *visit) error

// A visit is one request and what is known of who sent it.
type visit struct {
	*pages
	w    http.ResponseWriter
	r    *http.Request
	user *store.Account // who is signed in, nil if nobody is
	// refresh is after how many seconds the page is loaded again where there is no
	// script; 0: not by itself.
	refresh int
	// fresh: the session isn't kept yet under its token
	fresh bool
}

// sign has the journal say who asks for what the visit does.
func (v *visit) sign() {
	actor := admin.Actor{Via: admin.ViaWeb}
	if v.user != nil {
		actor.Name = v.user.Address.String()
	}
	if client := v.client(); client.IsValid() {
		actor.Client = client.String()
	}
	v.r = v.r.WithContext(admin.WithActor(v.r.Context(), actor))
}

// layout is what the frame of every page shows.
type layout struct {
	Title    string
	Sections []navigation
	Section  string // which entry of the navigation is the current one
	User     string // who is signed in, empty if nobody is
	Hostname string
	Version  string
	Notice   string // what the last request did, or empty
	Tone     string // of the notice: good or bad
	Body     any    // a page's own struct
	Refresh  int    // of visit
}

// show answers with a page. Its body is the struct that the template of that
// name was written for.
func (v *visit) show(name, title string, body any) error {
	return v.showAs(http.StatusOK, name, title, body)
}

func (v *visit) showAs(code int, name, title string, body any) error {
	l := v.layout(title, body)
	l.Notice, l.Tone = v.sessions.PopString(v.r.Context(), keyFlash), v.sessions.PopString(v.r.Context(), keyTone)
	page, err := v.render(name, l)
	if err != nil {
		return err
	}
	if err := v.save(); err != nil {
		return err
	}
	v.write(code, page)
	return nil
}

// layout returns the frame of a page for who is signed in.
func (v *visit) layout(title string, body any) layout {
	l := layout{Title: title, Hostname: v.Hostname, Version: v.Version, Body: body, Refresh: v.refresh}
	if v.user != nil {
		l.User, l.Sections, l.Section = v.user.Address.String(), sectionsFor(*v.user), sectionFor(*v.user, v.r.URL.Path)
	}
	return l
}

// showForm answers with a page that holds a form. A mistake in what was sent is
// told in front of it, through the page's field of that name.
func (v *visit) showForm(name, title string, page any, field *string, mistake error) error {
	if mistake == nil {
		return v.show(name, title, page)
	}
	var code int
	*field, code = mistakeOf(mistake)
	return v.showAs(code, name, title, page)
}

// render makes the whole page before any of it is sent.
func (p *pages) render(name string, l layout) (*bytes.Buffer, error) {
	var page bytes.Buffer
	if err := p.templates[name].ExecuteTemplate(&page, "layout", l); err != nil {
		return nil, fmt.Errorf("render %s: %w", name, err)
	}
	return &page, nil
}

func (v *visit) write(code int, page *bytes.Buffer) {
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(code)
	_, _ = page.WriteTo(v.w) // fails only if the browser has gone
}

// done answers a form that did its work: the browser is sent on to a page that
// begins with the notice, so that reloading it repeats nothing.
func (v *visit) done(to, notice string) error { return v.leave(to, notice, "good") }

// leave sends the browser on to a page that begins with the notice, if there is
// one.
func (v *visit) leave(to, notice, tone string) error {
	if notice != "" {
		v.sessions.Put(v.r.Context(), keyFlash, notice)
		v.sessions.Put(v.r.Context(), keyTone, tone)
	}
	if err := v.save(); err != nil {
		return err
	}
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

// toLogin asks a visitor to sign in first, and remembers which page was wanted.
func (v *visit) toLogin() error {
	to := "/login"
	if v.r.Method == http.MethodGet && v.r.URL.Path != "/" {
		to += "?next=" + url.QueryEscape(v.r.URL.RequestURI())
	}
	return v.done(to, "")
}

// field returns what a form's field holds. The form was read by form.
func (v *visit) field(name string) string { return v.r.PostFormValue(name) }

// form reads the form that was sent.
func (v *visit) form() error {
	var tooLarge *http.MaxBytesError
	err := v.r.ParseForm()
	if err == nil && isUpload(v.r) {
		err = v.r.ParseMultipartForm(maxUpload) // all of it in memory: bodies are bounded
	}
	if err == nil || errors.As(err, &tooLarge) {
		return err
	}
	return errBadForm
}
