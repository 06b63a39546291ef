package smtpd

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const plainMessage = "From: x@far.test\r\nSubject: hi\r\n\r\nhello\r\n..dot\r\n"

func TestMessage(t *testing.T) {
	h := serve(t)
	c := h.open(t)
	c.do("MAIL FROM:<x@far.test> SIZE=100", "250 2.1.0 ")
	c.do("RCPT TO:<alice@example.test>", "250 2.1.5 ")
	c.message(plainMessage, "250 2.0.0 accepted as 0000000000002")
	c.do("QUIT", "221 ")
	c.expectEnd()

	want := "Received: from client.test ([127.0.0.1])\r\n" +
		"\tby mail.example.test (postroom) with ESMTP\r\n" +
		"\tid 0000000000002;\r\n" +
		"\tSat, 21 Nov 2026 22:14:04 +0000\r\n" +
		strings.Replace(plainMessage, "\r\n..", "\r\n.", 1)
	if diff := cmp.Diff(want, h.mail.last(t).text); diff != "" {
		t.Error(diff)
	}
}
