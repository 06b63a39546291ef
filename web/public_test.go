package web

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
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

const outlookAsks = `<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request>
<EMailAddress>%s</EMailAddress>
<AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema>
</Request></Autodiscover>`

// post posts a document to a handler under a name.
func post(t *testing.T, h http.Handler, host, path, body string) answer {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "POST", "http://"+host+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "text/xml")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return answer{code: w.Code, header: w.Header(), body: w.Body.String()}
}

// An outlookReading is an answer as Outlook understands it.
type outlookReading struct {
	XMLName  xml.Name `xml:"http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006 Autodiscover"`
	Response struct {
		XMLName xml.Name
		Account struct {
			AccountType, Action string
			Protocol            []outlookProtocol
		}
		Error struct {
			ErrorCode int
			Message   string
		}
	}
}

func TestAutodiscover(t *testing.T) {
	s := publicSite(t)
	for name, h := range s.handlers() {
		for _, path := range OutlookPaths {
			a := post(t, h, "autodiscover.example.org", path, fmt.Sprintf(outlookAsks, "Alice@Example.org"))
			var got outlookReading
			if err := xml.Unmarshal([]byte(a.body), &got); err != nil || a.code != 200 || a.header.Get("Content-Type") != "text/xml; charset=utf-8" {
				t.Fatalf("%s: %d, %v, %s", name, a.code, err, a.body)
			}
			account := got.Response.Account
			if got.Response.XMLName.Space != outlookSettings || account.AccountType != "email" || account.Action != "settings" {
				t.Errorf("%s: %+v", name, got)
			}
			want := []outlookProtocol{
				{"POP3", "mail.example.org", 995, "Alice@example.org", "off", "off", "on", "SSL", "on", "", ""},
				{"SMTP", "mail.example.org", 465, "Alice@example.org", "off", "off", "on", "SSL", "on", "on", "off"},
				{"SMTP", "mail.example.org", 587, "Alice@example.org", "off", "off", "on", "TLS", "on", "on", "off"},
			}
			if !slices.Equal(account.Protocol, want) {
				t.Errorf("%s: %+v", name, account.Protocol)
			}
		}
	}
}

// Who asks for something else gets no page, no repetition and no news of accounts.
func TestAutodiscoverRefuses(t *testing.T) {
	s := publicSite(t)
	h := s.server.Handler()
	path := OutlookPaths[0]
	there, nobody := fmt.Sprintf(outlookAsks, boss), fmt.Sprintf(outlookAsks, "nobody@example.org")
	if a, b := post(t, h, "example.org", path, there), post(t, h, "example.org", path, nobody); a.code != b.code || strings.ReplaceAll(a.body, boss, "nobody@example.org") != b.body {
		t.Error("it tells who has an account")
	}
	for it, address := range map[string]string{"of a strange domain": "a@example.net", "of a backup domain": "a@backup.example"} {
		if a := post(t, h, "example.org", path, fmt.Sprintf(outlookAsks, address)); a.code != 404 || strings.Contains(a.body, address) {
			t.Errorf("%s: %d, %s", it, a.code, a.body)
		}
	}
	bomb := `<!DOCTYPE x [<!ENTITY a "evil"><!ENTITY b "&a;&a;">]>` + fmt.Sprintf(outlookAsks, "&b;@example.org")
	for it, body := range map[string]string{
		"nothing": "", "no XML": "evil", "another document": "<evil/>", "no address": fmt.Sprintf(outlookAsks, ""), "a tag": fmt.Sprintf(outlookAsks, "&lt;evil&gt;@example.org"),
		"a quoted address": fmt.Sprintf(outlookAsks, "\"evil\"@example.org"), "two addresses": fmt.Sprintf(outlookAsks, "evil@example.org, b@example.org"),
		"a phone": strings.Replace(there, "outlook/responseschema/2006a", "mobilesync/responseschema/2006", 1), "a bomb": bomb, "too much": there + strings.Repeat(" ", maxOutlookRequest),
	} {
		a := post(t, h, "example.org", path, body)
		var got outlookReading
		if err := xml.Unmarshal([]byte(a.body), &got); err != nil || got.Response.Error.ErrorCode != 600 || strings.Contains(a.body, "evil") || len(got.Response.Account.Protocol) > 0 {
			t.Errorf("%s: %d, %v, %s", it, a.code, err, a.body)
		}
	}
	ask(t, h, "GET", "autodiscover.example.org", path).has(t, http.StatusOK, "<ErrorCode>600</ErrorCode>", "Outlook asks for mail settings")
	if a := post(t, h, "example.org", path, strings.Repeat("x", maxBody+1)); a.code != http.StatusRequestEntityTooLarge {
		t.Errorf("a long body: %d", a.code)
	}
}

func FuzzParseOutlook(f *testing.F) {
	f.Add(fmt.Sprintf(outlookAsks, "alice@example.org"))
	f.Add(fmt.Sprintf(outlookAsks, `"a b"@example.org`))
	f.Add("<Autodiscover><Request/></Autodiscover>")
	f.Fuzz(func(t *testing.T, body string) {
		address, err := parseOutlook([]byte(body))
		if err != nil {
			return
		}
		local, domain, ok := strings.Cut(address, "@")
		if !ok || local == "" || domain == "" || len(address) > maxAddress || strings.ContainsAny(address, "<>\"\r\n \x00") {
			t.Fatalf("took %q for an address", address)
		}
		p, err := outlookPublication(outlookDocument{Response: newOutlookAccount(address, zone.Server{Hostname: "mail.example.org", Ports: zone.Ports{POP3S: 995, Submissions: 465}})})
		if err != nil {
			t.Fatal(err)
		}
		var got outlookReading
		if err := xml.Unmarshal([]byte(p.text), &got); err != nil || len(got.Response.Account.Protocol) != 2 || got.Response.Account.Protocol[0].LoginName != address {
			t.Fatalf("%q is answered %s, %v", address, p.text, err)
		}
	})
}

// readPlist reads the dictionaries of a property list, those inside one after the
// other.
func readPlist(t *testing.T, text string) []map[string]string {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	var open, done []map[string]string
	var key string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return done
		}
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		switch e := token.(type) {
		case xml.StartElement:
			switch name := e.Name.Local; name {
			case "dict":
				open = append(open, make(map[string]string))
			case "true", "false":
				open[len(open)-1][key] = name
			case "key", "string", "integer":
				var value string
				if err := d.DecodeElement(&value, &e); err != nil {
					t.Fatal(err)
				}
				if name == "key" {
					key = value
				} else {
					open[len(open)-1][key] = value
				}
			}
		case xml.EndElement:
			if e.Name.Local == "dict" {
				done = append(done, open[len(open)-1])
				open = open[:len(open)-1]
			}
		}
	}
}

func TestAppleProfile(t *testing.T) {
	s := publicSite(t)
	const path = "/apple.mobileconfig?emailaddress="
	for name, h := range s.handlers() {
		a := ask(t, h, "GET", "mail.example.org", path+"o'hara%2Bx%26y@Example.org")
		a.has(t, http.StatusOK, "<!DOCTYPE plist")
		if a.header.Get("Content-Type") != "application/x-apple-aspen-config" || a.header.Get("Content-Disposition") != `attachment; filename="example.org.mobileconfig"` {
			t.Errorf("%s: header %v", name, a.header)
		}
		dicts := readPlist(t, a.body)
		if len(dicts) != 2 {
			t.Fatalf("%s: %d dictionaries: %s", name, len(dicts), a.body)
		}
		mail, profile := dicts[0], dicts[1]
		for key, want := range map[string]string{
			"PayloadType": "com.apple.mail.managed", "EmailAccountType": "EmailTypePOP", "EmailAddress": "o'hara+x&y@example.org",
			"IncomingMailServerHostName": "mail.example.org", "IncomingMailServerPortNumber": "995", "IncomingMailServerUseSSL": "true", "IncomingMailServerUsername": "o'hara+x&y@example.org",
			"OutgoingMailServerHostName": "mail.example.org", "OutgoingMailServerPortNumber": "465", "OutgoingMailServerUseSSL": "true", "OutgoingMailServerUsername": "o'hara+x&y@example.org",
			"OutgoingPasswordSameAsIncomingPassword": "true",
		} {
			if mail[key] != want {
				t.Errorf("%s: %s is %q, want %q", name, key, mail[key], want)
			}
		}
		uuid := regexp.MustCompile(`^[0-9A-F]{8}-[0-9A-F]{4}-8[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$`)
		if profile["PayloadType"] != "Configuration" || !uuid.MatchString(mail["PayloadUUID"]) || !uuid.MatchString(profile["PayloadUUID"]) || mail["PayloadUUID"] == profile["PayloadUUID"] {
			t.Errorf("%s: %v, %v", name, profile, mail)
		}
		if again := ask(t, h, "GET", "mail.example.org", path+"o'hara%2Bx%26y@example.org"); again.body != a.body {
			t.Errorf("%s: the second one differs", name)
		}
		if other := readPlist(t, ask(t, h, "GET", "mail.example.org", path+"alice@example.org").body); other[1]["PayloadUUID"] == profile["PayloadUUID"] {
			t.Errorf("%s: two accounts have the same UUID", name)
		}
		for _, wrong := range []string{"", "alice", "alice@example.net", "alice@backup.example", "a<b>@example.org", "a%0d%0ab@example.org"} {
			if a := ask(t, h, "GET", "mail.example.org", path+wrong); a.code != http.StatusNotFound || strings.Contains(a.body, "alice") {
				t.Errorf("%s: of %q: %d, %s", name, wrong, a.code, a.body)
			}
		}
	}
	s.admin.Server = func() zone.Server { return zone.Server{Hostname: "mail.example.org", Ports: zone.Ports{POP3S: 995}} }
	ask(t, s.server.Handler(), "GET", "mail.example.org", path+"alice@example.org").has(t, http.StatusNotFound)
}
