package web

import (
	"html"
	"net/http"
	"strings"
	"testing"
)

const friendly = "From: Kim <kim@friends.example>\r\nSubject: hello\r\n\r\nhello\r\n"

func TestCheckOfAMessage(t *testing.T) {
	s := newSite(t)
	s.admin.Checks = checker{}
	b := s.signedIn()
	b.get("/check?ip=192.0.2.25&helo=mx.friends.example&from=kim%40friends.example").has(t, http.StatusOK,
		`value="192.0.2.25"`, `value="mx.friends.example"`, `value="kim@friends.example"`, "nothing is sent, taken or counted")
	ask := func(from string) answer {
		return b.post("/check", "do", "message", "ip", "192.0.2.25", "helo", "mx.friends.example", "from", from, "message", friendly)
	}
	ask("kim@friends.example").has(t, http.StatusOK, "It would be taken.", "250 2.0.0 accepted", "May this client send for the domain", `<span class="badge good">pass</span>`,
		"spf=pass smtp.mailfrom=kim@friends.example", "ip4:192.0.2.0/24 matches 192.0.2.25", "Subject: hello\r\n\r\nhello\r\n</textarea>", `value="kim@friends.example"`)
	ask("kim@shady.example").has(t, http.StatusOK, "It would be taken, and marked as spam", "verdict warn")
	ask("winner@lottery.example").has(t, http.StatusOK, "It would be refused.", "verdict bad", "550 5.7.1 Refused: 203.0.113.99 is listed")
	ask("kim@later.example").has(t, http.StatusOK, "It would be put off", "451 4.7.0")
	b.post("/check", "do", "message", "ip", "somewhere", "from", "kim@friends.example", "message", friendly).
		has(t, http.StatusUnprocessableEntity, "is not the IP address of a client", `role="alert"`, `value="somewhere"`, "hello\r\n</textarea>")
	b.post("/check", "do", "message", "ip", "192.0.2.25").has(t, http.StatusUnprocessableEntity, "There is no message")
	b.post("/check", "do", "explode", "ip", "192.0.2.25").has(t, http.StatusNotFound)
}

func TestCheckOfAPart(t *testing.T) {
	s := newSite(t)
	s.admin.Checks = checker{}
	b := s.signedIn()
	b.post("/check", "do", "spf", "ip", "192.0.2.25", "from", "winner@lottery.example").has(t, http.StatusOK, "This check would object.",
		"of winner@lottery.example from 192.0.2.25", "v=spf1 -all")
	b.post("/check", "do", "spf", "ip", "192.0.2.25", "helo", "silent.example").has(t, http.StatusOK, "This check couldn’t tell.", "verdict warn")
	b.post("/check", "do", "dkim", "message", friendly).has(t, http.StatusOK, "This check has nothing against it.", "58 octets")
	b.post("/check", "do", "dmarc", "domain", "Friends.example").has(t, http.StatusOK, "friends.example wants p=quarantine", `value="Friends.example"`)
	b.post("/check", "do", "dmarc", "domain", "no domain").has(t, http.StatusUnprocessableEntity, "is not a domain", `value="no domain"`)
	broken := b.post("/check", "do", "spf", "ip", "192.0.2.25", "helo", "broken.example")
	broken.has(t, http.StatusInternalServerError, errOurs.Title)
	if strings.Contains(broken.body, "secret detail") {
		t.Error("the reason is shown")
	}
	s.admin.Checks = nil
	b.post("/check", "do", "spf", "ip", "192.0.2.25").has(t, http.StatusUnprocessableEntity, html.EscapeString(errNoChecks.Text))
}

func TestCheckOfAFile(t *testing.T) {
	s := newSite(t)
	s.admin.Checks = checker{}
	b := s.signedIn()
	b.upload("/check", "do", "dkim", "message", "typed", "file", friendly).has(t, http.StatusOK, "58 octets", "hello\r\n</textarea>")
	b.upload("/check", "do", "dkim", "message", friendly, "file", "").has(t, http.StatusOK, "58 octets")
	large := friendly + strings.Repeat("x", 900_000) + "\r\n"
	a := b.upload("/check", "do", "dkim", "file", large)
	a.has(t, http.StatusOK, "900060 octets")
	if len(a.body) > 100_000 {
		t.Errorf("the answer has %d octets", len(a.body))
	}
	b.upload("/check", "do", "dkim", "file", strings.Repeat("x", 2<<20)).has(t, http.StatusRequestEntityTooLarge, errTooLarge.Title)
	b.upload("/lists", "action", "block", "what", "a.example", "file", large).has(t, http.StatusRequestEntityTooLarge, errTooLarge.Title)
	s.browser().upload("/check", "do", "dkim", "file", large).has(t, http.StatusSeeOther)
	b.upload("/check", "do", "dkim", "file", "\xff\xfe</textarea><script>alert(1)</script>").has(t, http.StatusOK, "&lt;/textarea&gt;")
	b.send("POST", "/check", "multipart/form-data; boundary=x", strings.NewReader("nonsense")).has(t, http.StatusBadRequest, errBadForm.Title)
}
