package web

import (
	"context"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
	"postroom/store/mail"
)

// markup ends whatever a text may stand in, and begins an element and an attribute
// that none of our pages has. A browser that takes it for anything but text makes
// them.
const markup = `--></script></textarea></title><xss-element>"' xss-attribute='1' xss-other="2`

// hostileTexts are what a visitor's browser may be made to send.
var hostileTexts = map[string]string{
	"markup":                markup,
	"a script's address":    "javascript:xss()",
	"another header":        "x\r\nXss-Header: 1\r\n\r\n<xss-element>",
	"another host":          "//evil.example/xss",
	"another host, odd":     `/\evil.example/xss`,
	"another host, escaped": "/%2f%2fevil.example/xss",
	"another host, tabbed":  "/\t/evil.example/xss",
	"another scheme":        "https:evil.example/xss",
	"another user":          "http://mail.example.org@evil.example/xss",
	"a way up":              "../../../../etc/passwd",
	"a way up, escaped":     "..%2f..%2fetc%2fpasswd",
	"nothing that is text":  "\x00\xff\xfe\u202e",
	"a quoted local part":   `"/..//%2e%2e/?#<xss-element> \" xss-attribute=1"@evil.example`,
	"much":                  strings.Repeat("<xss-element>", 400),
}

// hostileLife is a life in which all that strangers, users and administrators can
// write is the text.
func (s *site) hostileLife(text string) {
	s.t.Helper()
	ctx := s.t.Context()
	hostile := mail.Address{Local: `/..//%2e/?#<xss-element>'" xss-attribute=1 x="`, Domain: "evil.example"}
	s.account(admin.NewAccount{Address: "victim@example.org", Name: text, Quota: 5000})
	s.account(admin.NewAccount{Address: `"/..//%2e?#<xss-element>' xss-attribute=1"@example.org`, Name: text})
	s.alias("odd@example.org", hostile.String())
	s.alias(`"<xss-element>/..?#' xss-attribute=1"@example.org`, hostile.String())
	_, err := s.admin.AddAppPassword(ctx, "victim@example.org", text)
	s.must(err)
	a := s.message("x@evil.example", 100)
	a.Envelope.Sender = hostile
	a.HeaderID = text
	a.Accepted = store.Event{
		Client: text, Helo: text, Protocol: text, TLS: text, Account: text, Reply: text, Reason: text,
		Checks: []store.CheckResult{{Check: text, Result: text, Detail: text}, {Check: "spf", Result: "pass", Detail: text}},
	}
	a.Local = []store.LocalDelivery{{Account: s.accountID("victim@example.org"), Recipient: hostile}}
	a.Outbound = []store.Outbound{{Sender: hostile, Recipient: mail.Recipient{Address: hostile}, Via: hostile}}
	s.must(s.store.Accept(ctx, a))
	s.hostileWays(text)
	s.hostileTrust(text, hostile)
	s.hostilePeople(text, hostile)
	s.must(s.store.Raise(ctx, store.Concern{Key: text, Text: text, Cure: "/lists"})) // the way to a cure is always ours
	s.store.Refused(store.Refusal{ID: s.store.NewMessageID(), From: text, To: []string{text}, Events: []store.Event{{
		Time: s.now(), Kind: store.Rejected, Recipient: text, Client: text, Helo: text, Protocol: text, Reply: text, Reason: text,
	}}})
	next := s.now().Add(time.Hour)
	s.round(func(store.QueueItem) store.Outcome {
		return store.Outcome{Result: store.Deferred, Retry: next, Reply: text, Events: []store.Event{
			{Time: s.now(), Kind: store.Kind(text), Recipient: text, Host: text, IP: text, TLS: text, Outcome: text, Reply: text, Reason: text},
			{Time: s.now(), Kind: store.Attempt, Recipient: text, Host: text, Certificate: "not trusted: " + text + " (" + text + ")", Source: text, Via: text, Reason: text, Signed: text},
			{Time: s.now(), Kind: store.Reported, Recipient: text, Outcome: text, Reason: text},
			{Time: s.now(), Kind: store.Bounced, Recipient: text, Reason: text},
		}}
	})
}

// hostilePeople has users make of their accounts what carries the text, sign in with
// programs that are called by it, and changes made by somebody of that name.
func (s *site) hostilePeople(text string, hostile mail.Address) {
	s.t.Helper()
	ctx := admin.WithActor(s.t.Context(), admin.Actor{Name: text, Via: text, Client: text})
	for _, address := range []string{boss, "victim@example.org"} {
		_, err := s.admin.SetForward(ctx, admin.SetForward{Address: address, Targets: []string{hostile.String()}, Keep: true})
		s.must(err)
		_, err = s.admin.SetVacation(ctx, admin.SetVacation{Address: address, On: true, Subject: text, Text: text})
		s.must(err)
		_, err = s.admin.AddSender(ctx, admin.SenderRight{Address: address, Sender: `"<xss-element>/..?#' xss-attribute=1"@example.org`})
		s.must(err)
		s.note(address, text, "203.0.113.7", text)
		s.store.NoteFailedLogin(store.Login{Account: s.accountID(address), Protocol: text, At: s.now(), Client: netip.MustParseAddr("203.0.113.8")})
	}
	s.admin.Previews = hostilePreviewer{previewer{s}, text}
	for range 2 { // one is ended, which the journal tells
		b := s.browser()
		b.header.Set("User-Agent", text)
		if a := b.post("/login", "username", boss, "password", bossPassword); a.code != http.StatusSeeOther {
			s.t.Fatalf("signing in was answered %d", a.code)
		}
	}
	sessions, err := s.admin.Sessions(ctx, boss)
	s.must(err)
	s.must(s.admin.EndSession(ctx, boss, sessions[0].ID))
}

// A hostilePreviewer finds servers on the way that strangers have named.
type hostilePreviewer struct {
	previewer
	text string
}

func (h hostilePreviewer) Rehearse(ctx context.Context, r admin.Rehearsal) (admin.Rehearsed, error) {
	done, err := h.previewer.Rehearse(ctx, r)
	done.Reply, done.Explained = done.Reply+h.text, []string{h.text}
	done.Checks = []store.CheckResult{{Check: h.text, Result: h.text, Detail: h.text}}
	return done, err
}

func (h hostilePreviewer) Outlook(_ context.Context, lane store.Lane) (admin.PreviewWay, error) {
	return admin.PreviewWay{
		Domain: h.text, Destination: lane.Domain + h.text, By: "mx", Problem: h.text,
		Sources: []admin.PreviewSource{{IP: h.text, Name: h.text}},
		Hosts: []admin.PreviewHost{
			{Name: h.text, Problem: h.text},
			{Name: h.text, Addresses: []admin.PreviewAddress{{IP: h.text, TLS: "must", Why: h.text, Note: h.text, Problem: h.text}}},
		},
	}, nil
}

// hostilePages are those that must show the text, or the test would show nothing of
// them.
var hostilePages = []string{
	"/{$}", "/concerns", "/messages", "/messages/{id}", "/queue", "/destinations", "/routes", "/lists",
	"/accounts", "/accounts/{address}", "/aliases", "/journal", "/journal/{id}", "/journal/{id}/undo", "/certificate",
	"/me/forwarding", "/me/vacation", "/me/logins",
}

// TestWhatOthersWriteStaysText walks over all pages of a site on which everything
// that somebody could write is hostile, sends each of their forms with hostile
// texts in all fields, and asks each route for hostile names and queries: no page
// has an element, an attribute, a link or a header that came with the text, and
// none leads to another host.
func TestWhatOthersWriteStaysText(t *testing.T) {
	s := newSite(t)
	s.exemplary()
	s.hostileLife(markup)
	p := newSpider(t, s, s.signedIn())
	start := []string{"/"}
	for _, d := range s.doors() {
		start = append(start, d.path)
	}
	p.crawl(start...)
	if len(p.seen) < len(start) || len(p.forms) < 30 {
		t.Fatalf("only %d pages and %d forms were found", len(p.seen), len(p.forms))
	}
	for _, page := range hostilePages {
		if !p.hostile["GET "+page] {
			t.Errorf("no hostile text stands on %s", page)
		}
	}
	for _, to := range []string{"odd@example.org", "victim@example.org", boss} {
		a := p.b.post("/preview", "from", "victim@example.org", "as", "victim@example.org", "to", to)
		a.has(t, http.StatusOK, "xss-attribute")
		p.judge("the way of mail to "+to, a)
	}
	p.askForHostile()
	for _, key := range slices.Sorted(maps.Keys(p.forms)) {
		f := p.forms[key]
		if f.action == "/logout" {
			continue
		}
		for what, text := range hostileTexts {
			p.try(f, what, f.with(text, f.typed))
		}
		for _, what := range []string{"markup", "another header", "another host", "another host, odd", "another scheme"} {
			p.try(f, what, f.with(hostileTexts[what], append(slices.Clone(f.hidden), f.typed...)))
		}
	}
	p.returnIfGone()
	for path := range p.seen { // what the forms left behind
		p.judge(path, p.b.get(path))
	}
}

// try sends a form and judges the answer. Some forms end the session, or change the
// password that it began with.
func (p *spider) try(f form, what string, values url.Values) {
	p.t.Helper()
	a := p.send(f, values)
	p.judge("the form "+f.action+" on "+f.page+" with "+what, a)
	if strings.HasPrefix(a.location, "/login") || a.code == http.StatusOK {
		p.returnIfGone()
	}
}

// askForHostile asks each route for hostile names, with hostile queries.
func (p *spider) askForHostile() {
	for _, r := range newPages(p.s.server).routes() {
		if r.method != http.MethodGet {
			continue
		}
		for what, text := range hostileTexts {
			query := make(url.Values)
			for word := range p.words {
				query.Set(word, text)
			}
			own, _, _ := strings.Cut(r.example(p.s), "?")
			p.judge(r.path+" asked for "+what, p.b.get(own+"?"+query.Encode()))
			named := strings.TrimSuffix(r.path, "{$}")
			if begin, end := strings.Index(named, "{"), strings.Index(named, "}"); begin >= 0 {
				p.judge(r.path+" named "+what, p.b.get(named[:begin]+url.PathEscape(text)+named[end+1:]))
			}
		}
	}
}

// returnIfGone signs in again if nobody is signed in any more.
func (p *spider) returnIfGone() {
	p.t.Helper()
	if p.b.get("/domains").code == http.StatusOK {
		return
	}
	p.s.must(p.s.admin.SetPassword(p.t.Context(), boss, bossPassword))
	p.b = p.s.signedIn()
}
