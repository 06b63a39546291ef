package mail

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	long := strings.Repeat("a", 64)
	tests := []struct {
		name, in, out string // out empty: refused
	}{
		{"keeps a plain address", "alice@example.org", "alice@example.org"},
		{"folds the case of the domain alone", "Alice@EXAMPLE.org", "Alice@example.org"},
		{"turns U-labels into A-labels", "a@bücher.example", "a@xn--bcher-kva.example"},
		{"keeps UTF-8 in the local part", "grå@example.org", "grå@example.org"},
		{"takes needless quotes away", `"alice"@example.org`, "alice@example.org"},
		{"quotes what needs quotes", `"a b"@example.org`, `"a b"@example.org`},
		{"keeps an empty quoted local part", `""@example.org`, `""@example.org`},
		{"keeps a path's end inside quotes", `"a@evil> NOTIFY=NEVER "@example.org`, `"a@evil> NOTIFY=NEVER "@example.org`},
		{"escapes quotes and backslashes", `"\"\\"@example.org`, `"\"\\"@example.org`},
		{"takes an IPv4 literal", "a@[192.0.2.1]", "a@[192.0.2.1]"},
		{"takes an IPv6 literal", "a@[ipv6:2001:DB8:0::1]", "a@[IPv6:2001:db8::1]"},
		{"takes a local part of 64 octets", long + "@example.org", long + "@example.org"},
		{"refuses one of 65", long + "a@example.org", ""},
		{"takes a longer one that a forwarder has made", "srs0=" + long + "@example.org", "srs0=" + long + "@example.org"},
		{"refuses one that only looks like it", "srs0" + long + "@example.org", ""},
		{"refuses one that is longer than an address can be", "SRS1=" + strings.Repeat("a", 240) + "@example.org", ""},
		{"refuses two at-signs", "a@b@example.org", ""},
		{"refuses NUL", "a\x00@example.org", ""},
		{"refuses NUL in quotes", "\"a\x00\"@example.org", ""},
		{"refuses a line end in quotes", "\"a\r\nb\"@example.org", ""},
		{"refuses a dot at the end", "a.@example.org", ""},
		{"refuses a domain that is an address", "a@192.0.2.1", ""},
		{"refuses an unknown literal", "a@[x:y]", ""},
		{"refuses a broken UTF-8 sequence", "a\xff@example.org", ""},
		{"refuses a local part alone", "alice", ""},
		{"refuses an empty text", "", ""},
		{"refuses a domain alone", "@example.org", ""},
		{"refuses a trailing dot", "a@example.org.", ""},
		{"refuses an underscore in the domain", "a@ex_ample.org", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := ParseAddress(tt.in)
			if (err == nil) != (tt.out != "") || a.String() != tt.out {
				t.Errorf("ParseAddress(%q) = %q, %v; want %q", tt.in, a.String(), err, tt.out)
			}
		})
	}
}

func TestAddressParts(t *testing.T) {
	a, err := ParseAddress("Alice+Shop@Example.ORG")
	if err != nil {
		t.Fatal(err)
	}
	if got := a.Base().Key(); got != "alice@example.org" {
		t.Errorf("its mailbox is %q", got)
	}
	if plus := (Address{"+tag", "example.org"}); plus.Base() != plus {
		t.Error("a local part that begins with + lost it")
	}
	if (Address{Local: "å", Domain: "example.org"}).IsASCII() || !a.IsASCII() {
		t.Error("IsASCII is wrong")
	}
	if got := (Address{Local: "postmaster"}).String(); got != "postmaster" {
		t.Errorf("postmaster alone is %q", got)
	}
}

// isemailRefused are addresses of the collection that RFC 5321 allows and we
// don't take.
var isemailRefused = map[string]string{
	"test@255.255.255.255": "an address without its brackets",
}

// TestISEMail takes nothing that is invalid, and everything that SMTP can carry:
// the collection's other categories need comments, folding or obsolete syntax of
// RFC 5322, or break the limits of RFC 5321.
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
	for _, row := range rows {
		_, err := ParseAddress(row.Address)
		_, exception := isemailRefused[row.Address]
		switch row.Category {
		case "ISEMAIL_ERR":
			if err == nil {
				t.Errorf("%s: takes %q, which is invalid: %s", row.ID, row.Address, row.Diagnosis)
			}
		case "ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN", "ISEMAIL_RFC5321":
			if (err != nil) != exception {
				t.Errorf("%s: %q: %v, and an exception: %v", row.ID, row.Address, err, exception)
			}
		}
	}
}

// FuzzParseAddress checks that what String writes is one path that means the
// same again, whatever was parsed.
func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{
		"alice@example.org", `"a@evil> NOTIFY=NEVER "@example.org`, `"\"\\"@x.y`, "a@[IPv6:::1]", "grå@bücher.example", `""@a.b`,
		"a@xn--bcher-kva.example", "a@ß.example", "a@[ipv6:::ffff:1.2.3.4]",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		text := a.String()
		if strings.ContainsAny(text, "\r\n\x00") {
			t.Fatalf("%q became %q", s, text)
		}
		again, err := ParseAddress(text)
		if err != nil || again != a {
			t.Fatalf("%q became %q, which is %#v, %v, not %#v", s, text, again, err, a)
		}
	})
}
