package pop3d_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/knadh/go-pop3"
	"github.com/xdg-go/scram"

	"postroom/pop3d"
	"postroom/store"
	"postroom/store/auth"
	"postroom/store/mail"
	"postroom/store/sqlite"
)

const password = "correct horse"

// A realStore is a store in SQLite with the account alice@example.org.
type realStore struct {
	*sqlite.Store
	auth  *auth.Authenticator
	alice store.AccountID
}

func newRealStore(t testing.TB) *realStore {
	t.Helper()
	db, err := sqlite.Open(t.Context(), sqlite.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	users := auth.New(db, auth.Options{SCRAM: true})
	if _, err := db.AddDomain(t.Context(), store.Domain{Name: "example.org"}); err != nil {
		t.Fatal(err)
	}
	secret, err := users.NewSecret(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	alice, err := db.AddAccount(t.Context(), store.Account{
		Address: mail.Address{Local: "alice", Domain: "example.org"}, Secret: secret,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &realStore{db, users, alice.ID}
}

func (r *realStore) deliver(t testing.TB, message string) {
	t.Helper()
	err := r.Accept(context.Background(), store.Acceptance{
		ID:       r.NewMessageID(),
		At:       time.Now(),
		Envelope: mail.Envelope{Sender: mail.Address{Local: "bob", Domain: "example.net"}},
		Body:     strings.NewReader(message),
		Size:     int64(len(message)),
		Local:    []store.LocalDelivery{{Account: r.alice, Recipient: mail.Address{Local: "alice", Domain: "example.org"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// realServer serves a real store that has the given messages.
func realServer(t testing.TB, messages ...string) (*realStore, *pop3d.Server) {
	t.Helper()
	r := newRealStore(t)
	for _, m := range messages {
		r.deliver(t, m)
	}
	s := newServer(t, r)
	s.Auth, s.SCRAM = r.auth, true
	return r, s
}

// trials are messages that are hard to get through unharmed.
var trials = []string{
	"From: bob@example.net\r\nSubject: dots\r\n\r\n.\r\n..\r\n. \r\n.x\r\n",
	"From: bob@example.net\r\nSubject: blanks\r\n\r\ntrailing  \r\n\t\r\n\r\n\r\n",
	"From: bob@example.net\r\nSubject: 8-bit \xc3\xa4\r\n\r\n\x01\x7f\x80\xfe\xff\r\n",
	"From: bob@example.net\r\nSubject: long\r\n\r\n" + strings.Repeat("x", 998) + "\r\n" + strings.Repeat("y", 100_000) + "\r\n",
	"From: bob@example.net\r\nSubject: no body\r\n",
}

// TestRoundTrip: what was accepted is what is collected, octet for octet, and
// LIST says how much.
func TestRoundTrip(t *testing.T) {
	large := "Subject: large\r\n\r\n" + strings.Repeat(strings.Repeat("z", 76)+"\r\n", 40_000)
	all := append(trials[:len(trials):len(trials)], large)
	_, s := realServer(t, all...)
	address, _ := serve(t, s)
	c := dial(t, address)
	c.expect("+OK")
	c.cmd("USER Alice@Example.ORG", "+OK")
	c.cmd("PASS "+password, "+OK 6 ")
	for i, want := range all {
		size := strings.Fields(c.cmd(fmt.Sprintf("LIST %d", i+1), "+OK "))[2]
		c.cmd(fmt.Sprintf("RETR %d", i+1), "+OK "+size+" octets")
		var got strings.Builder
		for _, line := range c.multi() {
			got.WriteString(strings.TrimPrefix(line, ".") + "\r\n")
		}
		if fmt.Sprint(got.Len()) != size {
			t.Errorf("message %d: LIST says %s, RETR sends %d", i+1, size, got.Len())
		}
		front := "Return-Path: <bob@example.net>\r\nDelivered-To: alice@example.org\r\n"
		if got.String() != front+want {
			t.Errorf("message %d came as %.200q", i+1, got.String())
		}
	}
	c.cmd("DELE 2", "+OK")
	c.cmd("DELE 6", "+OK")
	c.cmd("QUIT", "+OK")
	again := dial(t, address)
	again.expect("+OK")
	again.cmd("USER alice", "+OK")
	again.cmd("PASS "+password, "+OK 4 ")
}

// TestSnapshot: a session shows the maildrop as it was at login, and QUIT
// deletes nothing else.
func TestSnapshot(t *testing.T) {
	r, s := realServer(t, trials...)
	address, _ := serve(t, s)
	c := dial(t, address)
	c.expect("+OK")
	c.cmd("USER alice", "+OK")
	c.cmd("PASS "+password, "+OK 5 ")
	for i := range trials {
		c.cmd(fmt.Sprintf("DELE %d", i+1), "+OK")
	}
	r.deliver(t, trials[0])
	c.cmd("STAT", "+OK 0 0")
	c.cmd("LIST 6", "-ERR")
	left(t, r, 6)
	c.cmd("QUIT", "+OK")
	left(t, r, 1)
}

// TestForget: what the real Authenticator does when a password is changed.
func TestForget(t *testing.T) {
	r, s := realServer(t, trials...)
	address, _ := serve(t, s)
	c := dial(t, address)
	c.expect("+OK")
	c.cmd("USER alice", "+OK")
	c.cmd("PASS "+password, "+OK 5 ")
	c.cmd("DELE 1", "+OK")
	r.auth.Forget(r.alice)
	c.eof()
	left(t, r, 5)
}

// TestGoPOP3 lets another Go library collect.
func TestGoPOP3(t *testing.T) {
	_, s := realServer(t, trials...)
	address, _ := serve(t, s)
	host, port, _ := net.SplitHostPort(address)
	opt := pop3.Opt{Host: host}
	if _, err := fmt.Sscan(port, &opt.Port); err != nil {
		t.Fatal(err)
	}
	c, err := pop3.New(opt).NewConn()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Quit()
	if err := c.Auth("alice", password); err != nil {
		t.Fatal(err)
	}
	count, total, err := c.Stat()
	if err != nil || count != len(trials) {
		t.Fatalf("STAT: %d, %v", count, err)
	}
	list, err := c.List(0)
	if err != nil || len(list) != count {
		t.Fatalf("LIST: %v, %v", list, err)
	}
	for _, m := range list {
		raw, err := c.RetrRaw(m.ID)
		if err != nil || raw.Len() != m.Size || !strings.HasSuffix(raw.String(), trials[m.ID-1]) {
			t.Errorf("RETR %d: %d octets of %d, %v", m.ID, raw.Len(), m.Size, err)
		}
		total -= raw.Len()
	}
	if total != 0 {
		t.Errorf("STAT and RETR differ by %d octets", total)
	}
	uids, err := c.Uidl(0)
	if err != nil || len(uids) != count || len(uids[0].UID) != 24 || uids[0].UID == uids[1].UID {
		t.Errorf("UIDL: %v, %v", uids, err)
	}
	if top, err := c.Top(4, 1); err != nil || top.Header.Get("Subject") != "long" {
		t.Errorf("TOP: %v, %v", top, err)
	}
}

func TestSCRAM(t *testing.T) {
	_, s := realServer(t, trials...)
	address, _ := serve(t, s)
	for _, test := range []struct {
		name, user, password, answer string
		initial                      bool
	}{
		{"lets in with an initial response", "alice", password, "+OK 5 ", true},
		{"lets in without one", "alice@example.org", password, "+OK 5 ", false},
		{"refuses a wrong password", "alice", "wrong", "-ERR [AUTH] wrong name or password", true},
		{"refuses an unknown name", "nobody", password, "-ERR [AUTH] wrong name or password", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := dial(t, address)
			c.expect("+OK")
			if got := scramLogin(t, c, test.user, test.password, test.initial); !strings.HasPrefix(got, test.answer) {
				t.Errorf("got %q, want %q", got, test.answer)
			}
			c.cmd("QUIT", "+OK")
		})
	}
}

// scramLogin does an exchange, and returns the server's last word.
func scramLogin(t *testing.T, c *client, user, password string, initial bool) string {
	t.Helper()
	program, err := scram.SHA256.NewClient(user, password, "")
	if err != nil {
		t.Fatal(err)
	}
	conv := program.NewConversation()
	response, err := conv.Step("")
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.StdEncoding.EncodeToString
	if initial {
		c.send("AUTH SCRAM-SHA-256 " + encode([]byte(response)) + "\r\n")
	} else {
		c.cmd("AUTH SCRAM-SHA-256", "+ ")
		c.send(encode([]byte(response)) + "\r\n")
	}
	for {
		line := c.line()
		challenge, more := strings.CutPrefix(line, "+ ")
		if !more {
			return line
		}
		text, err := base64.StdEncoding.DecodeString(challenge)
		if err != nil {
			t.Fatal(err)
		}
		if response, err = conv.Step(string(text)); err != nil {
			t.Fatal(err)
		}
		c.send(encode([]byte(response)) + "\r\n")
	}
}

// program finds a real client, or skips the test.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs %s (Debian package %s)", name, name)
	}
	return path
}

// run runs a client and returns what it prints.
func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", name, err, out, stderr.Bytes())
	}
	return out
}

func TestCurl(t *testing.T) {
	curl := program(t, "curl")
	_, s := realServer(t, trials...)
	address, _ := serve(t, s)
	secure := serverLike(s)
	secure.Name, secure.ImplicitTLS = "pop3s", true
	secureAddress, _ := serve(t, secure)

	tests := []struct {
		name string
		args []string
	}{
		{"in the clear", []string{"pop3://" + address + "/3", "--user", "alice:" + password}},
		{"after STLS", []string{"pop3://" + address + "/3", "--user", "alice:" + password, "--ssl-reqd", "--insecure"}},
		{"over TLS", []string{"pop3s://" + secureAddress + "/3", "--user", "alice:" + password, "--insecure"}},
		{"with PLAIN", []string{"pop3://" + address + "/3", "--user", "alice:" + password, "--login-options", "AUTH=PLAIN"}},
		{"with LOGIN", []string{"pop3://" + address + "/3", "--user", "alice:" + password, "--login-options", "AUTH=LOGIN"}},
		{"with PLAIN and an initial response", []string{"pop3://" + address + "/3", "--user", "alice:" + password, "--login-options", "AUTH=PLAIN", "--sasl-ir"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := run(t, curl, append([]string{"--silent", "--show-error"}, test.args...)...)
			if !bytes.HasSuffix(got, []byte("\r\n"+trials[2])) {
				t.Errorf("got %q", got)
			}
		})
	}
	listing := run(t, curl, "--silent", "pop3://"+address, "--user", "alice:"+password)
	if lines := bytes.Count(listing, []byte("\n")); lines != len(trials) {
		t.Errorf("%d lines: %q", lines, listing)
	}
}

// serverLike returns another server with the same maildrops.
func serverLike(s *pop3d.Server) *pop3d.Server {
	return &pop3d.Server{
		Name: s.Name, Hostname: s.Hostname, Maildrops: s.Maildrops, Auth: s.Auth, RequireTLS: s.RequireTLS, SCRAM: s.SCRAM,
		TLS: s.TLS, Limits: s.Limits, Locks: s.Locks, Log: s.Log,
	}
}

func TestMpop(t *testing.T) {
	mpop := program(t, "mpop")
	r, s := realServer(t, trials...)
	address, _ := serve(t, s)
	host, port, _ := net.SplitHostPort(address)
	dir := t.TempDir()
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, "mail", sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	run(t, mpop, "--host="+host, "--port="+port, "--user=alice", "--passwordeval=echo "+password,
		"--auth=on", "--tls=on", "--tls-starttls=on", "--tls-certcheck=off", "--pipelining=on", "--keep=off",
		"--uidls-file="+filepath.Join(dir, "uidls"), "--delivery=maildir,"+filepath.Join(dir, "mail"))
	collected(t, trials, filepath.Join(dir, "mail", "new", "*"))
	left(t, r, 0)
}

func TestFetchmail(t *testing.T) {
	fetchmail := program(t, "fetchmail")
	messages := slices.DeleteFunc(slices.Clone(trials), func(m string) bool {
		return len(m) > 8192 // fetchmail itself breaks lines of more octets
	})
	r, s := realServer(t, messages...)
	address, _ := serve(t, s)
	_, port, _ := net.SplitHostPort(address)
	dir := t.TempDir()
	rc := filepath.Join(dir, "rc")
	text := fmt.Sprintf("poll 127.0.0.1 port %s protocol pop3 user alice password %q sslproto '' no sslcertck no rewrite fetchall nokeep mda %q\n",
		port, password, "cat > "+dir+"/mail.$$")
	if err := os.WriteFile(rc, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, fetchmail, "--fetchmailrc", rc, "--pidfile", filepath.Join(dir, "pid"), "--idfile", filepath.Join(dir, "ids"), "--nosyslog")
	collected(t, messages, filepath.Join(dir, "mail.*"))
	left(t, r, 0)
}

// collected checks that the files hold the messages: a client may have put fields
// in front, and turned line ends into the local ones.
func collected(t *testing.T, messages []string, pattern string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) != len(messages) {
		t.Fatalf("collected %d of %d messages: %v", len(files), len(messages), err)
	}
	var all []string
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.ReplaceAll(string(b), "\r\n", "\n"))
	}
	for i, m := range messages {
		_, body, _ := strings.Cut(strings.ReplaceAll(m, "\r\n", "\n"), "\n\n")
		subject := strings.Split(m, "\r\n")[1]
		if !hasMessage(all, subject, body) {
			t.Errorf("message %d is not among those that were collected", i+1)
		}
	}
}

func hasMessage(all []string, subject, body string) bool {
	for _, m := range all {
		_, got, _ := strings.Cut(m, "\n\n")
		if strings.Contains(m, subject) && got == body {
			return true
		}
	}
	return false
}

func left(t *testing.T, r *realStore, want int) {
	t.Helper()
	entries, err := r.Entries(t.Context(), r.alice)
	if err != nil || len(entries) != want {
		t.Errorf("%d messages are left, want %d; %v", len(entries), want, err)
	}
}
