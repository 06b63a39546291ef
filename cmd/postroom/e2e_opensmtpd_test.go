package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// startOpenSMTPD runs a real OpenSMTPD that keeps mail for remote.test. It offers
// no PIPELINING, and that of Debian 12 offers a STARTTLS that always fails.
func startOpenSMTPD(t *testing.T, addr string) *receiver {
	t.Helper()
	const id, queueID = 5001, 5002
	root := unpacked(t, "POSTROOM_SMTPD", "usr/libexec/opensmtpd/mail.maildir", "opensmtpd")
	j := newJail(t, root,
		[]string{"usr/sbin/smtpd", "usr/sbin/smtpctl", "usr/libexec/opensmtpd/mail.maildir"},
		[]string{fmt.Sprintf("opensmtpd:%d", id), fmt.Sprintf("opensmtpq:%d", queueID)})
	j.bring("/bin/sh", "bin/sh")
	if err := os.Chown(j.path("usr/sbin/smtpctl"), 0, queueID); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(j.path("usr/sbin/smtpctl"), 0o755|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	j.folder("var/lib/opensmtpd/empty", 0, 0o755)
	j.folder("var/run", 0, 0o755)
	j.folder("var/spool/smtpd", 0, 0o711)
	j.file("etc/chain.pem", chainPEM(t, receiverName))
	if err := os.Chmod(j.path("etc/chain.pem"), 0o600); err != nil {
		t.Fatal(err)
	}
	j.file("etc/later", "later@remote.test\n")
	ip, port := splitAddr(t, addr)
	j.file("etc/smtpd.conf", fmt.Sprintf(`pki %[1]q cert "/etc/chain.pem"
pki %[1]q key "/etc/chain.pem"
table users { carol@remote.test = mail, dave@remote.test = mail, later@remote.test = mail }
table taken { carol@remote.test, dave@remote.test, later@remote.test }
table later file:/etc/later
filter "later" phase rcpt-to match rcpt-to <later> reject "451 4.7.1 %[5]s"
smtp max-message-size "%[4]d"
listen on %[2]s port %[3]s hostname %[1]q tls pki %[1]q filter "later"
action "keep" maildir "/mail/%%{rcpt.user}" virtual <users>
match from any for rcpt-to <taken> action "keep"
`, receiverName, ip, port, receiverLimit, comeLater))
	j.run("/usr/sbin/smtpd", "-d", "-f", "/etc/smtpd.conf")
	return &receiver{t: t, addr: addr, mail: j.path("mail"), relent: func() {
		j.file("etc/later", "")
		out, err := j.command("/usr/sbin/smtpctl", "update", "table", "later").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "succeeded") {
			t.Fatalf("smtpctl: %v: %s", err, out)
		}
	}}
}

func TestOpenSMTPDTakesOurMail(t *testing.T) { testReceiver(t, startOpenSMTPD) }
