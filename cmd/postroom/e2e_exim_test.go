package main

import (
	"fmt"
	"os"
	"testing"
)

// startExim runs a real Exim that keeps mail for remote.test.
func startExim(t *testing.T, addr string) *receiver {
	t.Helper()
	const id = 5003
	root := unpacked(t, "POSTROOM_EXIM", "usr/sbin/exim4", "exim4-daemon-light")
	j := newJail(t, root, []string{"usr/sbin/exim4"}, []string{fmt.Sprintf("Debian-exim:%d", id)})
	if err := os.Chmod(j.path("usr/sbin/exim4"), 0o755|os.ModeSetuid); err != nil { // as its package does
		t.Fatal(err)
	}
	j.folder("var/spool/exim4", id, 0o750)
	j.folder("var/log/exim4", id, 0o750)
	j.file("etc/exim4/chain.pem", chainPEM(t, receiverName))
	j.file("etc/later", "")
	ip, port := splitAddr(t, addr)
	j.file("etc/exim4/exim4.conf", fmt.Sprintf(`primary_hostname = %[1]s
local_interfaces = %[2]s
daemon_smtp_ports = %[3]s
message_size_limit = %[4]d
tls_advertise_hosts = *
tls_certificate = /etc/exim4/chain.pem
tls_privatekey = /etc/exim4/chain.pem
acl_smtp_rcpt = recipients
host_lookup =
keep_environment =
begin acl
recipients:
  defer local_parts = later
        condition = ${if exists{/etc/later}}
        message = %[5]s
  accept domains = remote.test
         local_parts = carol : dave : later
  deny message = Unrouteable address
begin routers
keep:
  driver = accept
  local_parts = carol : dave : later
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = /mail/$local_part_data
  maildir_format
  user = %[6]d
  group = %[6]d
  return_path_add
`, receiverName, ip, port, receiverLimit, comeLater, mailID))
	j.run("/usr/sbin/exim4", "-bdf", "-q5s")
	return &receiver{t: t, addr: addr, mail: j.path("mail"), relent: func() {
		if err := os.Remove(j.path("etc/later")); err != nil {
			t.Fatal(err)
		}
	}}
}

func TestEximTakesOurMail(t *testing.T) { testReceiver(t, startExim) }
