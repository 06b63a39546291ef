package delivery

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"postroom/delivery/resolver"
	"postroom/delivery/smtpclient/smtptest"
	"postroom/store"
)

// TestPostfix sends to a real Postfix, found by MX in a real DNS server.
func TestPostfix(t *testing.T) {
	at := startPostfix(t, "127.0.0.7")
	s := newSite(t)
	s.Port = at.Port
	s.Resolver = &resolver.Resolver{Servers: []string{startDNS(t,
		"there.test. 60 IN MX 10 mx1.there.test.", "there.test. 60 IN MX 20 mx2.there.test.",
		"mx1.there.test. 60 IN A 127.0.0.8", // nobody is there
		"mx2.there.test. 60 IN A 127.0.0.7",
	)}}
	s.run()
	id := s.put(letter, "bob@there.test", "nobody@there.test")

	sent := s.await(id, store.Relayed, 1)
	if !strings.HasPrefix(sent.Reply, "250 2.0.0 Ok: queued as ") {
		t.Errorf("sent is %+v", sent)
	}
	var tried []string
	for _, e := range s.events(id) {
		if e.Kind == store.Attempt && e.Recipient == "bob@there.test" {
			tried = append(tried, e.Host+" "+e.TLS+" "+e.Outcome)
		}
	}
	if len(tried) != 2 || tried[0] != "mx1.there.test none deferred" || !strings.HasPrefix(tried[1], "mx2.there.test TLS 1.3 TLS_") {
		t.Errorf("the attempts are %q", tried)
	}
	const words = "550 5.1.1 <nobody@there.test>: Recipient address rejected: User unknown in virtual mailbox table"
	if e := s.await(id, store.Bounced, 1); e.Recipient != "nobody@there.test" || e.Reply != words {
		t.Errorf("bounced is %+v", e)
	}
	drop := s.drop()
	if len(drop) != 1 || !strings.Contains(drop[0], "could not be delivered to nobody@there.test: this address does not exist there.") || !strings.Contains(drop[0], words) {
		t.Errorf("alice has %s", drop)
	}
}

// startDNS serves a zone over UDP and returns its address.
func startDNS(t *testing.T, zone ...string) string {
	t.Helper()
	records := make(map[dns.Question][]dns.RR)
	for _, line := range zone {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		q := dns.Question{Name: rr.Header().Name, Qtype: rr.Header().Rrtype, Qclass: dns.ClassINET}
		records[q] = append(records[q], rr)
	}
	p, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.53:0")
	if err != nil {
		t.Fatal(err)
	}
	started, done := make(chan struct{}), make(chan struct{})
	server := &dns.Server{PacketConn: p, NotifyStartedFunc: func() { close(started) }}
	server.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		a := new(dns.Msg).SetReply(m)
		a.Answer = records[m.Question[0]]
		w.WriteMsg(a)
	})
	go func() { defer close(done); server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { server.Shutdown(); <-done })
	return p.LocalAddr().String()
}

// startPostfix runs a private Postfix that takes mail for bob@there.test, with
// STARTTLS, until the test ends.
func startPostfix(t *testing.T, ip string) *net.TCPAddr {
	t.Helper()
	if _, err := exec.LookPath("postfix"); err != nil {
		t.Skip("needs postfix (Debian package postfix)")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root: postfix runs as several users")
	}
	at := freePort(t, ip)
	dir := t.TempDir()
	for _, sub := range []string{"conf", "spool", "data"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // its own user must get there
		t.Fatal(err)
	}
	command(t, "chown", "postfix", filepath.Join(dir, "data"))
	writeCertificate(t, filepath.Join(dir, "conf", "cert.pem"))
	write(t, filepath.Join(dir, "conf", "main.cf"), fmt.Sprintf(mainCF, dir))
	dist, err := os.ReadFile("/usr/share/postfix/master.cf.dist")
	if err != nil {
		t.Skip("needs the files of Debian's package postfix: ", err)
	}
	master := regexp.MustCompile(`(?m)^(?:[0-9.]+:)?(?:25|smtp) +inet .*smtpd$`).ReplaceAllString(string(dist), at.String()+" inet n - n - - smtpd")
	master = regexp.MustCompile(`(?m)^([a-z-]+) +(unix|unix-dgram) +([n-]) +([n-]) +y`).ReplaceAllString(master, "$1 $2 $3 $4 n")
	write(t, filepath.Join(dir, "conf", "master.cf"), master)
	for _, name := range []string{"dynamicmaps.cf", "postfix-files", "post-install", "postfix-script"} {
		if text, err := os.ReadFile(filepath.Join("/etc/postfix", name)); err == nil {
			write(t, filepath.Join(dir, "conf", name), string(text))
			os.Chmod(filepath.Join(dir, "conf", name), 0o755)
		}
	}
	command(t, "postfix", "-c", filepath.Join(dir, "conf"), "start")
	t.Cleanup(func() {
		exec.CommandContext(context.Background(), "postfix", "-c", filepath.Join(dir, "conf"), "stop").Run()
	})
	return at
}

const mainCF = `compatibility_level = 3.6
queue_directory = %[1]s/spool
data_directory = %[1]s/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = mx2.there.test
mydestination =
mynetworks =
maillog_file = %[1]s/postfix.log
maillog_file_prefixes = /
virtual_mailbox_domains = there.test
virtual_mailbox_maps = inline:{ bob@there.test=x }
virtual_transport = discard:
smtpd_relay_restrictions = reject_unauth_destination
smtpd_tls_security_level = may
smtpd_tls_chain_files = %[1]s/conf/cert.pem
alias_maps =
alias_database =
`

func freePort(t *testing.T, ip string) *net.TCPAddr {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", ip+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr)
}

func writeCertificate(t *testing.T, file string) {
	t.Helper()
	cert := smtptest.Certificate(t, "mx2.there.test").Certificates[0]
	key, err := x509.MarshalECPrivateKey(cert.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})...)
	write(t, file, string(text))
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}
