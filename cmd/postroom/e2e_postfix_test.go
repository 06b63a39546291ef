package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"postroom/cmd/postroom/bench"
)

// postfixIP is where the tests' own Postfix listens.
const postfixIP = "127.0.0.3"

// A postfix is a real Postfix with a configuration of its own. It keeps the
// mail of remote.test in maildirs, and relays judge.test to us.
type postfix struct {
	t    *testing.T
	dir  string
	addr string
	port string
}

// startPostfix runs one that relays to next.
func startPostfix(t *testing.T, next string) *postfix {
	t.Helper()
	return startPostfixAt(t, freeAddr(t, postfixIP), next)
}

func startPostfixAt(t *testing.T, addr, next string) *postfix {
	t.Helper()
	needRoot(t)
	need(t, "postfix", "postfix")
	dir, err := os.MkdirTemp("", "postroom-postfix-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &postfix{t: t, dir: dir, addr: addr}
	_, p.port = splitAddr(t, p.addr)
	p.configure(next)
	if out, err := p.command("start").CombinedOutput(); err != nil {
		t.Fatalf("postfix start: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Postfix's log:\n%s", p.log())
		}
		if out, err := p.command("stop").CombinedOutput(); err != nil {
			t.Errorf("postfix stop: %v: %s", err, out)
		}
	})
	poll(t, "Postfix answers", func() bool {
		c, err := bench.DialSMTP(t.Context(), p.addr)
		if err == nil {
			c.Quit()
		}
		return err == nil
	})
	return p
}

func (p *postfix) command(verb string) *exec.Cmd {
	return exec.Command("postfix", "-c", filepath.Join(p.dir, "etc"), verb)
}

func (p *postfix) log() string {
	b, err := os.ReadFile(filepath.Join(p.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// configure writes main.cf and master.cf. Maildirs belong to an id that nobody has.
func (p *postfix) configure(next string) {
	p.t.Helper()
	for _, sub := range []string{"", "etc", "spool", "data", "mail"} {
		dir := filepath.Join(p.dir, sub)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			p.t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			p.t.Fatal(err)
		}
	}
	runProgram(p.t, nil, nil, "chown", "postfix", filepath.Join(p.dir, "data"))
	if err := os.Chown(filepath.Join(p.dir, "mail"), mailID, mailID); err != nil {
		p.t.Fatal(err)
	}
	cert := p.file("etc/chain.pem", chainPEM(p.t, receiverName))
	nextHost, nextPort := splitAddr(p.t, next)
	p.file("etc/main.cf", fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/spool
data_directory = %[1]s/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = mx.remote.test
mydestination =
mynetworks = 127.0.0.0/8
maillog_file = %[1]s/log
maillog_file_prefixes = /
message_size_limit = %[6]d
virtual_mailbox_limit = 0
local_header_rewrite_clients =
smtpd_recipient_restrictions = check_recipient_access inline:{{later@remote.test = 450 4.7.1 %[7]s}}
virtual_mailbox_domains = remote.test
virtual_mailbox_base = %[1]s/mail
virtual_mailbox_maps = inline:{carol@remote.test=carol/, dave@remote.test=dave/, later@remote.test=later/}
virtual_uid_maps = static:%[2]d
virtual_gid_maps = static:%[2]d
virtual_minimum_uid = %[2]d
transport_maps = inline:{judge.test=smtp:[%[3]s]:%[4]s}
relay_domains = judge.test
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_tls_security_level = may
smtpd_tls_chain_files = %[5]s
smtp_tls_security_level = encrypt
smtp_tls_loglevel = 1
alias_maps =
alias_database =
`, p.dir, mailID, nextHost, nextPort, cert, receiverLimit, comeLater))
	master, err := os.ReadFile("/usr/share/postfix/master.cf.dist")
	if err != nil {
		p.t.Fatal(err)
	}
	master = regexp.MustCompile(`(?m)^smtp +inet .*smtpd$`).ReplaceAll(master, []byte(p.addr+" inet n - n - - smtpd"))
	master = regexp.MustCompile(`(?m)^([a-z-]+) +(unix|unix-dgram) +([n-]) +([n-]) +y`).ReplaceAll(master, []byte("$1 $2 $3 $4 n"))
	p.file("etc/master.cf", string(master))
	for _, name := range []string{"dynamicmaps.cf", "dynamicmaps.cf.d", "postfix-files", "post-install", "postfix-script"} {
		if from := filepath.Join("/etc/postfix", name); exists(from) {
			runProgram(p.t, nil, nil, "cp", "-r", from, filepath.Join(p.dir, "etc"))
		}
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func (p *postfix) file(name, content string) string {
	p.t.Helper()
	file := filepath.Join(p.dir, name)
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		p.t.Fatal(err)
	}
	return file
}

// chainPEM returns a key and a self-signed certificate for name.
func chainPEM(t *testing.T, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
}

// delivered returns the files in carol's maildir.
func (p *postfix) delivered() []string {
	files, err := filepath.Glob(filepath.Join(p.dir, "mail", "carol", "new", "*"))
	if err != nil {
		p.t.Fatal(err)
	}
	return files
}

// A tracedMessage is what trace --json says of one.
type tracedMessage struct {
	ID     string   `json:"id"`
	From   string   `json:"from"`
	To     []string `json:"to"`
	Events []tracedEvent
}

type tracedEvent struct {
	Kind, Recipient, Host, IP, TLS, Reply, Outcome string
}

func (m tracedMessage) find(kind, recipient string) (tracedEvent, bool) {
	for _, e := range m.Events {
		if e.Kind == kind && e.Recipient == recipient {
			return e, true
		}
	}
	return tracedEvent{}, false
}

// startSiteBeside starts a server whose DNS leads remote.test to a Postfix that
// relays to it.
func startSiteBeside(t *testing.T) (*site, *postfix) {
	t.Helper()
	names, err := bench.StartDNS("remote.test. 60 IN MX 10 mx.remote.test.", "mx.remote.test. 60 IN A "+postfixIP)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(names.Close)
	s := prepareSite(t)
	p := startPostfix(t, s.SMTP)
	s.Env = []string{"POSTROOM_DNS_SERVERS=" + names.Addr, "POSTROOM_DELIVERY_PORT=" + p.port, "POSTROOM_DELIVERY_PRIVATE_DESTINATIONS=true"}
	s.start()
	s.addAccounts("alice@judge.test")
	return s, p
}

func acceptedAs(t *testing.T, reply string) string {
	t.Helper()
	_, id, ok := strings.Cut(reply, "250 2.0.0 accepted as ")
	if !ok {
		t.Fatalf("no promise: %q", reply)
	}
	return id
}

func TestPostfixTakesOurMail(t *testing.T) {
	s, p := startSiteBeside(t)
	want := withAttachment("alice@judge.test", "carol@remote.test")
	id := acceptedAs(t, s.submit("alice@judge.test", "carol@remote.test", want))
	s.until("Postfix has delivered", func() bool { return len(p.delivered()) == 1 })
	got, err := os.ReadFile(p.delivered()[0])
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasSuffix(got, unixLines(want)) {
		t.Errorf("another message came: %.500q", got)
	}
	var attempt tracedEvent
	s.until("the trace knows", func() bool {
		var traced []tracedMessage
		s.list(&traced, "trace", id)
		var sent bool
		if len(traced) == 1 {
			attempt, _ = traced[0].find("attempt", "carol@remote.test")
			_, sent = traced[0].find("sent", "carol@remote.test")
		}
		return sent
	})
	if attempt.Host != "mx.remote.test" || attempt.IP != postfixIP || !strings.HasPrefix(attempt.TLS, "TLS 1.3") ||
		!strings.Contains(attempt.Reply, "queued as") || attempt.Outcome != "sent" {
		t.Errorf("the attempt is traced as %+v", attempt)
	}
	var queue []struct{ To string }
	if s.list(&queue, "queue", "list"); len(queue) != 0 {
		t.Errorf("still in the queue: %v", queue)
	}
}

func TestPostfixRefusesAndTheSenderIsTold(t *testing.T) {
	s, _ := startSiteBeside(t)
	id := acceptedAs(t, s.submit("alice@judge.test", "wrong@remote.test", withAttachment("alice@judge.test", "wrong@remote.test")))
	report := string(s.await("alice@judge.test", 1)[0])
	for _, want := range []string{
		"Return-Path: <>\r\n", "multipart/report", "report-type=delivery-status", "wrong@remote.test",
		"Final-Recipient: rfc822; wrong@remote.test\r\n", "Action: failed\r\n", "Status: 5.1.1\r\n", "User unknown in virtual mailbox table",
	} {
		if !strings.Contains(unquoteType(report), want) {
			t.Errorf("the report doesn't contain %q:\n%s", want, report)
		}
	}
	var traced []tracedMessage
	s.list(&traced, "trace", id)
	if len(traced) != 1 {
		t.Fatalf("trace gives %+v", traced)
	}
	attempt, _ := traced[0].find("attempt", "wrong@remote.test")
	if _, ok := traced[0].find("bounced", "wrong@remote.test"); !ok || attempt.Host != "mx.remote.test" || !strings.Contains(attempt.Reply, "User unknown") {
		t.Errorf("the trace is %+v", traced[0].Events)
	}
}

// unquoteType takes the quotes away that a parameter may or may not have.
func unquoteType(report string) string {
	return strings.ReplaceAll(report, `report-type="delivery-status"`, "report-type=delivery-status")
}

func TestPostfixRelaysToUs(t *testing.T) {
	s, p := startSiteBeside(t)
	want := withAttachment("carol@remote.test", "alice@judge.test")
	if _, err := sendVia(t.Context(), p.addr, "", "carol@remote.test", "alice@judge.test", want); err != nil {
		t.Fatal(err)
	}
	got := s.await("alice@judge.test", 1)[0]
	endsWith(t, got, want)
	for _, field := range []string{"Return-Path: <carol@remote.test>\r\n", "Delivered-To: alice@judge.test\r\n", "with ESMTPS"} {
		if !strings.Contains(string(got), field) {
			t.Errorf("the message lacks %q: %.700q", field, got)
		}
	}
}

// postfixReceiver is a Postfix as a receiver like the others.
func postfixReceiver(t *testing.T, addr string) *receiver {
	t.Helper()
	p := startPostfixAt(t, addr, "127.0.0.1:1")
	return &receiver{t: t, addr: addr, mail: filepath.Join(p.dir, "mail"), relent: func() {
		runProgram(t, nil, nil, "postconf", "-c", filepath.Join(p.dir, "etc"), "-e", "smtpd_recipient_restrictions=")
		if out, err := p.command("reload").CombinedOutput(); err != nil {
			t.Fatalf("postfix reload: %v: %s", err, out)
		}
	}}
}

func TestPostfixTakesEverything(t *testing.T) { testReceiver(t, postfixReceiver) }
