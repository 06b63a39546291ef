package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// checkConfigOf runs the command on a configuration that listens nowhere but where
// text says.
func checkConfigOf(t *testing.T, text string, env ...string) (status int, out, failed string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "postroom.toml")
	text = strings.ReplaceAll(text, "DIR", dir)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, service := range []string{"SMTP", "SUBMISSION", "SUBMISSIONS", "POP3", "POP3S", "WEB", "METRICS"} {
		if !strings.Contains(text, "\n"+strings.ToLower(service)+" =") {
			env = append(env, "POSTROOM_LISTEN_"+service+"=127.0.0.1:0")
		}
	}
	var stdout, stderr bytes.Buffer
	s := &shell{in: strings.NewReader(""), out: &stdout, err: &stderr, environ: env}
	status = run(t.Context(), []string{"--config", file, "check", "config", "--json"}, s)
	if _, err := os.Stat(filepath.Join(dir, "data")); err == nil {
		t.Error("the data folder was made")
	}
	return status, strings.ReplaceAll(stdout.String(), dir, "DIR"), strings.ReplaceAll(stderr.String(), dir, "DIR")
}

func TestCheckConfig(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, test := range []struct {
		it, text string
		env      []string
		status   int
		says     string // on standard error
		finds    []configFinding
		changed  []changedKey
	}{
		{
			it: "finds nothing wrong", text: `data = "DIR/data"`, finds: []configFinding{{true, "data", "DIR/data will be made"}},
			changed: []changedKey{{"data", `"DIR/data"`, `"/var/lib/postroom"`, "file"}},
		},
		{
			it: "tells where a value is from", text: "data = \"DIR\"\n[smtp]\nauth = true", env: []string{"POSTROOM_AUTH_SCRAM=true", "POSTROOM_NONSENSE=1"},
			finds:   []configFinding{{true, "data", "DIR is there"}, {true, "POSTROOM_NONSENSE", "names no key, so it changes nothing"}},
			changed: []changedKey{{"smtp.auth", "true", "false", "file"}, {"auth.scram", "true", "false", "environment"}},
		},
		{
			it: "hides secrets", text: "data = \"DIR/data\"\n[tls]\nacme_tsig_secret = \"aGVsbG8=\"",
			changed: []changedKey{{"tls.acme_tsig_secret", `"…"`, `""`, "file"}},
		},
		{it: "names a key that there isn't", text: "[smtp]\nauht = true", status: 2, says: "unknown key smtp.auht; did you mean smtp.auth?"},
		{
			it: "finds a port in use", text: fmt.Sprintf("data = \"DIR/data\"\n[listen]\nsmtp = [%q]", taken.Addr()), status: 1,
			says: "listen.smtp: port",
		},
		{it: "finds a missing certificate", text: "data = \"DIR/data\"\n[tls]\ncert = \"DIR/none\"\nkey = \"DIR/none\"", status: 1, says: "tls.cert: DIR/none: no such file"},
		{it: "finds a file where the data should be", text: `data = "DIR/postroom.toml"`, status: 1, says: "data: DIR/postroom.toml is not a folder"},
	} {
		t.Run(test.it, func(t *testing.T) {
			status, out, failed := checkConfigOf(t, test.text, test.env...)
			if status != test.status || !strings.Contains(failed, test.says) || (failed == "") != (status == 0) {
				t.Errorf("exit status %d, want %d: %s", status, test.status, failed)
			}
			if status == statusUsage {
				return
			}
			var r configReport
			if err := json.Unmarshal([]byte(out), &r); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			for _, want := range test.finds {
				if !slices.Contains(r.Findings, want) {
					t.Errorf("findings are %+v, want %+v", r.Findings, want)
				}
			}
			for _, want := range test.changed {
				if !slices.Contains(r.Changed, want) {
					t.Errorf("changed are %+v, want %+v", r.Changed, want)
				}
			}
			if strings.Contains(out, "aGVsbG8=") {
				t.Error("a secret is shown")
			}
		})
	}
}

// A server that runs has its ports for itself, and that is fine.
func TestCheckConfigOfARunningServer(t *testing.T) {
	s := startSite(t)
	out, err := s.Command(t.Context(), "", "check", "config")
	if err != nil || !strings.Contains(string(out), s.SMTP+" is in use, as it should be: the server runs") ||
		!strings.Contains(string(out), "\n  hostname") {
		t.Errorf("got %v:\n%s", err, out)
	}
}
