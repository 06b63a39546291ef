package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// writeConfig returns the path of a configuration file with the given text.
func writeConfig(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "postroom.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestConfigMistakes(t *testing.T) {
	for _, test := range []struct{ it, text, want string }{
		{"names an unknown key", "color = 1", "unknown key color"},
		{"names an unknown key of a table", "[smtp]\nspeed = 1", "unknown key smtp.speed"},
		{"names an unknown table", "[imap]\nport = 1", "unknown key imap"},
		{"proposes the key that was meant", "[smtp]\nmax_recipient = 1", "unknown key smtp.max_recipient; did you mean smtp.max_recipients?"},
		{"proposes the right table", "[smtp]\nsubmission = []", "unknown key smtp.submission; did you mean listen.submission?"},
		{"refuses a number for a string", "hostname = 5", "hostname: needs a string in quotes, not 5"},
		{"refuses a string for a number", "[smtp]\nmax_recipients = \"many\"", `smtp.max_recipients: needs a whole number, 1 or more, not "many"`},
		{"refuses a fraction", "[smtp]\nmax_recipients = 1.5", "smtp.max_recipients: needs a whole number, 1 or more, not 1.5"},
		{"refuses a number out of range", "[delivery]\nport = 70000", "delivery.port: needs a whole number from 1 to 65535, not 70000"},
		{"refuses a string for a list", "[listen]\nsmtp = \"0.0.0.0:25\"", `listen.smtp: needs a list of addresses such as "0.0.0.0:25", not "0.0.0.0:25"`},
		{"refuses an address without a port", "[listen]\nsmtp = [\"0.0.0.0\"]", `listen.smtp: needs a list of addresses such as "0.0.0.0:25", not "0.0.0.0"`},
		{"refuses a port that is none", "[listen]\npop3 = [\"0.0.0.0:99999\"]", `listen.pop3: needs a list of addresses such as "0.0.0.0:25", not "0.0.0.0:99999"`},
		{"refuses a size without sense", "[smtp]\nmax_message_size = \"big\"", `smtp.max_message_size: needs a size such as "50MB", not "big"`},
		{"refuses a bare number as a size", "[smtp]\nmax_message_size = 50", `smtp.max_message_size: needs a size such as "50MB", not 50`},
		{"refuses a duration without sense", "[delivery]\nexpire = \"soon\"", `delivery.expire: needs a duration such as "90s", "5m", "4h" or "5d", not "soon"`},
		{"refuses a retry of nothing", "[delivery]\nretry = []", "delivery.retry: needs at least one element"},
		{"refuses a wait of 0", "[delivery]\nretry = [\"0\"]", `delivery.retry: needs a list of durations such as "5m", not "0"`},
		{"refuses a word for a switch", "[auth]\nscram = \"yes\"", `auth.scram: needs true or false, not "yes"`},
		{"refuses another mode", "[inbound]\nspf = \"strict\"", `inbound.spf: needs one of off, mark, enforce, not "strict"`},
		{"refuses a network that is none", "[listen]\nproxy_trusted = [\"10.0.0.0/99\"]", `listen.proxy_trusted: needs a list of networks such as "10.0.0.0/8", not "10.0.0.0/99"`},
		{"refuses a key where a table stands", "smtp = true", "smtp: is a table: [smtp]"},
		{"refuses a table where a key stands", "[hostname]\nname = 1", "hostname: needs a string in quotes, not a table"},
		{"refuses a host name that is none", `hostname = "mail host"`, `hostname: needs a host name such as "mail.example.org", not "mail host"`},
		{"refuses a relay without a port", "[delivery]\nsmarthost = \"relay\"", `delivery.smarthost: needs "host:port", not "relay"`},
		{"refuses a relay at port 0", "[delivery]\nsmarthost = \"relay.example:0\"", `delivery.smarthost: needs "host:port", not "relay.example:0"`},
		{"refuses a relay whose name is none", "[delivery]\nfallback_relay = \"the relay:25\"", `delivery.fallback_relay: needs "host:port", not "the relay:25"`},
		{"refuses a relay without a name", "[delivery]\nfallback_relay = \":25\"", `delivery.fallback_relay: needs "host:port", not ":25"`},
		{"refuses an empty data folder", `data = ""`, "data: needs a folder"},
		{"refuses a certificate without its key", "[tls]\ncert = \"a.pem\"", "tls.cert and tls.key: one is of no use without the other"},
		{"refuses updates without a key", "[tls]\nacme_dns = \"127.0.0.1:53\"", "tls.acme_dns: needs tls.acme_tsig_name and tls.acme_tsig_secret too"},
		{"refuses a key that is none, and keeps it to itself", "[tls]\nacme_tsig_secret = \"geheim!\"", "tls.acme_tsig_secret: needs a key in base64"},
		{"refuses an authority without TLS", "[tls]\nacme_directory = \"http://ca.example/dir\"", "tls.acme_directory: needs a URL such as"},
		{"tells the line of what isn't TOML", "hostname = \"a.example\"\nsmtp ==", "line 2"},
		{"refuses a key twice", "reserve = \"1GB\"\nreserve = \"2GB\"", "reserve"},
	} {
		t.Run(test.it, func(t *testing.T) {
			file := writeConfig(t, test.text)
			_, err := loadConfig(file, nil)
			if err == nil {
				t.Fatal("took it")
			}
			if _, ok := err.(*UsageError); !ok {
				t.Errorf("error is a %T, not a usage error", err)
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got  %q\nwant %q in one line", err, test.want)
			}
		})
	}
}

func TestConfigFile(t *testing.T) {
	c, err := loadConfig(writeConfig(t, `
hostname = "mail.example.org"
smtp.max_message_size = "1.5MiB"
[listen]
smtp = []
web = ["127.0.0.1:0", "[::1]:8080"]
proxy_trusted = ["10.1.2.3/8", "192.0.2.7"]
[delivery]
retry = ["90s", "1d12h"]
delay_notice = "0"
[dns]
servers = ["127.0.0.1:5353", "9.9.9.9"]
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		key       string
		got, want any
	}{
		{"hostname", c.Hostname, "mail.example.org"},
		{"smtp.max_message_size", c.SMTP.MaxMessageSize, int64(3 << 19)},
		{"listen.smtp", c.Listen.SMTP, []string{}},
		{"listen.web", c.Listen.Web, []string{"127.0.0.1:0", "[::1]:8080"}},
		{"listen.proxy_trusted", c.Listen.ProxyTrusted[0].String() + " " + c.Listen.ProxyTrusted[1].String(), "10.0.0.0/8 192.0.2.7/32"},
		{"delivery.retry", c.Delivery.Retry, []time.Duration{90 * time.Second, 36 * time.Hour}},
		{"delivery.delay_notice", c.Delivery.DelayNotice, time.Duration(0)},
		{"dns.servers", c.DNS.Servers, []string{"127.0.0.1:5353", "9.9.9.9:53"}},
		{"listen.pop3, which is not in the file", c.Listen.POP3, []string{"0.0.0.0:110"}},
		{"local mode", c.LocalMode, false},
	} {
		if !reflect.DeepEqual(test.got, test.want) {
			t.Errorf("%s: got %v, want %v", test.key, test.got, test.want)
		}
	}
}

func TestConfigEnvironment(t *testing.T) {
	file := writeConfig(t, "[smtp]\nmax_recipients = 7\nmax_connections = 8")
	c, err := loadConfig(file, []string{
		"POSTROOM_LISTEN_SMTP=127.0.0.1:25, [::1]:25",
		"POSTROOM_LISTEN_POP3=",
		"POSTROOM_SMTP_MAX_RECIPIENTS=9",
		"POSTROOM_AUTH_REQUIRE_TLS=false",
		"POSTROOM_DELIVERY_RETRY=1m,2m",
		"POSTROOM_TRACE_REJECTED_KEEP=3d",
		"POSTROOM_BIN=/usr/bin/postroom",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.File = file
	want.Listen.SMTP = []string{"127.0.0.1:25", "[::1]:25"}
	want.Listen.POP3 = []string{}
	want.SMTP.MaxRecipients, want.SMTP.MaxConnections = 9, 8
	want.Auth.RequireTLS = false
	want.Delivery.Retry = []time.Duration{time.Minute, 2 * time.Minute}
	want.Trace.RejectedKeep = 3 * day
	if diff := cmp.Diff(want, c, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	if got := unknownVariables(c, []string{"POSTROOM_DATA=x", "POSTROOM_LISTEN_SMPT=y", "POSTROOM_CONFIG=z", "HOME=w"}); !reflect.DeepEqual(got, []string{"POSTROOM_LISTEN_SMPT"}) {
		t.Errorf("unknown variables: %v", got)
	}
}

func TestConfigEnvironmentMistakes(t *testing.T) {
	for _, test := range []struct{ variable, want string }{
		{"POSTROOM_SMTP_MAX_RECIPIENTS=many", `POSTROOM_SMTP_MAX_RECIPIENTS (key smtp.max_recipients): needs a whole number, 1 or more, not "many"`},
		{"POSTROOM_AUTH_SCRAM=perhaps", `POSTROOM_AUTH_SCRAM (key auth.scram): needs true or false, not "perhaps"`},
		{"POSTROOM_LISTEN_WEB=8080", `POSTROOM_LISTEN_WEB (key listen.web): needs a list of addresses such as "0.0.0.0:25", not "8080"`},
	} {
		if _, err := loadConfig("", []string{test.variable}); err == nil || err.Error() != test.want {
			t.Errorf("%s: got %v, want %s", test.variable, err, test.want)
		}
	}
}

func TestLocalModeIsOverriddenByTheEnvironment(t *testing.T) {
	c, err := loadConfig("", []string{"POSTROOM_DATA=/elsewhere", "POSTROOM_LISTEN_WEB="})
	if err != nil {
		t.Fatal(err)
	}
	if !c.LocalMode || c.Data != "/elsewhere" || len(c.Listen.Web) != 0 || c.Listen.SMTP[0] != "127.0.0.1:2525" {
		t.Errorf("got %+v", c)
	}
}

func TestFindConfig(t *testing.T) {
	t.Chdir(t.TempDir())
	env := func(string) string { return "env.toml" }
	none := func(string) string { return "" }
	if got := findConfig("", none); got != "" {
		t.Errorf("found %q where nothing is", got)
	}
	if err := os.WriteFile("postroom.toml", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, got := range map[string]string{
		"flag.toml":     findConfig("flag.toml", env),
		"env.toml":      findConfig("", env),
		"postroom.toml": findConfig("", none),
	} {
		if got != want {
			t.Errorf("found %q, want %q", got, want)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "4096": 4096, "50MB": 50e6, "2GB": 2e9, "1 KiB": 1024, "1.5mb": 1500000, "3TB": 3e12, "7B": 7, "1GiB": 1 << 30,
	} {
		got, err := parseSize(text)
		if err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
		if again, err := parseSize(formatSize(got)); err != nil || again != got {
			t.Errorf("%q: formatted as %q, read as %d, %v", text, formatSize(got), again, err)
		}
	}
	for _, text := range []string{"", "MB", "-1MB", "1XB", "1e9", "0x10", "1MB2", "99999999TB", "NaN", "inf"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q: read as %d", text, got)
		}
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "5d": 5 * day, "1m": time.Minute, "4h": 4 * time.Hour, "1h30m": 90 * time.Minute, "1d12h": 36 * time.Hour, "250ms": 250 * time.Millisecond,
	} {
		got, err := parseDuration(text)
		if err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
		if again, err := parseDuration(formatDuration(got)); err != nil || again != got {
			t.Errorf("%q: formatted as %q, read as %v, %v", text, formatDuration(got), again, err)
		}
	}
	for _, text := range []string{"", "5", "d", "-1d", "-5m", "5days", "1d-1h", "70000d"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q: read as %v", text, got)
		}
	}
}

func TestChangedKeys(t *testing.T) {
	old, conf := defaults(), defaults()
	conf.SMTP.MaxRecipients = 3
	conf.Listen.SMTP = nil
	conf.Data = "/elsewhere"
	now, later := changedKeys(old, conf)
	if !reflect.DeepEqual(now, []string{"smtp.max_recipients"}) || !reflect.DeepEqual(later, []string{"data", "listen.smtp"}) {
		t.Errorf("now %v, later %v", now, later)
	}
}

// Everything that can be set has a comment, a name of its own and a text form
// that reads back.
func TestKeys(t *testing.T) {
	c := defaults()
	seen := make(map[string]bool)
	for _, s := range sections(c) {
		for _, k := range s.keys {
			if seen[envName(k.path)] || k.doc == "" || !strings.HasPrefix(k.path, s.name) {
				t.Errorf("%s: a variable name that is taken, no comment, or the wrong section", k.path)
			}
			seen[envName(k.path)] = true
		}
	}
}
