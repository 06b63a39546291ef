package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postroom/cmd/postroom/bench"
	"postroom/store/admin"
	"postroom/store/zone"
)

// get asks a server for a page under one of its names, and returns the answer's
// status and text.
func get(t *testing.T, client *http.Client, url, at string) (status int, text string) {
	t.Helper()
	ctx := context.WithValue(t.Context(), dialTo{}, at)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// dialTo is the key of the address that a request goes to, whatever its name is.
type dialTo struct{}

func clientTo(transport *http.Transport) *http.Client {
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, ctx.Value(dialTo{}).(string))
	}
	transport.DisableKeepAlives = true
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// A running server says what its DNS must say as it is: with its real ports and the
// policy that it serves.
func TestServedDNS(t *testing.T) {
	dns, err := bench.StartDNS("example.org. 60 IN MX 10 mail.example.org.", "mail.example.org. 60 IN A 127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dns.Close)
	dir := t.TempDir()
	file := filepath.Join(dir, "postroom.toml")
	text := "hostname = \"mail.example.org\"\ndata = \"data\"\n[listen]\nmetrics = []\nhttp = [\"127.0.0.1:0\"]\nhttps = [\"127.0.0.1:0\"]\n" +
		"[dns]\nservers = [\"" + dns.Addr + "\"]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startWith(t, file)
	ask := func(into any, status int, args ...string) {
		t.Helper()
		cmd := command(t, dir, nil, append([]string{"--config", file}, args...)...)
		out, err := cmd.Output()
		if got := exitStatus(t, err); got != status {
			t.Errorf("%q: exit status %d, want %d", args, got, status)
		}
		if into != nil {
			if err := json.Unmarshal(out, into); err != nil {
				t.Fatalf("%q: %v: %s", args, err, out)
			}
		}
	}
	ask(nil, statusDone, "domain", "add", "example.org")
	var r zone.Report
	ask(&r, statusFailed, "check", "dns", "example.org", "--json")
	byName := make(map[string]zone.Record)
	for _, rec := range r.Records {
		byName[rec.Type+" "+rec.Name] = rec
	}
	_, port, _ := net.SplitHostPort(s.ports["submissions"])
	if srv := byName["SRV _submissions._tcp.example.org"]; srv.Value != "0 1 "+port+" mail.example.org." || srv.State != zone.Missing {
		t.Errorf("submissions: %+v", srv)
	}
	if mx := byName["MX example.org"]; mx.State != zone.Right {
		t.Errorf("MX: %+v", mx)
	}
	if sts := byName["TXT _mta-sts.example.org"]; sts.Level != zone.Recommended || sts.State != zone.Missing {
		t.Errorf("MTA-STS: %+v", sts)
	}

	var concerns []admin.Concern
	ask(&concerns, statusDone, "concerns", "--json")
	if !slices.ContainsFunc(concerns, func(c admin.Concern) bool {
		return c.Key == "dns example.org" && strings.HasPrefix(c.Text, "The DNS doesn't say")
	}) {
		t.Errorf("concerns: %+v", concerns)
	}

	tls := trusting(t, filepath.Join(dir, "data"))
	secure := clientTo(&http.Transport{TLSClientConfig: tls})
	status, policy := get(t, secure, "https://mta-sts.example.org/.well-known/mta-sts.txt", s.ports["https"])
	if status != http.StatusOK || policy != "version: STSv1\r\nmode: testing\r\nmx: mail.example.org\r\nmax_age: 86400\r\n" {
		t.Errorf("the policy: %d, %q", status, policy)
	}
	if status, _ := get(t, secure, "https://mta-sts.example.net/.well-known/mta-sts.txt", s.ports["https"]); status != http.StatusNotFound {
		t.Errorf("the policy of a strange domain: %d", status)
	}
	plain := clientTo(&http.Transport{})
	status, settings := get(t, plain, "http://autoconfig.example.org/mail/config-v1.1.xml", s.ports["http"])
	if status != http.StatusOK || !strings.Contains(settings, "<port>"+port+"</port>") || !strings.Contains(settings, "<hostname>mail.example.org</hostname>") {
		t.Errorf("the settings: %d, %s", status, settings)
	}
	if code := s.end(os.Interrupt); code != 0 {
		t.Errorf("it ended with %d", code)
	}
}
