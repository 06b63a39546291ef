package web

import (
	"bytes"
	"errors"
	"html"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
	"postroom/store/auth"
	"postroom/store/sqlite"
	"postroom/store/zone"
)

// A site is the pages over a real store, with a clock of its own.
type site struct {
	t      testing.TB
	dir    string
	clock  atomic.Int64
	store  *sqlite.Store
	admin  *admin.Admin
	guard  *auth.Guard
	dns    *dnsFake
	server *Server
	http   *httptest.Server
	log    *lockedBuffer
}

const (
	boss         = "postmaster@example.org"
	bossPassword = "correct horse battery"
)

// siteBegan is when the clock of a site begins.
var siteBegan = time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)

// newSite opens a store with the domain example.org and the administrator boss.
func newSite(t testing.TB) *site {
	t.Helper()
	return newSiteIn(t, t.TempDir())
}

// newSiteIn does so in a folder that may have a database already.
func newSiteIn(t testing.TB, dir string) *site {
	t.Helper()
	s := &site{t: t, dir: dir, log: new(lockedBuffer)}
	s.set(siteBegan)
	s.dns = new(dnsFake)
	s.open()
	t.Cleanup(s.close)
	if _, err := s.admin.AddDomain(t.Context(), admin.AddDomain{Name: "example.org"}); !errors.Is(err, store.ErrConflict) {
		s.must(err)
	}
	s.account(admin.NewAccount{Address: boss, Password: bossPassword, Name: "The postmaster", Admin: true})
	s.http = httptest.NewServer(s.server.Handler())
	t.Cleanup(s.http.Close)
	return s
}

// open opens the store and makes everything that a server has besides.
func (s *site) open() {
	s.t.Helper()
	log := slog.New(slog.NewTextHandler(s.log, nil))
	var err error
	s.store, err = sqlite.Open(s.t.Context(), sqlite.Options{Dir: s.dir, Now: s.now, Log: log})
	s.must(err)
	s.guard = auth.NewGuard(auth.GuardOptions{Blocks: s.store, Now: s.now, Log: log})
	authenticator := auth.New(s.store, auth.Options{Guard: s.guard, Factors: s.store, Noted: s.store.NoteLogin, Denied: s.store.NoteFailedLogin, Now: s.now, Log: log})
	s.admin = &admin.Admin{
		Store: s.store, Auth: authenticator, Now: s.now, Log: log, Lookups: s.dns.lookups,
		Server: func() zone.Server { return thisServer },
	}
	s.server = &Server{
		Admin: s.admin, Auth: authenticator, Accounts: s.store, Sessions: s.store.WebSessions(),
		Hostname: "mail.example.org", Version: "0.1", Log: log, Now: s.now,
	}
}

func (s *site) close() {
	s.t.Helper()
	s.admin.EndWork()
	if err := s.store.Close(); err != nil {
		s.t.Error(err)
	}
}

// restart ends the server and starts it anew at the same address.
func (s *site) restart() {
	s.t.Helper()
	s.close()
	s.open()
	s.http.Config.Handler = s.server.Handler()
}

func (s *site) now() time.Time       { return time.UnixMicro(s.clock.Load()).UTC() }
func (s *site) set(to time.Time)     { s.clock.Store(to.UnixMicro()) }
func (s *site) wait(d time.Duration) { s.set(s.now().Add(d)) }

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) domain(name string) {
	s.t.Helper()
	_, err := s.admin.AddDomain(s.t.Context(), admin.AddDomain{Name: name})
	s.must(err)
}

func (s *site) account(a admin.NewAccount) {
	s.t.Helper()
	_, err := s.admin.AddAccount(s.t.Context(), a)
	s.must(err)
}

func (s *site) alias(source string, targets ...string) {
	s.t.Helper()
	_, err := s.admin.AddAlias(s.t.Context(), admin.NewAlias{Source: source, Targets: targets})
	s.must(err)
}

// A browser keeps cookies and follows no redirect by itself.
type browser struct {
	s      *site
	client *http.Client
	header http.Header // sent with every request
	silent bool        // it doesn't say which site a request comes from
}

func (s *site) browser() *browser {
	jar, err := cookiejar.New(nil)
	s.must(err)
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	s.t.Cleanup(client.CloseIdleConnections)
	return &browser{s: s, client: client, header: make(http.Header)}
}

// signedIn returns a browser in which the administrator has signed in.
func (s *site) signedIn() *browser {
	s.t.Helper()
	return s.signedInAs(boss)
}

// signedInAs is signedIn for another account with the same password.
func (s *site) signedInAs(address string) *browser {
	s.t.Helper()
	b := s.browser()
	if a := b.post("/login", "username", address, "password", bossPassword); a.code != http.StatusSeeOther {
		s.t.Fatalf("signing in was answered %d:\n%s", a.code, a.body)
	}
	return b
}

// An answer is a response that has been read.
type answer struct {
	code     int
	header   http.Header
	location string
	body     string
}

func (b *browser) get(path string) answer {
	b.s.t.Helper()
	return b.do("GET", path, nil)
}

// post sends a form of names and values by turns.
func (b *browser) post(path string, fields ...string) answer {
	b.s.t.Helper()
	form := make(url.Values)
	for i := 0; i < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	return b.do("POST", path, strings.NewReader(form.Encode()))
}

func (b *browser) do(method, path string, body io.Reader) answer {
	b.s.t.Helper()
	return b.send(method, path, "application/x-www-form-urlencoded", body)
}

func (b *browser) send(method, path, contentType string, body io.Reader) answer {
	b.s.t.Helper()
	r, err := http.NewRequestWithContext(b.s.t.Context(), method, b.s.http.URL+path, body)
	b.s.must(err)
	for name, values := range b.header {
		r.Header[name] = values
	}
	if r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" && !b.silent {
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if host := b.header.Get("Host"); host != "" {
		r.Host = host
	}
	if body != nil {
		r.Header.Set("Content-Type", contentType)
	}
	res, err := b.client.Do(r)
	b.s.must(err)
	content, err := io.ReadAll(res.Body)
	b.s.must(errors.Join(err, res.Body.Close()))
	text := strings.ReplaceAll(string(content), "<wbr>", "") // where a line may break
	return answer{res.StatusCode, res.Header, res.Header.Get("Location"), text}
}

// upload sends a form with a file, which is the last name and value.
func (b *browser) upload(path string, fields ...string) answer {
	b.s.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	last := len(fields) - 2
	for i := 0; i < last; i += 2 {
		b.s.must(form.WriteField(fields[i], fields[i+1]))
	}
	file, err := form.CreateFormFile(fields[last], "mail.eml")
	b.s.must(err)
	_, err = io.WriteString(file, fields[last+1])
	b.s.must(errors.Join(err, form.Close()))
	return b.send("POST", path, form.FormDataContentType(), &body)
}

// follow gets the page that an answer sends the browser to.
func (b *browser) follow(a answer) answer {
	b.s.t.Helper()
	if a.code != http.StatusSeeOther || a.location == "" {
		b.s.t.Fatalf("answered %d to %q instead of a redirect:\n%s", a.code, a.location, a.body)
	}
	return b.get(a.location)
}

// has fails the test unless the answer has the code and holds all the texts.
func (a answer) has(t *testing.T, code int, texts ...string) {
	t.Helper()
	if a.code != code {
		t.Errorf("answered %d, want %d:\n%s", a.code, code, a.body)
		return
	}
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			t.Errorf("the page doesn't hold %q:\n%s", text, a.body)
		}
	}
}

// A lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// wantAll fails the test unless the text holds all the parts.
func wantAll(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in:\n%s", part, text)
		}
	}
}

// link returns where the link with a text leads.
func (a answer) link(text string) string {
	for _, link := range anchors.FindAllStringSubmatch(a.body, -1) {
		if link[2] == text {
			return html.UnescapeString(link[1])
		}
	}
	return ""
}

var anchors = regexp.MustCompile(`<a href="([^"]*)"[^>]*>([^<]*)</a>`)
