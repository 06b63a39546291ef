package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postroom/cmd/postroom/bench"
	"postroom/store/zone"
)

func TestListeningAddresses(t *testing.T) {
	for addrs, want := range map[string]string{
		"0.0.0.0:25": "everywhere", ":25": "everywhere", "127.0.0.1:25 [::]:25": "everywhere",
		"1.1.1.1:25 [2620:fe::9]:25 1.1.1.1:2525 127.0.0.1:25":   "1.1.1.1 2620:fe::9",
		"127.0.0.1:25 10.0.0.1:25 192.0.2.1:25 [2001:db8::1]:25": "", "": "",
	} {
		var got []string
		list, everywhere := listeningAddresses(strings.Fields(addrs))
		for _, ip := range list {
			got = append(got, ip.String())
		}
		if everywhere {
			got = append(got, "everywhere")
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %v, want %s", addrs, got, want)
		}
	}
}

func TestZoneServer(t *testing.T) {
	c := defaults()
	c.Hostname, c.Delivery.Smarthost, c.Listen.POP3 = "Mail.example.org", "smtp.far.net:587", nil
	p := &program{current: func() *Config { return c }}
	s := zoneServer(c, p.configured)
	if s.Hostname != "mail.example.org" || s.Relay != "smtp.far.net" || !s.Signs || s.STS != "testing" ||
		s.Ports != (zone.Ports{SMTP: 25, Submission: 587, Submissions: 465, POP3S: 995}) {
		t.Errorf("%+v", s)
	}
	for _, ip := range slices.Concat(s.Sending, s.Own) {
		if !isReachable(ip) {
			t.Errorf("mail leaves from %s", ip)
		}
	}
	if s := zoneServer(localDefaults(), p.configured); s.Sending != nil || s.Addresses != nil || s.STS != "off" {
		t.Errorf("in local mode: %+v", s)
	}
}

func TestWatchZones(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		begin := time.Now()
		var looks []time.Duration
		outcomes := []error{nil, errors.New("disk full"), nil, nil}
		var said bytes.Buffer
		look := func(context.Context) ([]zone.Report, error) {
			looks = append(looks, time.Since(begin))
			r := zone.Report{Domain: "example.org", OK: len(looks) != 3, Records: []zone.Record{{State: zone.Right}}}
			if len(looks) == 3 {
				r.Records[0].State = zone.Unknown
			}
			err := outcomes[len(looks)-1]
			if len(looks) == len(outcomes) {
				stop()
			}
			return []zone.Report{r}, err
		}
		if err := watchZones(ctx, look, slog.New(slog.NewTextHandler(&said, nil))); err != nil {
			t.Error(err)
		}
		want := []time.Duration{time.Minute, time.Minute + 24*time.Hour, time.Minute + 25*time.Hour, time.Minute + 26*time.Hour}
		if !slices.Equal(looks, want) {
			t.Errorf("it looked after %v, want %v", looks, want)
		}
		if text := said.String(); strings.Count(text, "doesn't say what it must") != 1 || strings.Count(text, "disk full") != 1 {
			t.Errorf("it said:\n%s", text)
		}
	})
}

// dnsCommand runs check dns in a folder with a configuration, and returns its exit
// status and what it printed.
func dnsCommand(t *testing.T, file string, args ...string) (status int, out, failed string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	s := &shell{in: strings.NewReader(""), out: &stdout, err: &stderr, configFlag: file}
	status = run(t.Context(), append([]string{"--config", file}, args...), s)
	return status, stdout.String(), stderr.String()
}

func TestCheckDNS(t *testing.T) {
	records := []string{
		"example.org. 60 IN MX 10 mail.example.org.", "mail.example.org. 60 IN A 127.0.0.9", "9.0.0.127.in-addr.arpa. 60 IN PTR mail.example.org.",
		`example.org. 60 IN TXT "v=spf1 mx ~all"`, `_dmarc.example.org. 60 IN TXT "v=DMARC1; p=reject"`,
	}
	file := filepath.Join(t.TempDir(), "postroom.toml")
	serve := func(records ...string) {
		t.Helper()
		dns, err := bench.StartDNS(records...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(dns.Close)
		text := "hostname = \"mail.example.org\"\ndata = \"" + filepath.Join(filepath.Dir(file), "data") + "\"\n" +
			"[listen]\nsmtp = [\"127.0.0.1:2525\"]\n[dns]\nservers = [\"" + dns.Addr + "\"]\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	serve(records...)
	for _, args := range [][]string{{"domain", "add", "example.org"}, {"source", "add", "127.0.0.9"}} {
		if status, _, failed := dnsCommand(t, file, args...); status != 0 {
			t.Fatal(failed)
		}
	}
	status, out, failed := dnsCommand(t, file, "check", "dns", "example.org", "--json")
	var r zone.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err, out)
	}
	if status != statusFailed || r.OK || !strings.Contains(failed, "required records aren't right yet: example.org") {
		t.Errorf("without keys: %d, %s\n%s", status, failed, out)
	}
	for _, rec := range r.Records {
		if rec.Purpose == zone.DKIM {
			for i := 0; i < len(rec.Value); i += 200 {
				rec.Found = append(rec.Found, `"`+rec.Value[i:min(i+200, len(rec.Value))]+`"`)
			}
			records = append(records, rec.Name+". 60 IN TXT "+strings.Join(rec.Found, " "))
		}
	}
	serve(records...)
	status, out, failed = dnsCommand(t, file, "check", "dns", "example.org")
	if status != 0 || failed != "" || !strings.HasPrefix(out, "example.org: all that is required is right\n") {
		t.Errorf("with all: %d, %s\n%s", status, failed, out)
	}
	for _, want := range []string{"right        MX     example.org\n", "missing      TXT    _mta-sts.example.org\n             value    v=STSv1; id="} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
	if _, out, _ = dnsCommand(t, file, "check", "dns", "--json"); !strings.HasPrefix(out, "[\n") {
		t.Errorf("all as JSON:\n%.200s", out)
	}
	if _, out, _ = dnsCommand(t, file, "check", "dns", "--zone"); !strings.Contains(out, "\nexample.org. 3600 IN MX 10 mail.example.org.\n") {
		t.Errorf("as a zone file:\n%s", out)
	}
	if status, _, failed = dnsCommand(t, file, "check", "dns", "example.net"); status != statusFailed || !strings.Contains(failed, "There is no domain example.net here") {
		t.Errorf("of a strange domain: %d, %s", status, failed)
	}
}

// In local mode it shows what the DNS must say, and asks nobody.
func TestCheckDNSInLocalMode(t *testing.T) {
	t.Chdir(t.TempDir())
	local := func(args ...string) (int, string, string) {
		var stdout, stderr bytes.Buffer
		status := run(t.Context(), args, &shell{in: strings.NewReader(""), out: &stdout, err: &stderr})
		return status, stdout.String(), stderr.String()
	}
	if status, out, _ := local("check", "dns"); status != 0 || out != "No domains yet: postroom domain add example.org\n" {
		t.Errorf("without domains: %d, %s", status, out)
	}
	if status, _, failed := local("domain", "add", "example.test"); status != 0 {
		t.Fatal(failed)
	}
	status, out, failed := local("check", "dns", "example.test")
	if status != 0 || failed != "" {
		t.Errorf("%d, %s", status, failed)
	}
	for _, want := range []string{"(not asked in local mode)", "required     MX     example.test\n             value    10 mail.example.test.\n", "v=DKIM1"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
	status, out, _ = local("check", "dns", "example.test", "--json")
	var r zone.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || status != 0 || r.NotAsked != "not asked in local mode" || r.Records[0].State != zone.Unknown {
		t.Errorf("%v, %d: %+v", err, status, r)
	}
}
