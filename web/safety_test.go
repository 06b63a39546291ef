package web

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A request is one that a table leads to.
type request struct{ method, path string }

// requests returns one for each route of both tables.
func (s *site) requests() []request {
	var all []request
	p := newPages(s.server)
	for _, r := range p.routes() {
		all = append(all, request{r.method, r.example(s)})
	}
	for _, r := range p.publicRoutes() {
		all = append(all, request{r.method, r.path})
	}
	return all
}

// TestNoSiteSendsOurForms tries each form as another site would have a browser send
// it, one that says where the request comes from and one that is too old to.
func TestNoSiteSendsOurForms(t *testing.T) {
	s := newSite(t)
	s.exemplary()
	ours := strings.TrimPrefix(s.http.URL, "http://")
	var forms []request
	for _, r := range newPages(s.server).routes() {
		if r.method != http.MethodGet {
			forms = append(forms, request{r.method, r.example(s)})
		}
	}
	tests := []struct {
		name, header, value string
		taken               bool
	}{
		{"by a form on another site", "Sec-Fetch-Site", "cross-site", false},
		{"by a form on a neighbour's site", "Sec-Fetch-Site", "same-site", false},
		{"from another origin", "Origin", "https://evil.example", false},
		{"from a page that has no origin", "Origin", "null", false},
		{"from a name that begins like ours", "Origin", "http://" + ours + ".evil.example", false},
		{"by a program, which says nothing", "", "", true},
		{"by an old browser from another page", "Referer", "https://evil.example/" + ours, false},
		{"by an old browser from no page", "Referer", "about:blank", false},
		{"by an old browser from our page", "Referer", s.http.URL + "/domains", true},
		{"by our page", "Sec-Fetch-Site", "same-origin", true},
		{"from our origin", "Origin", s.http.URL, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := s.signedIn()
			b.silent = true
			if tt.header != "" {
				b.header.Set(tt.header, tt.value)
			}
			for _, r := range forms {
				if tt.taken && r.path == "/logout" {
					continue
				}
				a := b.do(r.method, r.path, strings.NewReader("not=%a form"))
				refused := a.code == http.StatusForbidden && strings.Contains(a.body, errCrossOrigin.Title)
				if refused == tt.taken {
					t.Errorf("%s is answered %d to %q", r.path, a.code, a.location)
				}
			}
		})
	}
}

// TestForgedHostChangesNothing asks everything under another name, as a stranger and
// as an administrator.
func TestForgedHostChangesNothing(t *testing.T) {
	s := newSite(t)
	s.exemplary()
	for _, b := range []*browser{s.browser(), s.signedIn()} {
		b.header.Set("Host", "evil.example")
		for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Server", "X-Original-URL", "X-Rewrite-URL", "Forwarded", "Base-Url"} {
			b.header.Set(name, "evil.example")
		}
		for _, r := range s.requests() {
			a := b.do(r.method, r.path, strings.NewReader(""))
			if strings.Contains(a.body+fmt.Sprint(a.header), "evil.example") {
				t.Errorf("%s %s repeats the name that it was asked under: %v\n%s", r.method, r.path, a.header, a.body)
			}
			if r.path == "/logout" {
				b.header.Del("Host")
				*b = *s.signedIn()
				b.header.Set("Host", "evil.example")
			}
		}
	}
}

// TestEveryAnswerIsGuarded looks at the headers of each route's answer.
func TestEveryAnswerIsGuarded(t *testing.T) {
	s := newSite(t)
	s.exemplary()
	requests := s.requests() // an administrator's remove what they are about
	for who, b := range map[string]*browser{"a stranger": s.browser(), "an administrator": s.signedIn()} {
		for _, r := range requests {
			if r.path == "/logout" {
				continue
			}
			a := b.do(r.method, r.path, strings.NewReader(""))
			what := fmt.Sprintf("%s %s for %s", r.method, r.path, who)
			wantAll(t, a.header.Get("Content-Security-Policy"), "default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'")
			for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"} {
				if got := a.header.Get(name); got != want {
					t.Errorf("%s: %s is %q", what, name, got)
				}
			}
			kept := strings.HasPrefix(r.path, "/assets/") || r.path == "/favicon.ico"
			if caching := a.header.Get("Cache-Control"); caching != "no-store" && !kept {
				t.Errorf("%s: Cache-Control is %q", what, caching)
			}
			for _, c := range a.header.Values("Set-Cookie") {
				wantAll(t, c, "HttpOnly", "SameSite=Lax", "Path=/")
			}
			if a.header.Get("Content-Type") == "" && len(a.body) > 0 {
				t.Errorf("%s: what it is, is left to guess", what)
			}
		}
	}
}

// TestCookiesOverTLSAreSecure walks all routes as somebody who comes over TLS.
func TestCookiesOverTLSAreSecure(t *testing.T) {
	s := newSite(t)
	s.exemplary()
	s.server.Secure = true
	b := s.browser()
	var set int
	for _, r := range append(s.requests(), request{"POST", "/login"}) {
		a := b.do(r.method, r.path, strings.NewReader("username="+boss+"&password="+bossPassword))
		for _, c := range a.header.Values("Set-Cookie") {
			wantAll(t, c, "__Host-postroom=", "Secure", "HttpOnly", "SameSite=Lax", "Path=/")
			set++
		}
	}
	if set == 0 {
		t.Error("no cookie was set")
	}
}

// TestPlantedSessionIsWorthNothing signs in in a browser that brings a token which
// somebody else knows.
func TestPlantedSessionIsWorthNothing(t *testing.T) {
	s := newSite(t)
	for _, planted := range []string{"known", strings.Repeat("x", 4000), `"a b"`, "a,b;c=d"} {
		b := s.browser()
		b.header.Set("Cookie", "postroom="+planted+"; postroom="+planted+"2; "+strings.Repeat("c=d; ", 500))
		a := b.post("/login", "username", boss, "password", bossPassword)
		a.has(t, http.StatusSeeOther)
		if set := a.header.Get("Set-Cookie"); !strings.HasPrefix(set, "postroom=") || strings.Contains(set, "="+planted+";") {
			t.Errorf("with the token %q the cookie is %q", planted, set)
		}
		if a := b.get("/domains"); a.code != http.StatusSeeOther {
			t.Errorf("the planted token %q is answered %d", planted, a.code)
		}
	}
}

// An endless body repeats its text until enough of it was read.
type endless struct {
	begin, text string
	left        int64
	sent        *atomic.Int64
	off         int
}

func (e *endless) Read(into []byte) (int, error) {
	n := 0
	for n < len(into) && e.left > 0 {
		source := e.text
		if e.begin != "" {
			source = e.begin
		}
		m := copy(into[n:], source[e.off:])
		e.off += m
		if e.off == len(source) {
			e.off, e.begin = 0, ""
		}
		n += m
		e.left -= int64(m)
	}
	e.sent.Add(int64(n))
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// TestHugeBodiesAreRefused sends 64 MB to each route, in all the ways there are: it
// is soon refused, most of it is never taken, and little memory is needed.
func TestHugeBodiesAreRefused(t *testing.T) {
	const (
		huge    = 64 << 20
		taken   = 16 << 20 // what is on its way when the refusal comes: the kernel holds some MB
		memory  = 24 << 20 // a password's hash alone needs 19 MB
		soon    = 10 * time.Second
		formful = "application/x-www-form-urlencoded"
	)
	s := newSite(t)
	s.exemplary()
	requests := s.requests()
	boundary := "multipart/form-data; boundary=x"
	tests := []struct {
		name, kind, encoding string
		declared             bool
		begin, text          string
	}{
		{name: "of a declared length", kind: formful, declared: true, text: "x"},
		{name: "without a length", kind: formful, begin: "name=", text: "x"},
		{name: "of many fields", kind: formful, text: "name=x&"},
		{name: "of one part without an end", kind: boundary, begin: "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n", text: "x"},
		{name: "of parts without an end", kind: boundary, text: "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n"},
		{name: "of a header without an end", kind: boundary, begin: "--x\r\n", text: "X-Header: x\r\n"},
		{name: "that are compressed", kind: formful, encoding: "gzip", text: "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xed\xc1\x01\x01\x00\x00\x00\x80\x90\xfe\xaf"},
		{name: "that are XML", kind: "text/xml", begin: "<a>", text: "<a b='c'>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := s.signedIn()
			var before, after runtime.MemStats
			for _, r := range requests {
				if r.path == "/logout" {
					continue
				}
				var sent atomic.Int64
				body := &endless{begin: tt.begin, text: tt.text, left: huge, sent: &sent}
				if len(tt.text) < 64 {
					body.text = strings.Repeat(tt.text, 4096)
				}
				runtime.ReadMemStats(&before)
				started := time.Now()
				code, err := b.pour(r, tt.kind, tt.encoding, body, tt.declared, huge)
				runtime.ReadMemStats(&after)
				what := fmt.Sprintf("%s %s", r.method, r.path)
				if err != nil {
					t.Errorf("%s: %v", what, err)
					continue
				}
				if tt.declared && code != http.StatusRequestEntityTooLarge {
					t.Errorf("%s is answered %d", what, code)
				}
				if code >= 500 {
					t.Errorf("%s is answered %d", what, code)
				}
				if n := sent.Load(); n > taken {
					t.Errorf("%s: %d MB were taken", what, n>>20)
				}
				if used := after.TotalAlloc - before.TotalAlloc; used > memory {
					t.Errorf("%s needed %d KB", what, used>>10)
				}
				if took := time.Since(started); took > soon {
					t.Errorf("%s took %v", what, took)
				}
			}
		})
	}
	if log := s.log.String(); strings.Contains(log, "level=ERROR") {
		t.Errorf("what others send is taken for a fault of ours:\n%s", log)
	}
}

// pour sends a large body and returns how it was answered.
func (b *browser) pour(r request, kind, encoding string, body io.Reader, declared bool, size int64) (int, error) {
	req, err := http.NewRequestWithContext(b.s.t.Context(), r.method, b.s.http.URL+r.path, io.NopCloser(body))
	if err != nil {
		return 0, err
	}
	req.ContentLength = -1
	if declared {
		req.ContentLength = size
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	res, err := b.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

// TestPathsStayInside asks for what lies beside the pages and the assets.
func TestPathsStayInside(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	secrets := []string{"root:", "package web", "module postroom", "{{define"}
	for _, path := range []string{
		"/assets/..%2fweb.go", "/assets/../web.go", "/assets/%2e%2e/web.go", "/assets/..%5cweb.go", "/assets/....//web.go", "/assets//etc/passwd", "/assets/%2fetc%2fpasswd",
		"/assets/..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd", "/assets/postroom.css", "/assets/%00", "/assets/.", "/assets/", "/..%2f..%2fetc/passwd", "/templates/layout.html",
		"/domains/..%2f..%2fetc%2fpasswd", "/domains/%2e%2e", "/domains/..%2faccounts/dns/zone", "/accounts/..%2f..%2fdomains", "/accounts/%2f", "/messages/..%2f..%2f", "/accounts/a%2f..%2fb@example.org/remove",
	} {
		a := b.get(path)
		if a.code == http.StatusOK || a.code >= 500 {
			t.Errorf("%s is answered %d", path, a.code)
		}
		if a.location != "" && !staysHere(a.location) {
			t.Errorf("%s leads to %s", path, a.location)
		}
		for _, secret := range secrets {
			if strings.Contains(a.body, secret) {
				t.Errorf("%s gives away a file:\n%s", path, a.body)
			}
		}
	}
	slashed := `"a/../b?c#d%2e"@example.org`
	b.follow(b.post("/accounts", "address", slashed, "password", "long enough")).has(t, http.StatusOK, "a/../b?c#d%2e")
	b.get(accountURL(slashed)).has(t, http.StatusOK, "a/../b?c#d%2e")
	b.get(accountURL(slashed)+"/remove").has(t, http.StatusOK, "a/../b?c#d%2e")
}

// TestZoneFileHasAName that no domain's name can break out of.
func TestZoneFileHasAName(t *testing.T) {
	s := newSite(t)
	s.domain("xn--mnchen-3ya.example")
	b := s.signedIn()
	for _, name := range []string{"example.org", "xn--mnchen-3ya.example"} {
		a := b.get(dnsURL(name) + "/zone")
		a.has(t, http.StatusOK)
		if got := a.header.Get("Content-Disposition"); !strings.HasPrefix(got, "attachment") || strings.ContainsAny(got, "\r\n/\\") {
			t.Errorf("Content-Disposition is %q", got)
		}
	}
	for _, name := range []string{"a%0d%0aXss-Header:%201", "..%2f..%2fx", `a%22;x=%22b`} {
		a := b.get("/domains/" + name + "/dns/zone")
		if a.code == http.StatusOK || a.header.Get("Xss-Header") != "" || bytes.Contains([]byte(a.header.Get("Content-Disposition")), []byte("x=")) {
			t.Errorf("%s is answered %d, %v", name, a.code, a.header)
		}
	}
}
