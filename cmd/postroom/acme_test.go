package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"postroom/delivery/resolver"
	"postroom/store/admin"
)

// acmeSite is a client of an authority that answers challenges by DNS.
func acmeSite(t *testing.T, a *authority, names *nameServer, now *time.Time) (*acmeClient, *Config) {
	t.Helper()
	conf := defaults()
	conf.Hostname, conf.Data = "Mail.Example.org", t.TempDir()
	conf.DNS.Servers = []string{names.addr}
	conf.TLS = TLSConfig{
		ACME: true, ACMEDirectory: a.directory, ACMERoots: a.rootsFile,
		ACMEDNS: names.addr, ACMETSIGName: strings.TrimSuffix(updateKey, "."), ACMETSIGSecret: updateSecret,
	}
	certs := quietCertificates(now)
	if err := certs.load(conf); err != nil {
		t.Fatal(err)
	}
	lookups := &resolver.Resolver{Servers: conf.DNS.Servers, Log: slog.New(slog.DiscardHandler)}
	return &acmeClient{
		certs:   certs,
		log:     slog.New(slog.DiscardHandler),
		domains: func(context.Context) ([]admin.Domain, error) { return nil, nil },
		lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return lookups.LookupNetIP(ctx, "ip", host)
		},
		bound: func(string) net.Addr { return nil },
	}, conf
}

func TestACMEByDNSUpdates(t *testing.T) {
	now := time.Now()
	names := startNameServer(t, nil)
	a := newAuthority(t)
	client, conf := acmeSite(t, a, names, &now)

	again := client.look(t.Context(), conf)
	got := client.certs.status()[0]
	if got.Source != admin.CertificateSelfSigned || got.Error == "" || !got.NextTry.Equal(now.Add(time.Minute)) || !again.Equal(got.NextTry) {
		t.Errorf("while the authority is closed: %+v, again %v", got, again)
	}
	a.open(names, 1, 1)
	client.look(t.Context(), conf)
	if got := client.certs.status()[0]; got.Source != admin.CertificateSelfSigned {
		t.Errorf("tried before its time: %+v", got)
	}

	now = now.Add(time.Minute)
	again = client.look(t.Context(), conf)
	first := client.certs.shows(t, "")
	if err := a.verify(client.certs, "mail.example.org"); err != nil {
		t.Error(err)
	}
	got = client.certs.status()[0]
	if got.Source != admin.CertificateACME || got.Error != "" || got.DaysLeft != 89 || !again.Equal(now.Add(acmePause)) {
		t.Fatalf("%+v, again %v", got, again)
	}
	if names.updates != 2 || len(names.txt) != 0 {
		t.Errorf("%d updates, left %v", names.updates, names.txt)
	}
	key := newACMEStorage(conf)
	if info, err := os.Stat(key.Path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info, err)
	}
	if got := statusOnDisk(conf, now)[0]; got.Source != admin.CertificateACME || !got.NotAfter.Equal(first.NotAfter) {
		t.Errorf("on the disk: %+v", got)
	}

	client.look(t.Context(), conf)
	if !client.certs.shows(t, "").Equal(first) {
		t.Error("renewed a fresh one")
	}
	now = now.Add(61 * day)
	client.look(t.Context(), conf)
	second := client.certs.shows(t, "")
	if second.Equal(first) || second.PublicKey == first.PublicKey {
		t.Errorf("with a third left: status %+v", client.certs.status()[0])
	}

	a.answers.Store(nil)
	now = now.Add(61 * day)
	client.look(t.Context(), conf)
	if got := client.certs.status()[0]; !client.certs.shows(t, "").Equal(second) || got.Source != admin.CertificateACME || got.Error == "" {
		t.Errorf("when it can't be renewed: %+v", got)
	}
	restarted := quietCertificates(&now)
	if err := restarted.load(conf); err != nil || !restarted.shows(t, "mail.example.org").Equal(second) {
		t.Errorf("after a new start: %v, %+v", err, restarted.status())
	}
}

func TestACMERefusedUpdates(t *testing.T) {
	now := time.Now()
	names := startNameServer(t, nil)
	a := newAuthority(t)
	a.open(names, 1, 1)
	client, conf := acmeSite(t, a, names, &now)
	conf.TLS.ACMETSIGSecret = "d3Jvbmc="
	client.look(t.Context(), conf)
	if got := client.certs.status()[0]; got.Source != admin.CertificateSelfSigned || !strings.Contains(got.Error, "adding temporary record") {
		t.Errorf("with a wrong key: %+v", got)
	}
	if names.updates != 0 {
		t.Errorf("%d updates", names.updates)
	}
}

// A stop doesn't wait for an authority that hangs, and is no failure.
func TestACMEStops(t *testing.T) {
	now := time.Now()
	names := startNameServer(t, nil)
	a := newAuthority(t)
	asked, release := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(release) })
	var hang http.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-release
	})
	a.answers.Store(&hang)
	client, conf := acmeSite(t, a, names, &now)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		client.look(ctx, conf)
	}()
	<-asked
	cancel()
	<-ended
	if got := client.certs.status()[0]; got.Error != "" {
		t.Errorf("noted as a failure: %s", got.Error)
	}
}

func TestACMESaysWhatIsMissing(t *testing.T) {
	now := time.Now()
	names := startNameServer(t, nil)
	a := newAuthority(t)
	for _, test := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.TLS.ACMEDNS = "" }, "set listen.http (port 80), listen.https (port 443) or tls.acme_dns"},
		{func(c *Config) { c.TLS.ACMERoots = "/none.pem" }, "tls.acme_roots: /none.pem: no such file"},
		{func(c *Config) { c.TLS.ACMERoots = write(t, "bad.pem", "garbage") }, "holds no certificate"},
		{func(*Config) {}, "503"},
	} {
		client, conf := acmeSite(t, a, names, &now)
		test.change(conf)
		client.look(t.Context(), conf)
		if got := client.certs.status()[0]; !strings.Contains(got.Error, test.want) || got.NextTry.IsZero() {
			t.Errorf("status %+v, want %q", got, test.want)
		}
	}
}

func TestACMEWantsNamesThatLeadHere(t *testing.T) {
	now := time.Now()
	names := startNameServer(t, map[string]string{
		"mail.example.org": "198.51.100.77", "mta-sts.example.org": "198.51.100.77", "autoconfig.example.org": "203.0.113.77", "mta-sts.example.net": "127.0.0.1",
	})
	client, conf := acmeSite(t, newAuthority(t), names, &now)
	domains := []admin.Domain{{Name: "example.org"}, {Name: "example.net"}, {Name: "backup.example", Backup: true}}
	client.domains = func(context.Context) ([]admin.Domain, error) { return domains, nil }
	wanted := func() (here []string) {
		for _, w := range client.wanted(t.Context(), conf) {
			if w.here {
				here = append(here, w.name)
			}
		}
		return here
	}
	if got := strings.Join(wanted(), " "); got != "mail.example.org" {
		t.Errorf("without listen.https: %s", got)
	}
	conf.Listen.HTTPS = []string{"0.0.0.0:443"}
	if got := strings.Join(wanted(), " "); got != "mail.example.org mta-sts.example.org mta-sts.example.net" {
		t.Errorf("wants %s", got)
	}
	domains = domains[:1]
	if got := strings.Join(wanted(), " "); got != "mail.example.org mta-sts.example.org" {
		t.Errorf("after a domain has gone: %s", got)
	}
}

func TestRetryAfter(t *testing.T) {
	before := time.Duration(0)
	var sum time.Duration
	for failures := 1; failures <= 7; failures++ {
		wait := retryAfter(failures)
		if wait <= before {
			t.Errorf("after %d failures waits %v", failures, wait)
		}
		before, sum = wait, sum+wait
		if failures == 5 && sum < time.Hour {
			t.Errorf("five failures within %v", sum)
		}
	}
	if got := retryAfter(100); got != before {
		t.Errorf("after 100: %v", got)
	}
}
