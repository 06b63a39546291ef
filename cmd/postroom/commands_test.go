package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"postroom/store"
	"postroom/store/admin"
	"postroom/store/sqlite"
)

// A place is a data folder and a way to run commands on it.
type place struct {
	t    *testing.T
	data string
	env  []string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	return &place{t, data, []string{"POSTROOM_DATA=" + data}}
}

// do runs a command that has to be done, and returns what it printed.
func (p *place) do(stdin string, args ...string) string {
	p.t.Helper()
	out, errs, status := runCommand(p.t, stdin, p.env, args...)
	if status != statusDone || errs != "" {
		p.t.Fatalf("%q: status %d: %s", args, status, errs)
	}
	return out
}

// fails runs a command that has to fail, and returns its one line on standard
// error.
func (p *place) fails(want int, stdin string, args ...string) string {
	p.t.Helper()
	out, errs, status := runCommand(p.t, stdin, p.env, args...)
	if status != want || out != "" || strings.Count(errs, "\n") != 1 {
		p.t.Errorf("%q: status %d, want %d and one line\nout: %s\nerr: %s", args, status, want, out, errs)
	}
	return errs
}

// listen has a server take the commands through the control socket until the
// test ends.
func (p *place) listen() *program {
	p.t.Helper()
	conf, err := loadConfig("", p.env)
	if err != nil {
		p.t.Fatal(err)
	}
	program, err := openProgram(p.t.Context(), conf, slog.New(slog.DiscardHandler))
	if err != nil {
		p.t.Fatal(err)
	}
	l, err := listenControl(conf.Data)
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serveHTTP(ctx, l, operations(program.admin, program.store.Ready), program.log, 0) }()
	p.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			p.t.Error(err)
		}
		if err := program.close(); err != nil {
			p.t.Error(err)
		}
	})
	return program
}

// Every command does the same through the control socket of a running server
// and without one.
func TestCommands(t *testing.T) {
	t.Run("while no server runs", func(t *testing.T) { testCommands(t, newPlace(t)) })
	t.Run("while a server runs", func(t *testing.T) {
		p := newPlace(t)
		p.listen()
		testCommands(t, p)
	})
}

func testCommands(t *testing.T, p *place) {
	steps := []struct {
		args  string
		stdin string
		want  string // what it prints holds this
	}{
		{"domain list", "", "No domains yet"},
		{"domain list --json", "", "[]\n"},
		{"account list", "", "No accounts yet"},
		{"account list --json", "", "[]\n"},
		{"alias list", "", "No aliases yet"},
		{"queue list", "", "Nothing waits"},
		{"queue list --json", "", "[]\n"},
		{"trace nobody@example.org --json", "", "[]\n"},
		{"trace nobody@example.org", "", "Nothing is known of nobody@example.org.\n"},
		{"trace --ip 192.0.2.0/24 --outcome refused --since 2026-11-20", "", "There are no messages from or to the network 192.0.2.0/24, refused, since Fri, 20 Nov 2026.\n"},
		{"domain add Example.ORG", "", "Added the domain example.org.\n"},
		{"domain add backup.example --backup", "", "Added the domain backup.example.\nMail for every address of it is taken."},
		{"domain list", "", "backup.example  0         0        "},
		{"account add alice@example.org --password-stdin --name Alice --quota 2GB --admin", " a pass word \n", "Added the account alice@example.org.\n"},
		{"account list", "", "alice@example.org  Alice  0         0 B   2.0 GB  enabled, admin\n"},
		{"account show alice@example.org", "", "Maildrop         0 messages, 0 B\n"},
		{"account show alice@example.org --json", "", `"quota": 2000000000`},
		{"account passwd alice@example.org --password-stdin", "secret", "Changed the password"},
		{"account passwd alice@example.org --password-stdin", "another pass word", "Changed the password"},
		{"account show alice@example.org", "", "Last collected   not yet\n"},
		{"account sessions alice@example.org", "", "in no browser"},
		{"account sessions alice@example.org --json", "", "[]\n"},
		{"account sessions alice@example.org --end", "", "Ended 0 sessions of alice@example.org."},
		{"account two-factor alice@example.org", "", "Second factor   none\n"},
		{"account two-factor alice@example.org --json", "", `"on": false`},
		{"account app-password list alice@example.org", "", "has no app passwords"},
		{"account app-password list alice@example.org --json", "", "[]\n"},
		{"account app-password add alice@example.org phone", "", "-"},
		{"account app-password list alice@example.org", "", "phone"},
		{"account app-password remove alice@example.org phone", "", `Removed the app password "phone"`},
		{"account disable alice@example.org --refuse", "", "mail for it is refused"},
		{"account list --json", "", `"status": "refusing"`},
		{"account enable alice@example.org", "", "Enabled alice@example.org.\n"},
		{"alias add info@example.org alice@example.org bob@elsewhere.example", "", "Added the alias info@example.org for alice@example.org, bob@elsewhere.example.\n"},
		{"alias add @example.org alice@example.org", "", "Added the alias @example.org"},
		{"alias list", "", "info@example.org  alice@example.org, bob@elsewhere.example"},
		{"alias remove @example.org", "", "Removed the alias @example.org"},
		{"alias add away@example.org joe@elsewhere.example", "", "Added"},
		{"queue retry --all", "", "Trying now: 0 recipients.\n"},
		{"queue list --held --from alice@example.org --limit 3 --json", "", "[]\n"},
		{"queue destinations", "", "No destinations are known yet.\n"},
		{"queue destinations --json", "", "[]\n"},
		{"queue pause elsewhere.example", "", "Paused: mail for elsewhere.example stays here"},
		{"queue destinations", "", "elsewhere.example  0        0        0     paused by you since 20"},
		{"queue destinations --json", "", `"state": "paused"`},
		{"queue resume elsewhere.example", "", "Resumed: mail for elsewhere.example is sent again.\n"},
		{"route list", "", "No routes"},
		{"route list --json", "", "[]\n"},
		{"route add * smtp.example.net:587 --user me --password-stdin", "secret of the relay\n", "Mail for all domains goes to smtp.example.net:587, over TLS with a valid certificate only, logged in as me.\n"},
		{"route add elsewhere.example mx --tls none --from alice@example.org", "", "Mail for elsewhere.example from alice@example.org goes to its MX, never over TLS.\n"},
		{"route list", "", "elsewhere.example  alice@example.org  its MX                none  -\n"},
		{"route list", "", "*                  everybody          smtp.example.net:587  must  me\n"},
		{"route list --json", "", `"user": "me"`},
		{"route remove elsewhere.example --from alice@example.org", "", "Removed the route for elsewhere.example from alice@example.org.\n"},
		{"route remove *", "", "Removed the route for all domains.\n"},
		{"source list", "", "No addresses are set"},
		{"source list --json", "", "[]\n"},
		{"source add 127.0.0.9 --name mail2.example.org --for example.org", "", "Mail from example.org leaves from 127.0.0.9 as mail2.example.org.\n"},
		{"source list", "", "127.0.0.9  mail2.example.org  example.org  20"},
		{"source remove 127.0.0.9 --for example.org", "", "Mail from example.org no longer leaves from 127.0.0.9.\n"},
		{"domain recipients backup.example", "", "Mail for every address of backup.example is taken.\n"},
		{"domain recipients backup.example --file -", "# known\nann@backup.example\n\nben\n", "Mail for 2 recipients of backup.example is taken.\n"},
		{"domain recipients backup.example --add cid --remove ben", "", "Mail for 2 recipients of backup.example is taken.\n"},
		{"domain recipients backup.example", "", "ann@backup.example\ncid@backup.example\n"},
		{"domain recipients backup.example --json", "", `"recipients": [`},
		{"domain list", "", "backup, known recipients only"},
		{"domain recipients backup.example --any", "", "every address"},
		{"alias remove away@example.org", "", "Removed"},
		{"account remove alice@example.org", "", "These aliases still lead to it: info@example.org\n"},
		{"alias remove info@example.org", "", "which led to alice@example.org"},
		{"domain remove example.org", "", "Removed the domain example.org.\n"},
	}
	for _, step := range steps {
		if got := p.do(step.stdin, strings.Fields(step.args)...); !strings.Contains(got, step.want) {
			t.Errorf("%s: got\n%s\nwant %q in it", step.args, got, step.want)
		}
	}
	backup := filepath.Join(t.TempDir(), "mail.backup")
	if got := p.do("", "backup", backup); !strings.Contains(got, "Wrote the backup "+backup) {
		t.Errorf("backup: %s", got)
	}
	if got := p.fails(statusFailed, "", "backup", backup); !strings.Contains(got, backup) {
		t.Errorf("a backup over a file: %s", got)
	}
}

func TestCommandFailures(t *testing.T) {
	p := newPlace(t)
	p.do("", "domain", "add", "example.org")
	for _, test := range []struct {
		status     int
		args, want string
	}{
		{statusFailed, "domain add example.org", "here already"},
		{statusFailed, "domain remove nowhere.example", "no domain nowhere.example"},
		{statusFailed, "account add alice@nowhere.example --generate", "no domain nowhere.example"},
		{statusFailed, "account show alice@example.org", "no account alice@example.org"},
		{statusFailed, "account sessions alice@example.org --end", "no account alice@example.org"},
		{statusFailed, "account two-factor alice@example.org --off", "no account alice@example.org"},
		{statusFailed, "queue show 00000000000g0", "not in the queue"},
		{statusFailed, "queue cancel 00000000000g0", "not in the queue"},
		{statusUsage, "account add alice@example.org --quota plenty --generate", `needs a size such as "2GB"`},
		{statusUsage, "account add alice@example.org --generate --password-stdin", "can't be used together"},
		{statusUsage, "account add alice@example.org", "--password-stdin"},
		{statusUsage, "queue retry", "an ID, --domain, --from or --all"},
		{statusUsage, "queue retry 00000000000g0 --all", "an ID, --domain, --from or --all"},
		{statusUsage, "domain", "expected one of"},
		{statusUsage, "domain add", "name"},
		{statusUsage, "frobnicate", "unexpected argument frobnicate"},
		{statusUsage, "domain list --xml", "unknown flag --xml"},
		{statusUsage, "limit set alice@example.org", "--messages-per-hour"},
		{statusUsage, "domain list --config nowhere.toml", "nowhere.toml: no such file or directory"},
	} {
		if got := p.fails(test.status, "", strings.Fields(test.args)...); !strings.Contains(got, test.want) {
			t.Errorf("%s: %swant %q in it", test.args, got, test.want)
		}
	}
}

// What --generate prints opens the account, and is one line: address, blanks,
// password.
func TestGeneratedPassword(t *testing.T) {
	p := newPlace(t)
	p.do("", "domain", "add", "example.org")
	line := regexp.MustCompile(`^alice@example\.org +\S{16,}\n$`)
	first := p.do("", "account", "add", "alice@example.org", "--generate")
	second := p.do("", "account", "passwd", "alice@example.org", "--generate")
	if !line.MatchString(first) || !line.MatchString(second) || first == second {
		t.Errorf("printed %q, then %q", first, second)
	}
}

func TestJSONHasTheFieldsOfTheContract(t *testing.T) {
	p := newPlace(t)
	p.do("", "domain", "add", "example.org")
	p.do("a pass word\n", "account", "add", "alice@example.org", "--password-stdin")
	var accounts []admin.Account
	if err := json.Unmarshal([]byte(p.do("", "account", "list", "--json")), &accounts); err != nil || len(accounts) != 1 {
		t.Fatalf("%v: %+v", err, accounts)
	}
	if a := accounts[0]; a.Address != "alice@example.org" || a.Status != "enabled" || a.Created.IsZero() {
		t.Errorf("got %+v", a)
	}
}

func TestVersion(t *testing.T) {
	out, _, status := runCommand(t, "", nil, "version")
	if status != statusDone || !strings.HasPrefix(out, "postroom ") {
		t.Errorf("status %d: %s", status, out)
	}
}

func TestHelp(t *testing.T) {
	out, _, status := runCommand(t, "", nil)
	if status != statusDone {
		t.Errorf("status %d", status)
	}
	for _, command := range []string{
		"serve", "init", "domain", "account", "alias", "queue", "route", "source", "trace", "backup", "restore",
		"device", "limit", "dkim", "check", "block", "allow", "login", "concerns",
	} {
		if !strings.Contains(out, "\n  "+command+" ") {
			t.Errorf("doesn't show %s:\n%s", command, out)
		}
	}
	for _, command := range []string{"import", "health"} {
		if strings.Contains(out, "\n  "+command+" ") {
			t.Errorf("shows %s:\n%s", command, out)
		}
	}
}

func TestRestore(t *testing.T) {
	p := newPlace(t)
	p.do("", "domain", "add", "example.org")
	backup := filepath.Join(t.TempDir(), "mail.backup")
	p.do("", "backup", backup)

	other := newPlace(t)
	other.do("", "restore", backup)
	if got := other.do("", "domain", "list"); !strings.Contains(got, "example.org") {
		t.Errorf("after the restore: %s", got)
	}
	other.fails(statusFailed, "", "restore", backup)

	running := newPlace(t)
	running.listen()
	if got := running.fails(statusFailed, "", "restore", backup); !strings.Contains(got, "running already") {
		t.Errorf("beside a server: %s", got)
	}
}

// A server's socket is for its owner alone, replaces a stale one, and works in
// folders whose path is longer than a socket's may be.
func TestControlSocket(t *testing.T) {
	p := newPlace(t)
	p.data = filepath.Join(t.TempDir(), strings.Repeat("long/", 40), "data")
	p.env = []string{"POSTROOM_DATA=" + p.data}
	if err := os.MkdirAll(p.data, 0o755); err != nil {
		t.Fatal(err)
	}
	stale, err := listenControl(p.data)
	if err != nil {
		t.Fatal(err)
	}
	stale.Close()
	p.do("", "domain", "list") // nobody listens there

	p.listen()
	info, err := os.Stat(filepath.Join(p.data, socketName))
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	if got := p.do("", "health"); got != "ready\n" {
		t.Errorf("health: %s", got)
	}
	left, err := filepath.Glob(filepath.Join(p.data, ".control-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A data folder that somebody has who doesn't answer is left alone.
func TestLockedData(t *testing.T) {
	p := newPlace(t)
	held, err := sqlite.Open(t.Context(), sqlite.Options{Dir: p.data})
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if got := p.fails(statusFailed, "", "domain", "list"); !strings.Contains(got, p.data+" is in use by another postroom") {
		t.Errorf("got %s", got)
	}
}

// A command that finds another at work waits for it.
func TestCommandsAtOnce(t *testing.T) {
	p := newPlace(t)
	var group errgroup.Group
	for i := range 4 {
		group.Go(func() error {
			var out, errs bytes.Buffer
			s := &shell{in: strings.NewReader(""), out: &out, err: &errs, environ: p.env}
			if run(t.Context(), []string{"domain", "add", fmt.Sprintf("example%d.org", i)}, s) != statusDone {
				return errors.New(errs.String())
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if got := p.do("", "domain", "list"); strings.Count(got, "example") != 4 {
		t.Errorf("got\n%s", got)
	}
}

func TestHealthWithoutAServer(t *testing.T) {
	p := newPlace(t)
	if got := p.fails(statusFailed, "", "health"); !strings.Contains(got, "no postroom is running") {
		t.Errorf("got %s", got)
	}
	if _, err := os.Stat(p.data); err == nil {
		t.Error("health made a data folder")
	}
}

// An address to send from that this machine has lost is told at the start, not by
// mail that waits.
func TestServeRefusesForeignSourceAddresses(t *testing.T) {
	p := newPlace(t)
	p.do("", "domain", "add", "example.org")
	if text := p.fails(statusFailed, "", "source", "add", "192.0.2.1"); !strings.Contains(text, "192.0.2.1 is not an address of this machine") {
		t.Errorf("source add: %s", text)
	}
	conf, err := loadConfig("", p.env)
	if err != nil {
		t.Fatal(err)
	}
	program, err := openProgram(t.Context(), conf, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	lost := store.Source{IP: netip.MustParseAddr("192.0.2.1"), For: store.For{Domain: "example.org"}}
	if err := errors.Join(program.store.AddSource(t.Context(), lost), program.close()); err != nil {
		t.Fatal(err)
	}
	p.env = append(p.env, anyPorts()...)
	const want = "postroom: the source address 192.0.2.1 is not an address of this machine: give it to a network interface, " +
		"or remove it: postroom source remove 192.0.2.1 --for example.org\n"
	if text := p.fails(statusUsage, "", "serve"); text != want {
		t.Errorf("serve: %s", text)
	}
	p.do("", "source", "remove", "192.0.2.1", "--for", "example.org")
}

func TestWaysThatMakeNoSense(t *testing.T) {
	p := newPlace(t)
	p.do("", "domain", "add", "example.org")
	for _, tt := range []struct {
		args   string
		status int
		want   string
	}{
		{"route add example.net", statusUsage, "expected"},
		{"route add example.net relay --tls perhaps", statusUsage, "--tls"},
		{"route add example.net relay.test --password-stdin", statusUsage, "--user"},
		{"route add example.net relay.test --user me", statusUsage, "--password-stdin"},
		{"route add example.net relay.test --from nobody@example.org", statusFailed, "nobody@example.org"},
		{"route add not_a_domain! relay.test", statusFailed, "not a domain name"},
		{"route remove example.net", statusFailed, "There is no route for example.net."},
		{"source add nonsense", statusFailed, "not an IP address"},
		{"source remove 127.0.0.9", statusFailed, "127.0.0.9"},
		{"domain recipients example.org --any", statusFailed, "not a backup domain"},
		{"domain recipients example.org --any --file x", statusUsage, "can't be used together"},
		{"domain recipients example.org --file /nowhere/at/all", statusFailed, "/nowhere/at/all: no such file"},
		{"queue hold", statusUsage, "an ID, --domain, --from or --all"},
		{"queue hold --all --from alice@example.org", statusUsage, "an ID, --domain, --from or --all"},
		{"queue cancel --from alice@example.org", statusFailed, "No mail from alice@example.org is in the queue."},
		{"queue list --limit -1", statusUsage, "--limit"},
		{"queue show 0000000000000", statusFailed, "not in the queue"},
		{"queue resume example.net", statusFailed, "example.net is not paused."},
	} {
		if text := p.fails(tt.status, "", strings.Fields(tt.args)...); !strings.Contains(text, tt.want) {
			t.Errorf("%s: %s", tt.args, text)
		}
	}
}
