package smtpd

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestISEMail says each address of the collection to a server, as sender and as
// recipient: none that is invalid is taken, and every one that SMTP can carry is
// taken for an address, whatever becomes of it.
func TestISEMail(t *testing.T) {
	dir := os.Getenv("POSTROOM_TESTDATA")
	if dir == "" {
		t.Skip("needs POSTROOM_TESTDATA, the folder of test data from elsewhere")
	}
	b, err := os.ReadFile(filepath.Join(dir, "addresses", "isemail.json"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct{ ID, Address, Category, Diagnosis string }
	if err := json.Unmarshal(b, &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) < 160 {
		t.Fatalf("only %d addresses", len(rows))
	}
	h := serve(t)
	for _, row := range rows {
		var valid bool
		switch row.Category {
		case "ISEMAIL_ERR":
		case "ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN", "ISEMAIL_RFC5321":
			valid = row.Address != "test@255.255.255.255" // an address without its brackets
		default:
			continue // needs comments, folding or obsolete syntax, or breaks the limits of RFC 5321
		}
		if row.Address == "" {
			continue // <> is the null sender
		}
		for _, before := range []string{"MAIL FROM:<", "RCPT TO:<"} {
			c := h.open(t)
			if before == "RCPT TO:<" {
				c.do("MAIL FROM:<>", "250")
			}
			c.send(before + row.Address + ">\r\n")
			reply := c.expect("")
			// RCPT judges an address that it can read: 550, relaying denied.
			if taken := reply[0] == '2' || strings.HasPrefix(reply, "550 5.7.1"); taken != valid {
				t.Errorf("%s: %s%s> gets %q, and valid is %v: %s", row.ID, before, row.Address, reply, valid, row.Diagnosis)
			}
			c.conn.Close()
		}
	}
}
