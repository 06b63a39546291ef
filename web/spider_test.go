package web

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// A spider follows the links of all pages that a visitor can come to, and judges
// each page by what a browser makes of it.
type spider struct {
	t       *testing.T
	s       *site
	b       *browser
	table   *http.ServeMux
	visited map[string]int    // how many pages of a pattern
	seen    map[string]bool   // pages by path and query
	forms   map[string]form   // by what they send where
	words   map[string]bool   // names of fields and parts of queries
	reached map[string]string // patterns by the first path of theirs that a link led to
	hostile map[string]bool   // patterns of pages on which hostile text stood
}

// perPattern is how many pages of one kind a spider looks at.
const perPattern = 12

// A form is one that a page offers, with what it sends if nothing is filled in.
type form struct {
	page, action, method string
	multipart            bool
	values               url.Values
	typed                []string // names of the fields that a person fills in
	hidden               []string
}

func newSpider(t *testing.T, s *site, b *browser) *spider {
	table := http.NewServeMux()
	for _, r := range newPages(s.server).routes() {
		table.Handle(r.method+" "+r.path, http.NotFoundHandler())
	}
	return &spider{
		t: t, s: s, b: b, table: table, visited: make(map[string]int), seen: make(map[string]bool),
		forms: make(map[string]form), words: make(map[string]bool), reached: make(map[string]string),
		hostile: make(map[string]bool),
	}
}

// pattern returns the route that a request would take, empty if there is none.
func (p *spider) pattern(method, path string) string {
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.s.http.URL+path, nil)
	if err != nil {
		return ""
	}
	_, pattern := p.table.Handler(r)
	return pattern
}

// crawl begins at the paths and goes where the links lead.
func (p *spider) crawl(paths ...string) {
	p.t.Helper()
	from := make(map[string]string) // where a link stood
	for len(paths) > 0 {
		path := paths[0]
		paths = paths[1:]
		pattern := p.pattern(http.MethodGet, path)
		if p.seen[path] || p.visited[pattern] >= perPattern {
			continue
		}
		p.seen[path] = true
		p.visited[pattern]++
		a := p.b.get(path)
		if strings.Contains(a.body, "xss-") {
			p.hostile[pattern] = true
		}
		page := p.judge(path, a)
		if a.code == http.StatusSeeOther && staysHere(a.location) { // to where a visitor is in a guide, say
			path, a = a.location, p.b.get(a.location)
			page = p.judge(path, a)
		}
		if page == nil {
			continue
		}
		if a.code != http.StatusOK && from[path] != "" {
			p.t.Errorf("a link on %s leads to %s, which is answered %d", from[path], path, a.code)
		}
		if a.code == http.StatusOK {
			p.orderly(path, page)
		}
		for _, link := range p.read(path, page) {
			if from[link] == "" {
				from[link] = path
			}
			if pattern := p.pattern(http.MethodGet, link); p.reached[pattern] == "" {
				p.reached[pattern] = link
			}
			paths = append(paths, link)
		}
	}
}

// judge fails the test if an answer is more than the page that we wrote: if it is
// our fault, leads elsewhere, has a header or an element that came with the data.
// It returns the page, nil if the answer is none.
func (p *spider) judge(what string, a answer) *html.Node {
	p.t.Helper()
	if a.code >= 500 && a.code != http.StatusServiceUnavailable {
		p.t.Errorf("%s is answered %d", what, a.code)
	}
	for name, values := range a.header {
		if strings.Contains(strings.ToLower(name), "xss") {
			p.t.Errorf("%s is answered with the header %s: %q", what, name, values)
		}
	}
	if a.location != "" && !staysHere(a.location) {
		p.t.Errorf("%s leads to %q", what, a.location)
	}
	if !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
		return nil
	}
	page, err := html.Parse(strings.NewReader(a.body))
	if err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
	for n := range page.Descendants() {
		if fault := faultOf(n); fault != "" {
			p.t.Errorf("%s: %s", what, fault)
		}
	}
	return page
}

// staysHere reports whether a browser stays on our pages when it follows a link.
func staysHere(link string) bool {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Opaque != "" || strings.ContainsAny(link, "\\\r\n\t") {
		return false
	}
	return !strings.HasPrefix(link, "//")
}

// faultOf says what is wrong with an element, if something is.
func faultOf(n *html.Node) string {
	if n.Type != html.ElementNode {
		return ""
	}
	switch {
	case strings.Contains(n.Data, "xss"):
		return "data became an element " + n.Data
	case slices.Contains([]string{"base", "iframe", "object", "embed", "style", "template", "math"}, n.Data):
		return "there is an element " + n.Data
	case n.Data == "script" && (n.FirstChild != nil || !strings.HasPrefix(attribute(n, "src"), "/assets/")):
		return "there is a script that is not of our assets"
	}
	for _, a := range n.Attr {
		switch {
		case strings.Contains(a.Key, "xss"), strings.HasPrefix(a.Key, "on"), a.Key == "style", a.Key == "http-equiv", a.Key == "srcdoc":
			return fmt.Sprintf("an element %s has an attribute %s=%q", n.Data, a.Key, a.Val)
		case slices.Contains([]string{"href", "src", "action", "formaction", "poster", "data"}, a.Key) && !staysHere(a.Val):
			return fmt.Sprintf("an element %s has a link to %q", n.Data, a.Val)
		}
	}
	return ""
}

// orderly fails the test unless a page can be found one's way about: it has a title,
// one heading of the first level and no level left out below, each field has a name,
// each table says what its columns are, and each name of a place is used once.
func (p *spider) orderly(what string, page *html.Node) {
	p.t.Helper()
	level, first := 0, 0
	ids, labelled := make(map[string]int), make(map[string]bool)
	var fields []*html.Node
	for n := range page.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if id := attribute(n, "id"); id != "" {
			ids[id]++
		}
		switch n.Data {
		case "h1", "h2", "h3", "h4", "h5", "h6":
			now := int(n.Data[1] - '0')
			if now > level+1 {
				p.t.Errorf("%s: a heading of level %d follows one of level %d", what, now, level)
			}
			level = now
			if now == 1 {
				first++
			}
		case "label":
			labelled[attribute(n, "for")] = true
		case "input", "select", "textarea":
			if kind := attribute(n, "type"); kind != "hidden" && kind != "radio" && kind != "checkbox" && attribute(n, "aria-label") == "" {
				fields = append(fields, n)
			}
		case "th":
			if attribute(n, "scope") == "" {
				p.t.Errorf("%s: a table's header doesn't say what it is of", what)
			}
		}
	}
	if first != 1 {
		p.t.Errorf("%s has %d headings of the first level", what, first)
	}
	for _, f := range fields {
		if !labelled[attribute(f, "id")] {
			p.t.Errorf("%s: the field %q has no label", what, attribute(f, "name"))
		}
	}
	for id, n := range ids {
		if n > 1 {
			p.t.Errorf("%s: %d elements have the id %q", what, n, id)
		}
	}
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

// read returns the links of a page, and keeps its forms.
func (p *spider) read(path string, page *html.Node) []string {
	var links []string
	base, err := url.Parse(path)
	if err != nil {
		p.t.Fatal(err)
	}
	for n := range page.Descendants() {
		switch n.Data {
		case "a":
			to, err := base.Parse(attribute(n, "href"))
			if err != nil {
				p.t.Errorf("%s has a link to %q: %v", path, attribute(n, "href"), err)
				continue
			}
			to.Fragment = ""
			for word := range to.Query() {
				p.words[word] = true
			}
			links = append(links, to.String())
		case "form":
			p.keep(path, n)
		}
	}
	return links
}

// keep remembers a form, once for each of its buttons.
func (p *spider) keep(path string, n *html.Node) {
	f := form{
		page: path, action: cmp.Or(attribute(n, "action"), path), method: strings.ToUpper(cmp.Or(attribute(n, "method"), "get")),
		multipart: strings.HasPrefix(attribute(n, "enctype"), "multipart/"), values: make(url.Values),
	}
	buttons := []url.Values{}
	for field := range n.Descendants() {
		name, kind := attribute(field, "name"), attribute(field, "type")
		if name == "" || field.Type != html.ElementNode {
			continue
		}
		p.words[name] = true
		switch {
		case field.Data == "button":
			buttons = append(buttons, url.Values{name: {attribute(field, "value")}})
		case kind == "file":
		case kind == "hidden":
			f.values.Add(name, attribute(field, "value"))
			f.hidden = append(f.hidden, name)
		case kind == "radio" || kind == "checkbox":
			if has(field, "checked") || kind == "radio" && f.values.Get(name) == "" {
				f.values.Set(name, attribute(field, "value"))
			}
		case field.Data == "select" || field.Data == "input" || field.Data == "textarea":
			f.values.Add(name, attribute(field, "value"))
			f.typed = append(f.typed, name)
		}
	}
	if len(buttons) == 0 {
		buttons = append(buttons, nil)
	}
	for _, button := range buttons {
		pressed := f
		pressed.values = maps.Clone(f.values)
		maps.Copy(pressed.values, button)
		key := fmt.Sprint(f.method, p.pattern(f.method, f.action), slices.Sorted(maps.Keys(pressed.values)), button)
		if _, known := p.forms[key]; !known {
			p.forms[key] = pressed
		}
	}
}

// with returns what a form sends once the fields hold a text.
func (f form) with(text string, fields []string) url.Values {
	values := maps.Clone(f.values)
	for _, name := range fields {
		values[name] = []string{text}
	}
	return values
}

// send submits a form.
func (p *spider) send(f form, values url.Values) answer {
	p.t.Helper()
	if f.method == http.MethodGet {
		return p.b.get(f.action + "?" + values.Encode())
	}
	if f.multipart {
		var fields []string
		for name, all := range values {
			fields = append(fields, name, all[0])
		}
		return p.b.upload(f.action, append(fields, "xss-file", "x")...)
	}
	return p.b.do(http.MethodPost, f.action, strings.NewReader(values.Encode()))
}

// TestEveryLinkLeadsSomewhere follows all links of a busy site: each is answered
// with a page, and each page of the route table can be come to.
func TestEveryLinkLeadsSomewhere(t *testing.T) {
	s := newSite(t)
	examples := s.examples()
	p := newSpider(t, s, s.signedIn())
	p.crawl(append([]string{"/"}, slices.Sorted(maps.Values(examples))...)...)
	for _, r := range newPages(s.server).routes() {
		shown := r.method == http.MethodGet && r.needs.who() != needNobody
		if pattern := r.method + " " + r.path; shown && p.reached[pattern] == "" && !reachedOtherwise[r.path] {
			t.Errorf("no link leads to %s", pattern)
		}
	}
	sent := make(map[string]bool)
	for _, f := range p.forms {
		pattern := p.pattern(f.method, f.action)
		if pattern == "" {
			t.Errorf("a form on %s is sent to %s %s, which nobody takes", f.page, f.method, f.action)
		}
		sent[pattern] = true
	}
	for _, r := range newPages(s.server).routes() {
		if pattern := r.method + " " + r.path; r.method == http.MethodPost && !sent[pattern] && !reachedOtherwise[r.path] {
			t.Errorf("no form is sent to %s", pattern)
		}
	}
}

// reachedOtherwise are the routes that visitors come to without a link or a form of
// the pages that they see once they have signed in.
var reachedOtherwise = map[string]bool{
	"/setup": true, "/setup/test/stop": true, "/accounts/{address}/senders/remove": true, // of a test that runs, of an account that has some
	"/login": true, "/login/code": true, "/confirm-password": true, "/assets/{name}": true, "/favicon.ico": true,
}

func TestSpidersSeeFaults(t *testing.T) {
	for _, wrong := range []string{
		`<p>x<xss-element>`, `<p title="" xss-attribute=1>`, `<a href="javascript:xss()">`, `<a href="//evil.example">`, `<a href="https://evil.example">`,
		`<form action="https:evil.example">`, `<button formaction="/\evil.example">`, `<img src=x onerror=xss()>`, `<p style="x">`, `<script>xss()</script>`,
		`<script src="/other.js"></script>`, `<base href="/x">`, `<meta http-equiv=refresh content="0">`, `<iframe src="/">`,
	} {
		page, err := html.Parse(strings.NewReader(wrong))
		if err != nil {
			t.Fatal(err)
		}
		var found bool
		for n := range page.Descendants() {
			found = found || faultOf(n) != ""
		}
		if !found {
			t.Errorf("nothing is wrong with %s", wrong)
		}
	}
}
