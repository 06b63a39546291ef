package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postroom/store"
	"postroom/store/admin"
)

// shows returns the certificate that c shows to a client that asks for name.
func (c *certificates) shows(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	cert, err := c.config().GetCertificate(&tls.ClientHelloInfo{ServerName: name})
	if err != nil {
		t.Fatal(err)
	}
	return cert.Leaf
}

// quietCertificates returns certificates whose clock shows *now.
func quietCertificates(now *time.Time) *certificates {
	c := newCertificates(slog.New(slog.DiscardHandler))
	c.now = func() time.Time { return *now }
	return c
}

func TestSelfSignedCertificate(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	conf := defaults()
	conf.Hostname, conf.Data = "mail.example.org", t.TempDir()
	fresh := func() *certificates {
		c := quietCertificates(&now)
		if err := c.load(conf); err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := fresh().shows(t, "")
	roots := x509.NewCertPool()
	roots.AddCert(first)
	for _, name := range []string{"mail.example.org", "localhost", "127.0.0.1", "::1"} {
		if _, err := first.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: now}); err != nil {
			t.Errorf("as %s: %v", name, err)
		}
	}
	if info, err := os.Stat(filepath.Join(conf.Data, selfSignedFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}

	now = now.Add(selfSignedFor - selfSignedRenew - time.Hour)
	running := fresh()
	if !running.shows(t, "").Equal(first) {
		t.Error("made another one while the first was good")
	}
	now = now.Add(2 * time.Hour)
	if err := running.refresh(conf); err != nil {
		t.Fatal(err)
	}
	second := running.shows(t, "")
	if second.Equal(first) || !second.NotAfter.Equal(now.Add(selfSignedFor)) {
		t.Errorf("near its end: still the first, or until %v", second.NotAfter)
	}
	conf.Hostname = "MX.example.org"
	if got := fresh().shows(t, ""); got.VerifyHostname("mx.example.org") != nil {
		t.Errorf("after the name changed: for %v", got.DNSNames)
	}
	if err := os.WriteFile(filepath.Join(conf.Data, selfSignedFile), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := fresh().status()[0]; got.Source != admin.CertificateSelfSigned || got.Error != "" || got.DaysLeft != 800 {
		t.Errorf("status %+v", got)
	}
}

// selfSignedPEM returns a certificate for name with its key.
func selfSignedPEM(t *testing.T, name string) []byte {
	t.Helper()
	pem, err := makeSelfSigned(name, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return pem
}

func TestCertificateFiles(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	put := func(name string, content []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	one := put("one.pem", selfSignedPEM(t, "one.example.org"))
	two := put("two.pem", selfSignedPEM(t, "two.example.org"))
	c := quietCertificates(&now)
	conf := defaults()
	conf.Hostname, conf.Data = "one.example.org", t.TempDir()

	for _, test := range []struct{ cert, key, want string }{
		{filepath.Join(dir, "none.pem"), one, "tls.cert: " + filepath.Join(dir, "none.pem") + ": no such file"},
		{one, filepath.Join(dir, "none.key"), "tls.key: " + filepath.Join(dir, "none.key") + ": no such file"},
		{one, two, "private key does not match"},
		{put("bad.pem", []byte("not PEM")), one, "tls.cert: "},
	} {
		conf.TLS.Cert, conf.TLS.Key = test.cert, test.key
		err := c.load(conf)
		if got := c.status()[0]; err != nil || got.Source != admin.CertificateSelfSigned || !strings.Contains(got.Error, test.want) {
			t.Errorf("%v, status %+v; want the self-signed one, because %q", err, got, test.want)
		}
	}

	// says loads or refreshes and checks the name that is shown then.
	says := func(it string, action func(*Config) error, shown, trouble string) {
		t.Helper()
		if err := action(conf); err != nil {
			t.Fatal(err)
		}
		got := c.status()[0]
		if c.shows(t, "").DNSNames[0] != shown || !strings.Contains(got.Error, trouble) || (got.Error == "") != (trouble == "") {
			t.Errorf("%s: shows %v, status %+v", it, c.shows(t, "").DNSNames, got)
		}
	}
	conf.TLS.Cert, conf.TLS.Key = one, one
	says("right files", c.load, "one.example.org", "")
	if got := c.status()[0]; got.Source != admin.CertificateFile || got.File != one || got.DaysLeft != 799 {
		t.Errorf("status %+v", got)
	}
	put("one.pem", selfSignedPEM(t, "renewed.example.org"))
	if err := os.Chtimes(one, now, now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	says("files written anew", c.refresh, "renewed.example.org", "")
	put("one.pem", []byte("half a fi"))
	says("broken files", c.refresh, "renewed.example.org", "tls.cert: ")
	says("broken files again", c.load, "renewed.example.org", "tls.cert: ")
	put("one.pem", selfSignedPEM(t, "mended.example.org"))
	says("mended files", c.refresh, "mended.example.org", "")
	conf.TLS.Cert, conf.TLS.Key = "", ""
	says("none any more", c.load, "one.example.org", "")
	if got := c.config().MinVersion; got != tls.VersionTLS12 {
		t.Errorf("takes TLS %#x", got)
	}
}

func TestStatusOnDisk(t *testing.T) {
	conf := defaults()
	conf.Hostname, conf.Data = "mail.example.org", t.TempDir()
	now := time.Now()
	if got := statusOnDisk(conf, now); len(got) != 1 || got[0].Source != admin.CertificateSelfSigned || !got[0].NotAfter.IsZero() {
		t.Errorf("before the first start: %+v", got)
	}
	if left, err := os.ReadDir(conf.Data); err != nil || len(left) > 0 {
		t.Errorf("touched the folder: %v, %v", left, err)
	}
	if err := quietCertificates(&now).load(conf); err != nil {
		t.Fatal(err)
	}
	if got := statusOnDisk(conf, now)[0]; got.Names[0] != "mail.example.org" || got.DaysLeft < 799 {
		t.Errorf("after it: %+v", got)
	}
	conf.TLS.Cert, conf.TLS.Key = "none.pem", "none.key"
	if got := statusOnDisk(conf, now)[0]; got.Source != admin.CertificateFile || !strings.Contains(got.Error, "none.pem") {
		t.Errorf("a file that isn't there: %+v", got)
	}
}

func TestWorries(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	cert := func(source string, lasts, left time.Duration, trouble string, names ...string) admin.Certificate {
		c := admin.Certificate{Source: source, Names: names, Error: trouble}
		if lasts != 0 {
			c.NotAfter = now.Add(left)
			c.NotBefore, c.DaysLeft = c.NotAfter.Add(-lasts), int(left/day)
		}
		return c
	}
	const ours = "mail.example.org"
	for _, test := range []struct {
		it   string
		cert admin.Certificate
		want string
	}{
		{"says nothing of a good file", cert("file", 365*day, 15*day, "", ours), ""},
		{"says nothing of a star", cert("file", 365*day, 15*day, "", "*.example.org"), ""},
		{"counts down", cert("file", 365*day, 13*day, "", ours), "The certificate for mail.example.org ends in 13 days (on 2026-12-05)."},
		{"knows tomorrow", cert("file", 365*day, 25*time.Hour, "", ours), "The certificate for mail.example.org ends tomorrow (on 2026-11-23)."},
		{"names the hour", cert("file", 365*day, time.Hour, "", ours), "The certificate for mail.example.org ends within a day (at 2026-11-22 13:00 UTC)."},
		{"sees the end", cert("file", 365*day, -day, "", ours), "The certificate for mail.example.org ends on 2026-11-21 (it is over)."},
		{"bears six days", cert("acme", 6*day, 3*day, "", ours), ""},
		{"bears six days, but not to the end", cert("acme", 6*day, 20*time.Hour, "", ours), "The certificate for mail.example.org ends within a day (at 2026-11-23 08:00 UTC)."},
		{"sees a failed renewal", cert("acme", 90*day, 29*day, "no answer.", ours), "The certificate for mail.example.org, which ends in 29 days (on 2026-12-21), can't be renewed: no answer."},
		{"says what stands in", cert("self-signed", 800*day, 700*day, "no answer", ours), "The certificate for mail.example.org is only a self-signed one: no answer."},
		{"sees another's name", cert("file", 365*day, 300*day, "", "www.example.org"), "The certificate is for www.example.org, not for mail.example.org, which is this server's name."},
		{"takes a self-signed one for what was wanted", cert("self-signed", 800*day, day, "", ours), ""},
	} {
		t.Run(test.it, func(t *testing.T) {
			var want []store.Concern
			if test.want != "" {
				want = []store.Concern{{Key: "certificate mail.example.org", Text: test.want, Cure: certificatePage}}
			}
			if diff := cmp.Diff(want, worries([]admin.Certificate{test.cert}, ours, now)); diff != "" {
				t.Errorf("want (-), got (+):\n%s", diff)
			}
		})
	}
	list := []admin.Certificate{cert("acme", 90*day, 60*day, "", ours), cert("acme", 0, 0, "no answer", "mta-sts.example.org")}
	want := []store.Concern{{Key: "certificate mta-sts.example.org", Text: "There is no certificate for mta-sts.example.org: no answer.", Cure: certificatePage}}
	if diff := cmp.Diff(want, worries(list, ours, now)); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

// A concernBook keeps concerns in memory.
type concernBook map[string]store.Concern

func (b concernBook) Raise(_ context.Context, c store.Concern) error {
	b[c.Key] = c
	return nil
}

func (b concernBook) Clear(_ context.Context, key string) error {
	delete(b, key)
	return nil
}

func (b concernBook) Concerns(context.Context) ([]store.Concern, error) {
	return slices.Collect(maps.Values(b)), nil
}

func TestNoteConcerns(t *testing.T) {
	var log bytes.Buffer
	book := concernBook{"blocklist bl.example": {Key: "blocklist bl.example"}, "certificate gone.example.org": {Key: "certificate gone.example.org"}}
	note := func(text string) string {
		t.Helper()
		log.Reset()
		now := []store.Concern{{Key: "certificate mail.example.org", Text: text}}
		if err := noteConcerns(t.Context(), book, now, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
			t.Fatal(err)
		}
		return log.String()
	}
	if got := note("13 days"); strings.Count(got, "\n") != 2 || !strings.Contains(got, "13 days") || !strings.Contains(got, "gone.example.org") {
		t.Errorf("at first logs %s", got)
	}
	if got := slices.Sorted(maps.Keys(book)); !slices.Equal(got, []string{"blocklist bl.example", "certificate mail.example.org"}) {
		t.Errorf("keeps %v", got)
	}
	if got := note("13 days"); got != "" {
		t.Errorf("again logs %s", got)
	}
	if got := note("12 days"); !strings.Contains(got, "12 days") || book["certificate mail.example.org"].Text != "12 days" {
		t.Errorf("next day logs %s, keeps %v", got, book)
	}
}

func poolOf(t *testing.T, pem []byte) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate")
	}
	return pool
}
