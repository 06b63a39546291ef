package web

import (
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"postroom/store/admin"
)

func TestSignIn(t *testing.T) {
	s := newSite(t)
	s.account(admin.NewAccount{Address: "alice@example.org", Password: bossPassword})
	s.account(admin.NewAccount{Address: "gone@example.org", Password: bossPassword, Admin: true})
	s.must(s.admin.DisableAccount(t.Context(), "gone@example.org", false))
	app, err := s.admin.AddAppPassword(t.Context(), boss, "Phone")
	s.must(err)
	tests := []struct {
		name, username, password string
		code                     int
		text                     string
	}{
		{"lets an administrator in", boss, bossPassword, http.StatusSeeOther, ""},
		{"takes the local part in another case", "PostMaster", bossPassword, http.StatusSeeOther, ""},
		{"refuses a wrong password", boss, "wrong", http.StatusUnauthorized, textDenied},
		{"refuses an unknown name the same way", "nobody@example.org", "wrong", http.StatusUnauthorized, textDenied},
		{"refuses a disabled account the same way", "gone@example.org", bossPassword, http.StatusUnauthorized, textDenied},
		{"refuses an app password the same way", boss, app, http.StatusUnauthorized, textDenied},
		{"refuses nothing at all the same way", "", "", http.StatusUnauthorized, textDenied},
		{"lets in who isn't an administrator", "alice@example.org", bossPassword, http.StatusSeeOther, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := s.browser()
			a := b.post("/login", "username", tt.username, "password", tt.password)
			a.has(t, tt.code, tt.text)
			if strings.Contains(a.body, bossPassword) {
				t.Error("the password came back")
			}
			if in := b.get("/me").code == http.StatusOK; in != (tt.code == http.StatusSeeOther) {
				t.Errorf("signed in: %t", in)
			}
		})
	}
}

func TestGuessersMayNotSignIn(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	for i := range 10 {
		b.post("/login", "username", boss, "password", fmt.Sprint("guess ", i)).has(t, http.StatusUnauthorized, textDenied)
	}
	until := fmt.Sprintf(textBlocked, s.now().Add(10*time.Minute).Format("15:04"))
	for _, name := range []string{boss, "nobody@example.org"} {
		a := b.post("/login", "username", name, "password", bossPassword)
		a.has(t, http.StatusTooManyRequests, until)
	}
	s.wait(10 * time.Minute)
	b.post("/login", "username", boss, "password", bossPassword).has(t, http.StatusSeeOther)
}

func TestSessionEnds(t *testing.T) {
	tests := map[string]func(s *site, b *browser){
		"when signed out":             func(_ *site, b *browser) { b.post("/logout") },
		"after hours without a visit": func(s *site, _ *browser) { s.wait(sessionIdle + time.Minute) },
		"when disabled":               func(s *site, _ *browser) { s.must(s.admin.DisableAccount(s.t.Context(), boss, false)) },
		"when the password changes":   func(s *site, _ *browser) { s.must(s.admin.SetPassword(s.t.Context(), boss, "another password")) },
		"when removed": func(s *site, _ *browser) {
			_, err := s.admin.RemoveAccount(s.t.Context(), boss)
			s.must(err)
		},
	}
	for name, end := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			b := s.signedIn()
			b.get("/domains").has(t, http.StatusOK)
			end(s, b)
			if a := b.get("/domains"); a.location != "/login?next=%2Fdomains" {
				t.Errorf("answered %d to %q", a.code, a.location)
			}
			b.get("/login").has(t, http.StatusOK, "Sign in")
		})
	}
}

func TestSessionLasts(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	for range 20 {
		s.wait(sessionIdle - sessionTouch)
		b.get("/").has(t, http.StatusOK)
	}
	restarted := *s.server
	s.http.Config.Handler = restarted.Handler()
	b.get("/").has(t, http.StatusOK)
}

func TestSessionCookie(t *testing.T) {
	s := newSite(t)
	cookie := func(header ...string) string {
		b := s.browser()
		for i := 0; i < len(header); i += 2 {
			b.header.Set(header[i], header[i+1])
		}
		return b.post("/login", "username", boss, "password", bossPassword).header.Get("Set-Cookie")
	}
	wantAll(t, cookie(), "postroom=", "HttpOnly", "SameSite=Lax", "Path=/")
	if c := cookie("X-Forwarded-Proto", "https"); strings.Contains(c, "Secure") {
		t.Errorf("a stranger's X-Forwarded-Proto is believed: %s", c)
	}
	s.server.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	wantAll(t, cookie("X-Forwarded-Proto", "https"), "__Host-postroom=", "Secure", "HttpOnly")
	s.server.TrustedProxies, s.server.Secure = nil, true
	wantAll(t, cookie(), "__Host-postroom=", "Secure")
}

// A token that somebody planted before the sign-in must not be the one after it.
func TestSignInRenewsTheToken(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	token := regexp.MustCompile(`postroom=([^;]+)`)
	first := token.FindStringSubmatch(b.post("/login", "username", boss, "password", bossPassword).header.Get("Set-Cookie"))
	second := token.FindStringSubmatch(b.post("/login", "username", boss, "password", bossPassword).header.Get("Set-Cookie"))
	if first == nil || second == nil || first[1] == second[1] {
		t.Errorf("the tokens are %v and %v", first, second)
	}
}

func TestNextPageIsOurs(t *testing.T) {
	s := newSite(t)
	for next, want := range map[string]string{
		"/accounts?q=a%40b":       "/accounts?q=a%40b",
		"/messages/x":             "/messages/x",
		"":                        "/",
		"https://evil.example/":   "/",
		"//evil.example/":         "/",
		"/\\evil.example":         "/",
		"\\\\evil.example":        "/",
		"javascript:alert(1)":     "/",
		"/\t/evil.example":        "/",
		"/x\r\nSet-Cookie: a=b":   "/",
		"evil.example":            "/",
		"http:evil.example":       "/",
		"///evil.example":         "/",
		"/%2f/evil.example":       "/%2f/evil.example",
		"https:/evil.example":     "/",
		"/.//evil.example":        "/evil.example",
		" //evil.example":         "/",
		"/accounts#x":             "/accounts",
		"http://mail.example.org": "/",
	} {
		b := s.browser()
		if a := b.post("/login", "username", boss, "password", bossPassword, "next", next); a.location != want {
			t.Errorf("after the sign-in %q leads to %q, want %q", next, a.location, want)
		}
	}
}

func TestHostHeaderIsNotBelieved(t *testing.T) {
	s := newSite(t)
	for _, b := range []*browser{s.browser(), s.signedIn()} {
		b.header.Set("Host", "evil.example")
		b.header.Set("X-Forwarded-Host", "evil.example")
		for _, path := range []string{"/", "/login", "/accounts", "/nothing", "//accounts"} {
			if a := b.get(path); strings.Contains(a.body+a.location, "evil.example") {
				t.Errorf("%s speaks of the host that was named:\n%s\n%s", path, a.location, a.body)
			}
		}
	}
}

func TestAnotherSiteChangesNothing(t *testing.T) {
	s := newSite(t)
	for name, header := range map[string][2]string{
		"by Sec-Fetch-Site": {"Sec-Fetch-Site", "cross-site"},
		"by Origin":         {"Origin", "https://evil.example"},
		"from a subdomain":  {"Sec-Fetch-Site", "same-site"},
	} {
		t.Run(name, func(t *testing.T) {
			b := s.signedIn()
			b.header.Set(header[0], header[1])
			b.post("/domains", "name", "evil.example").has(t, http.StatusForbidden, errCrossOrigin.Title)
			b.header = make(http.Header)
			if strings.Contains(b.get("/domains").body, "evil.example") {
				t.Error("the domain was added")
			}
		})
	}
}

func TestClientBehindProxies(t *testing.T) {
	p := newPages(&Server{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	tests := []struct{ name, peer, forwarded, want string }{
		{"is the peer", "192.0.2.1:5", "", "192.0.2.1"},
		{"is the peer if it isn't trusted", "192.0.2.1:5", "198.51.100.1", "192.0.2.1"},
		{"is what a trusted proxy says", "10.0.0.1:5", "198.51.100.1", "198.51.100.1"},
		{"is the last that isn't trusted", "10.0.0.1:5", "203.0.113.9, 198.51.100.1, 10.0.0.2", "198.51.100.1"},
		{"is the proxy if it says nonsense", "10.0.0.1:5", "198.51.100.1, unknown", "10.0.0.1"},
		{"is mapped to IPv4", "[::ffff:192.0.2.1]:5", "", "192.0.2.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: tt.peer, Header: make(http.Header)}
			if tt.forwarded != "" {
				r.Header.Set("X-Forwarded-For", tt.forwarded)
			}
			v := &visit{pages: p, r: r}
			if got := v.client().String(); got != tt.want {
				t.Errorf("the client is %s, want %s", got, tt.want)
			}
		})
	}
}
