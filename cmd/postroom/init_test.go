package main

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// runCommand runs the program inside this process and returns what it printed.
func runCommand(t *testing.T, stdin string, environ []string, args ...string) (out, errs string, status int) {
	t.Helper()
	var o, e bytes.Buffer
	status = run(t.Context(), args, &shell{in: strings.NewReader(stdin), out: &o, err: &e, environ: environ})
	return o.String(), e.String(), status
}

func TestInitWritesTheDefaults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new.toml")
	out, errs, status := runCommand(t, "", nil, "init", "--hostname", "mx.example.org", "--data", "/srv/mail", "--output", file)
	if status != statusDone {
		t.Fatalf("status %d: %s", status, errs)
	}
	for _, step := range []string{"1. ", "2. ", "3. ", "prints a link", "domain add example.org", "--config " + file, "check certificate", "check dns example.org"} {
		if !strings.Contains(out, step) {
			t.Errorf("doesn't say %q:\n%s", step, out)
		}
	}
	got, err := loadConfig(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.Hostname, want.Data, want.TLS.ACME, want.File = "mx.example.org", "/srv/mail", true, file
	want.Listen.HTTPS, want.Listen.HTTP = []string{"0.0.0.0:443"}, []string{"0.0.0.0:80"}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

func TestInitAsks(t *testing.T) {
	out, errs, status := runCommand(t, "mail.example.net\n\n", nil, "init", "-o", "-")
	if status != statusDone {
		t.Fatalf("status %d: %s", status, errs)
	}
	if !strings.Contains(errs, "Name of this server") || !strings.Contains(errs, "Folder for the mail [/var/lib/postroom]") {
		t.Errorf("asked %q", errs)
	}
	c := defaults()
	if err := c.parse([]byte(out)); err != nil || c.Hostname != "mail.example.net" || c.Data != "/var/lib/postroom" {
		t.Errorf("wrote %q, %q, %v", c.Hostname, c.Data, err)
	}
}

func TestInitWritesOverNothing(t *testing.T) {
	file := writeConfig(t, "precious")
	args := []string{"init", "--hostname", "mail.example.org", "--data", "/srv/mail", "--output", file}
	if _, errs, status := runCommand(t, "", nil, args...); status != statusFailed || !strings.Contains(errs, "--force") {
		t.Errorf("status %d: %s", status, errs)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "precious" {
		t.Errorf("the file now holds %q, %v", text, err)
	}
	if _, errs, status := runCommand(t, "", nil, append(args, "--force")...); status != statusDone {
		t.Errorf("status %d: %s", status, errs)
	}
}

func TestInitWritesTheConfigurationThatIsNamed(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, test := range []struct {
		environ []string
		args    []string
		file    string
		flag    string // in what comes next
	}{
		{nil, nil, "postroom.toml", ""},
		{nil, []string{"--config", "flag.toml"}, "flag.toml", " --config flag.toml"},
		{[]string{"POSTROOM_CONFIG=env.toml"}, nil, "env.toml", ""},
		{[]string{"POSTROOM_CONFIG=env2.toml"}, []string{"--output", "other.toml"}, "other.toml", " --config other.toml"},
	} {
		out, errs, status := runCommand(t, "", test.environ, append([]string{"init", "--hostname", "mail.example.org"}, test.args...)...)
		if status != statusDone || errs != "" || !strings.Contains(out, "postroom"+test.flag+" serve") {
			t.Errorf("%v %v: status %d: %s%s", test.environ, test.args, status, errs, out)
		}
		if _, err := loadConfig(test.file, nil); err != nil {
			t.Error(err)
		}
	}
}

func TestInitHelp(t *testing.T) {
	if out, _, status := runCommand(t, "", nil, "init", "--help"); status != statusDone || !strings.Contains(out, "/var/lib/postroom") {
		t.Errorf("status %d:\n%s", status, out)
	}
}
