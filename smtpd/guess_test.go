package smtpd

import (
	"fmt"
	"strings"
	"testing"
)

// Who guesses passwords is told the same as everybody for a while, and then to come
// back later, whatever the name and the password.
func TestGuessersAreTurnedBack(t *testing.T) {
	h := serve(t, submission, func(s *Server) { s.RequireTLS, s.SCRAM = false, true })
	c := h.open(t)
	for i := range maxBadLogins {
		c.do("AUTH PLAIN "+plainResponse("alice@example.test", fmt.Sprint("guess", i)), "535 5.7.8")
	}
	c.expect("421 4.7.0")
	c.expectEnd()

	for _, name := range []string{"alice@example.test", "nobody@example.test"} {
		c = h.open(t)
		line := c.do("AUTH PLAIN "+plainResponse(name, password), "454 4.7.0 Too many failed logins from your address; try again after ")
		if !strings.HasSuffix(line, " UTC") {
			t.Errorf("answered %q", line)
		}
		c.do("MAIL FROM:<x@far.test>", "530")
		c.do("AUTH LOGIN", "334")
		c.do("YWxpY2VAZXhhbXBsZS50ZXN0", "334")
		c.do("eA==", "454 4.7.0 Too many")
		c.expect("421 4.7.0")
		c.expectEnd()
	}
	c = h.open(t)
	c.do("AUTH SCRAM-SHA-256 biwsbj1hbGljZUBleGFtcGxlLnRlc3Qscj1hYmNkZWZnaA==", "454 4.7.0 Too many")

	r := h.mail.refusals()
	if last := r[len(r)-1]; last.From != "alice@example.test" || last.Events[0].Reason != "login not looked at: the address is blocked" ||
		!strings.HasPrefix(last.Events[0].Reply, "454 4.7.0") {
		t.Errorf("the last refusal is %+v", last)
	}
}
