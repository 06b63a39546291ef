package web

import (
	"bytes"
	"context"
	"encoding/xml"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"postroom/delivery/sts"
	"postroom/store/admin"
	"postroom/store/zone"
)

// publicSite is a site whose server is known to the outside.
func publicSite(t *testing.T) *site {
	s := newSite(t)
	s.admin.Server = func() zone.Server {
		return zone.Server{
			Hostname: "mail.example.org", STS: "enforce",
			Ports: zone.Ports{Submission: 587, Submissions: 465, POP3S: 995},
		}
	}
	_, err := s.admin.AddDomain(t.Context(), admin.AddDomain{Name: "backup.example", Backup: true})
	s.must(err)
	return s
}

// ask asks a handler for a path under a name.
func ask(t *testing.T, h http.Handler, method, host, path string) answer {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://"+host+path, nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{code: w.Code, header: w.Header(), body: string(body)}
}

// handlers are those on which anybody may ask.
func (s *site) handlers() map[string]http.Handler {
	return map[string]http.Handler{"pages": s.server.Handler(), "public": s.server.Public()}
}

func TestSTSPolicy(t *testing.T) {
	s := publicSite(t)
	const text = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.org\r\nmax_age: 1209600\r\n"
	for name, h := range s.handlers() {
		for host, want := range map[string]int{
			"mta-sts.example.org": 200, "MTA-STS.Example.org:8443": 200, "mta-sts.example.org.": 200,
			"example.org": 404, "mail.example.org": 404, "mta-sts.example.net": 404, "mta-sts.backup.example": 404,
			"mta-sts.": 404, "mta-sts.mta-sts.example.org": 404, "mta-sts.example.org.evil.test": 404, "127.0.0.1": 404,
		} {
			a := ask(t, h, "GET", host, "/.well-known/mta-sts.txt")
			if a.code != want || want == 200 && (a.body != text || a.header.Get("Content-Type") != "text/plain; charset=utf-8") {
				t.Errorf("%s, %s: %d, %s, %q", name, host, a.code, a.header.Get("Content-Type"), a.body)
			}
			if a.header.Get("Content-Security-Policy") == "" || a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Set-Cookie") != "" {
				t.Errorf("%s, %s: header %v", name, host, a.header)
			}
			if strings.Contains(a.body, "evil") {
				t.Errorf("%s, %s: it repeats the name: %s", name, host, a.body)
			}
		}
	}
	s.admin.Server = func() zone.Server { return zone.Server{Hostname: "mail.example.org", STS: "off"} }
	if a := ask(t, s.server.Handler(), "GET", "mta-sts.example.org", "/.well-known/mta-sts.txt"); a.code != 404 {
		t.Errorf("turned off: %d", a.code)
	}
}

// announced is a DNS with one TXT record for every name.
type announced string

func (a announced) LookupTXT(context.Context, string) ([]string, error) {
	return []string{string(a)}, nil
}

// Other servers that are like us obey the policy that is served.
func TestSTSPolicyIsObeyed(t *testing.T) {
	s := publicSite(t)
	front := httptest.NewTLSServer(s.server.Handler())
	t.Cleanup(front.Close)
	client := front.Client()
	transport := client.Transport.(*http.Transport)
	transport.TLSClientConfig.ServerName = "example.com" // what the certificate is for
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, front.Listener.Addr().String())
	}
	served, err := s.admin.STSPolicy(t.Context(), "example.org")
	s.must(err)
	policies := &sts.Policies{Store: s.store, Resolver: announced("v=STSv1; id=" + served.ID()), HTTP: client, Now: s.now}
	p, err := policies.For(t.Context(), "example.org")
	s.must(err)
	if !p.Enforced() || !p.Matches("mail.example.org") || p.Matches("mx.example.net") || p.ID != served.ID() || !p.Expires.Equal(s.now().Add(served.MaxAge)) {
		t.Errorf("the policy is understood as %+v", p)
	}
	if p, err := policies.For(t.Context(), "example.net"); err != nil || p.Enforced() {
		t.Errorf("of another domain: %+v, %v", p, err)
	}
}

func TestAutoconfig(t *testing.T) {
	s := publicSite(t)
	const short, long = "/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml"
	for name, h := range s.handlers() {
		for _, test := range []struct {
			host, path string
			code       int
		}{
			{"autoconfig.example.org", short, 200},
			{"autoconfig.example.org", short + "?emailaddress=alice%40example.org", 200},
			{"autoconfig.example.org:80", short + "?emailaddress=%25EMAILADDRESS%25", 200},
			{"example.org", long + "?emailaddress=alice@EXAMPLE.org", 200},
			{"mail.example.org", long + "?emailaddress=alice@example.org", 200},
			{"example.org", long, 200},
			{"autoconfig.example.net", short, 404},
			{"autoconfig.backup.example", short, 404},
			{"mail.example.org", short, 404},
			{"mail.example.org", short + "?emailaddress=alice@example.net", 404},
			{"mail.example.org", short + "?emailaddress=<script>@x", 404},
		} {
			a := ask(t, h, "GET", test.host, test.path)
			if a.code != test.code {
				t.Errorf("%s, %s%s: %d, %s", name, test.host, test.path, a.code, a.body)
			}
			if a.code == 200 {
				checkSettings(t, a)
			}
			if a.header.Get("Content-Security-Policy") == "" {
				t.Errorf("%s, %s: header %v", name, test.host, a.header)
			}
		}
	}
	if a := ask(t, s.server.Public(), "GET", "mail.example.org", "/login"); a.code != 404 {
		t.Errorf("the public handler shows pages: %d", a.code)
	}
}

func checkSettings(t *testing.T, a answer) {
	t.Helper()
	var got settings
	if err := xml.NewDecoder(bytes.NewBufferString(a.body)).Decode(&got); err != nil {
		t.Fatal(err)
	}
	p := got.Provider
	if got.Version != "1.1" || p.ID != "example.org" || p.Domain != "example.org" || len(p.Incoming) != 1 || len(p.Outgoing) != 2 {
		t.Errorf("settings: %+v", got)
		return
	}
	want := []mailServer{
		{"pop3", "mail.example.org", 995, "SSL", "%EMAILADDRESS%", "password-cleartext"},
		{"smtp", "mail.example.org", 465, "SSL", "%EMAILADDRESS%", "password-cleartext"},
		{"smtp", "mail.example.org", 587, "STARTTLS", "%EMAILADDRESS%", "password-cleartext"},
	}
	for i, server := range append(p.Incoming, p.Outgoing...) {
		if server != want[i] {
			t.Errorf("server %d is %+v, want %+v", i, server, want[i])
		}
	}
	if !strings.HasPrefix(a.header.Get("Content-Type"), "text/xml") {
		t.Errorf("its type is %s", a.header.Get("Content-Type"))
	}
}

// Whatever the names hold, it stays text.
func TestAutoconfigEscapes(t *testing.T) {
	s := newSettings(`<b>&"'`, zone.Server{Hostname: "]]><x/>", Ports: zone.Ports{POP3: 110}})
	text, err := xml.Marshal(s)
	if err != nil || strings.Contains(string(text), "<b>") || strings.Contains(string(text), "<x/>") {
		t.Errorf("%s, %v", text, err)
	}
}

// Nobody changes anything there.
func TestPublicMethods(t *testing.T) {
	s := publicSite(t)
	for _, method := range []string{"POST", "PUT", "DELETE"} {
		if a := ask(t, s.server.Handler(), method, "mta-sts.example.org", "/.well-known/mta-sts.txt"); a.code < 400 {
			t.Errorf("%s: %d", method, a.code)
		}
	}
	if a := ask(t, s.server.Handler(), "HEAD", "mta-sts.example.org", "/.well-known/mta-sts.txt"); a.code != 200 {
		t.Errorf("HEAD: %d", a.code)
	}
}
