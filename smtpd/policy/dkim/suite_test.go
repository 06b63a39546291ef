package dkim

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// records are a few TXT records; what isn't there doesn't exist. "~~" in one means
// that asking fails.
type records map[string]string

func (r records) LookupTXT(_ context.Context, name string) ([]string, error) {
	switch record, ok := r[strings.ToLower(name)]; {
	case !ok || record == "NXDOMAIN":
		return nil, &net.DNSError{Err: "no such domain", Name: name, IsNotFound: true}
	case strings.HasPrefix(record, "~~"):
		return nil, &net.DNSError{Err: record, Name: name, IsTemporary: true}
	default:
		return []string{record}, nil
	}
}

// message makes one of its octets.
func message(b []byte) Message {
	end := bytes.Index(b, []byte("\r\n\r\n")) + 2
	if end < 2 {
		end = len(b)
	}
	return Message{Header: b[:end], Open: func() io.Reader { return bytes.NewReader(b) }}
}

func crlf(b []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}

// TestSuite verifies the messages of Mail::DKIM. Where these expect a pass of
// rsa-sha1, of a short key, or of a field DomainKey-Signature, whose only algorithm
// is rsa-sha1, RFC 8301 stands: no signature may pass.
func TestSuite(t *testing.T) {
	dir := os.Getenv("POSTROOM_TESTDATA")
	if dir == "" {
		t.Skip("needs the test data that POSTROOM_TESTDATA points to")
	}
	dir = filepath.Join(dir, "dkim")
	var cases []struct{ File, Expect string }
	b, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	dns := keysIn(t, filepath.Join(dir, "FAKE_DNS.dat"))
	v := &Verifier{DNS: dns, Now: func() time.Time { return time.Unix(1700000000, 0) }}
	good, passed := 0, 0
	for _, test := range cases {
		b, err := os.ReadFile(filepath.Join(dir, test.File))
		if err != nil {
			t.Fatal(err)
		}
		list, err := v.Verify(t.Context(), message(crlf(b)))
		if err != nil {
			t.Fatal(err)
		}
		got, old := sum(list)
		passed += map[Result]int{Pass: 1}[got]
		ok := false
		switch test.Expect {
		case "pass":
			ok = got == Pass && !old || got == Fail && old || len(list) == 0 && bytes.Contains(b, []byte("DomainKey-Signature:"))
		case "fail":
			ok = got == Fail
		case "invalid":
			ok = got == PermError || got == TempError || got == Fail && old || len(list) == 0
		}
		if ok {
			good++
			continue
		}
		t.Errorf("%s: %s %+v, want %s", test.File, got, list, test.Expect)
	}
	if good != 79 || passed != 3 {
		t.Errorf("%d of 79 as expected, %d passed", good, passed)
	}
}

// sum says what the signatures of a message come to, and whether one is of an
// algorithm or a key that isn't believed any more.
func sum(list []Verification) (got Result, old bool) {
	for _, v := range list {
		old = old || strings.Contains(v.Reason, "(RFC 8301)")
		if got != Pass && (got == "" || v.Result == Pass || v.Result == Fail) {
			got = v.Result
		}
	}
	return got, old
}

func keysIn(t *testing.T, file string) records {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dns := make(records)
	for line := range strings.Lines(string(b)) {
		name, record, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok && !strings.HasPrefix(name, "#") {
			dns[strings.ToLower(name)] = strings.Trim(strings.TrimSpace(record), `"`)
		}
	}
	return dns
}
