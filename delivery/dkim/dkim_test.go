package dkim_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"postroom/delivery/dkim"
)

// keys are one of each algorithm, the same in each run.
func keys(t testing.TB) []dkim.Key {
	t.Helper()
	text, err := os.ReadFile("testdata/rsa.pem")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	signer, err := dkim.ParseKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return []dkim.Key{
		{Domain: "example.org", Selector: "r", Signer: signer},
		{Domain: "example.org", Selector: "e", Signer: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))},
	}
}

func record(t testing.TB, k dkim.Key) string {
	t.Helper()
	if public, ok := k.Signer.Public().(ed25519.PublicKey); ok {
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)
	}
	der, err := x509.MarshalPKIXPublicKey(k.Signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	return "v=DKIM1; p=" + base64.StdEncoding.EncodeToString(der)
}

// sign returns a message with our signatures in front.
func sign(t testing.TB, message string, keys ...dkim.Key) (string, error) {
	t.Helper()
	h, body, err := dkim.Read(strings.NewReader(message))
	if err != nil {
		return "", err
	}
	hash, err := dkim.HashBody(body)
	if err != nil {
		return "", err
	}
	fields, err := h.Sign(hash, time.Now(), keys...)
	return fields + message, err
}

// verify has another implementation judge the signatures of a message.
func verify(t testing.TB, message string, keys ...dkim.Key) error {
	t.Helper()
	results, err := msgauth.VerifyWithOptions(strings.NewReader(message), &msgauth.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) {
			for _, k := range keys {
				if name == k.Selector+"._domainkey."+k.Domain {
					return []string{record(t, k)}, nil
				}
			}
			return nil, &net.DNSError{Name: name, IsNotFound: true}
		},
	})
	if err != nil {
		return err
	}
	if len(results) != len(keys) {
		return fmt.Errorf("%d signatures, want %d", len(results), len(keys))
	}
	for _, r := range results {
		if r.Err != nil {
			return r.Err
		}
	}
	return nil
}

const letter = "Received: from somewhere\r\n\tby here; now\r\nFrom: Alice <alice@example.org>\r\nTo: bob@example.net\r\nSubject: Lunch\r\n" +
	"Date: Mon, 02 Mar 2026 12:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\nAt noon?\r\n"

// What a careless or a strange program may send is signed all the same.
func TestSign(t *testing.T) {
	const from = "From: alice@example.org\r\n"
	for name, message := range map[string]string{
		"a letter":                            letter,
		"one without a body":                  from + "\r\n",
		"one without an empty line":           from,
		"one that ends with empty lines":      letter + "\r\n\r\n \t\r\n\r\n",
		"one of empty lines":                  from + "\r\n\r\n\r\n\r\n",
		"one of white space":                  from + "\r\n \r\n\t",
		"one whose last line doesn't end":     from + "\r\nno end",
		"white space within lines":            from + "\r\na  b\t \tc \r\n  d\r\n\r\n\t\r\ne\r\n",
		"folded fields":                       "From:\r\n alice@example.org\r\nSubject: a\r\n  b\r\n\tc  \r\n\r\nx\r\n",
		"a field that is only folds":          from + "Subject:\r\n \r\n \r\n\r\nx\r\n",
		"empty fields":                        from + "Subject:\r\nTo: \r\nCc:\r\n\r\nx\r\n",
		"fields in other letters":             "fRoM: alice@example.org\r\nSUBJECT: x\r\nmessage-id: <x>\r\n\r\nx\r\n",
		"white space before the colon":        "From : alice@example.org\r\nSubject\t:x\r\n\r\nx\r\n",
		"fields that are there twice":         from + "Subject: a\r\nSubject: b\r\nTo: c\r\nTo: d\r\nTo: e\r\nDate: f\r\n\r\nx\r\n",
		"8-bit in header and body":            "From: J\xf6rg <alice@example.org>\r\nSubject: gr\xc3\xbc\xdfe\r\n\r\n\xff\xfe \xa0 \x85\r\n",
		"UTF-8 with strange white space":      from + "Subject: a\u00a0\u2003b \u3000\r\n\r\na\u00a0\u2003b \u3000\r\n",
		"control characters":                  from + "Subject: a\x0bb\x0c \x0c\r\n\r\na\x0b \x0c\r\n\x1f\r\n",
		"a very long field":                   from + "References: " + strings.Repeat("<1234567890@example.org>\r\n ", 4000) + "\r\n\r\nx\r\n",
		"a very long line":                    from + "Subject: " + strings.Repeat("x", 300_000) + "\r\n\r\n" + strings.Repeat("y", 300_000) + "\r\n",
		"a hundred recipients' fields":        from + strings.Repeat("To: bob@example.net\r\n", 100) + "\r\nx\r\n",
		"others' signatures":                  "DKIM-Signature: v=1; a=rsa-sha256; d=example.com\r\n" + from + "\r\nx\r\n",
		"what looks like a signature's value": from + "Subject: b=abc; bh=def\r\n\r\nx\r\n",
		"a list's fields":                     from + "List-Unsubscribe: <https://example.org/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nx\r\n",
		"many parts of a line apart":          from + "\r\n" + strings.Repeat("a b\tc  \r\n\r\n", 5000),
	} {
		t.Run(name, func(t *testing.T) {
			k := keys(t)
			signed, err := sign(t, message, k...)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(name, "others'") {
				signed = strings.Replace(signed, "DKIM-Signature: v=1; a=rsa-sha256; d=example.com\r\n", "", 1) // isn't ours to judge
			}
			if !strings.Contains(signed, "\r\n\r\n") {
				signed += "\r\n" // the verifier needs it
			}
			if err := verify(t, signed, k...); err != nil {
				t.Errorf("%v:\n%.2000s", err, signed)
			}
			for line := range strings.SplitSeq(strings.TrimSuffix(signed, message), "\r\n") {
				if len(line) > 78 {
					t.Errorf("a line of our own has %d octets: %q", len(line), line)
				}
			}
		})
	}
}

func TestSignRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		message string
		want    error
	}{
		"a message without From":       {"To: x\r\n\r\nx\r\n", dkim.ErrFrom},
		"an empty message":             {"", dkim.ErrFrom},
		"a From in the body":           {"\r\nFrom: alice@example.org\r\n\r\n", dkim.ErrFrom},
		"two From fields":              {"From: a@example.org\r\nfrom: b@example.org\r\n\r\n", dkim.ErrFrom},
		"a From that continues a line": {"To: x\r\n From: a@example.org\r\n\r\n", dkim.ErrFrom},
		"too many fields":              {"From: a@example.org\r\n" + strings.Repeat("To: x\r\n", 300) + "\r\n", dkim.ErrFields},
		"too large a header":           {"From: a@example.org\r\nSubject: " + strings.Repeat("x", 2<<20) + "\r\n\r\n", dkim.ErrHeaderSize},
	} {
		if _, err := sign(t, test.message, keys(t)...); err != test.want {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	if _, _, err := dkim.Read(iotest.ErrReader(io.ErrUnexpectedEOF)); err == nil {
		t.Error("a header that can't be read is taken")
	}
}

// What is changed or added on the way is found out.
func TestSignSeals(t *testing.T) {
	k := keys(t)
	signed, err := sign(t, letter, k...)
	if err != nil {
		t.Fatal(err)
	}
	for name, changed := range map[string]string{
		"another subject":   strings.Replace(signed, "Lunch", "Dinner", 1),
		"another body":      strings.Replace(signed, "noon", "midnight", 1),
		"more of a body":    signed + "PS\r\n",
		"another selector":  strings.Replace(signed, "s=r;", "s=e;", 1),
		"a second From":     "From: mallory@example.net\r\n" + signed,
		"a second Subject":  "Subject: Dinner\r\n" + signed,
		"a Reply-To":        "Reply-To: mallory@example.net\r\n" + signed,
		"a Cc":              "Cc: mallory@example.net\r\n" + signed,
		"a second To":       strings.Replace(signed, "Subject:", "To: mallory@example.net\r\nSubject:", 1),
		"a second Date":     "Date: Tue, 03 Mar 2026 12:00:00 +0000\r\n" + signed,
		"a second ID":       "Message-ID: <2@example.org>\r\n" + signed,
		"a content type":    "Content-Type: text/html\r\n" + signed,
		"a missing subject": strings.Replace(signed, "Subject: Lunch\r\n", "", 1),
	} {
		if err := verify(t, changed, k...); err == nil {
			t.Errorf("%s passes", name)
		}
	}
	harmless := "Received: from us\r\nList-Id: <x>\r\n" + strings.Replace(signed, "Subject: Lunch", "Subject:\r\n  Lunch ", 1) + "\r\n\r\n"
	if err := verify(t, harmless, k...); err != nil {
		t.Errorf("what is folded and added harmlessly: %v", err)
	}
}

func TestFromDomain(t *testing.T) {
	for field, want := range map[string]string{
		"alice@example.org":                              "example.org",
		"Alice <alice@Example.ORG>":                      "example.org",
		"\"a@b.example\" <alice@example.org>":            "example.org",
		"\"a <x@b.example>\" <alice@example.org>":        "example.org",
		"\r\n Alice\r\n <alice@example.org>":             "example.org",
		"J\xf6rg <alice@example.org>":                    "example.org",
		"=?x-unknown?q?a?= <alice@example.org>":          "example.org",
		"alice@b\u00fccher.example":                      "xn--bcher-kva.example",
		"alice@example.org, bob@example.net":             "example.org",
		"alice@example.org (at work)":                    "example.org",
		"nobody":                                         "",
		"":                                               "",
		"alice@[192.0.2.1]":                              "",
		"alice@example.org\r\nFrom: mallory@example.net": "",
	} {
		h, _, err := dkim.Read(strings.NewReader("From: " + field + "\r\n\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := h.FromDomain(); got != want {
			t.Errorf("%q is of %q, want %q", field, got, want)
		}
	}
}

// RFC 6376 section 3.4.5, and the hashes of nothing.
func TestHashBody(t *testing.T) {
	const empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	for body, canonical := range map[string]string{
		" C \r\nD \t E\r\n\r\n\r\n": " C\r\nD E\r\n",
		"":                          "",
		"\r\n\r\n":                  "",
		" \t\r\n ":                  "",
		"a":                         "a\r\n",
		"a\r\n\r\n\r\nb  ":          "a\r\n\r\n\r\nb\r\n",
	} {
		want := sha256.Sum256([]byte(canonical))
		for _, r := range []io.Reader{strings.NewReader(body), iotest.OneByteReader(strings.NewReader(body))} {
			got, err := dkim.HashBody(r)
			if err != nil || got != want {
				t.Errorf("%q: %x, %v; want that of %q", body, got, err, canonical)
			}
			if text := base64.StdEncoding.EncodeToString(got[:]); (text == empty) != (canonical == "") {
				t.Errorf("%q: %s", body, text)
			}
		}
	}
	if _, err := dkim.HashBody(iotest.ErrReader(io.ErrUnexpectedEOF)); err != io.ErrUnexpectedEOF {
		t.Errorf("a body that can't be read: %v", err)
	}
}

// A body is hashed in constant memory, whatever it ends with.
func TestHashBodyMemory(t *testing.T) {
	for name, line := range map[string]string{"text": strings.Repeat("word ", 10) + "\r\n", "empty lines": "\r\n", "white space": " \t"} {
		allocs := testing.AllocsPerRun(1, func() {
			if _, err := dkim.HashBody(&endless{line, 8 << 20}); err != nil {
				t.Error(err)
			}
		})
		if allocs > 20 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

// endless gives a line again and again, left octets in all.
type endless struct {
	line string
	left int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := copy(p, e.line)
	e.left -= n
	return n, nil
}

func TestParseKey(t *testing.T) {
	if _, err := dkim.ParseKey([]byte("no key")); err == nil {
		t.Error("what is no key is taken")
	}
	k := keys(t)
	if _, ok := k[0].Signer.(*rsa.PrivateKey); !ok {
		t.Errorf("an RSA key is %T", k[0].Signer)
	}
	var broken failing
	if _, err := sign(t, letter, dkim.Key{Signer: broken}); err == nil {
		t.Error("a key that fails signs")
	}
}

type failing struct{}

func (failing) Public() crypto.PublicKey { return nil }

func (failing) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, io.ErrUnexpectedEOF
}

// FuzzSign signs what comes, and has another implementation verify it.
func FuzzSign(f *testing.F) {
	f.Add("Subject: x\r\n", "body\r\n")
	f.Add("Subject:\r\n\t x \r\nTo:\r\nTo: a\r\n b\r\nSUBJECT:\xff\r\n", "\r\n a  b \r\n\t\r\n\r\nc")
	f.Add("Content-Type: text/plain\r\nList-Id: a:b\r\nCc:::\r\n", " \t\r\n")
	k := keys(f)
	f.Fuzz(func(t *testing.T, fields, body string) {
		message := "Received: x\r\nFrom: alice@example.org\r\n" + clean(fields)
		message = strings.TrimRight(message, "\r\n") + "\r\n\r\n" + clean(body)
		if header, _, _ := strings.Cut(message, "\r\n\r\n"); !wellFormed(header) {
			return // not every line is a field: nobody agrees on such a header
		}
		signed, err := sign(t, message, k[1])
		if err == dkim.ErrFrom || err == dkim.ErrFields {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := verify(t, signed, k[1]); err != nil {
			t.Errorf("%v: %q", err, signed)
		}
	})
}

// clean makes all line ends CRLF.
func clean(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r", ""), "\x00", "")
	return strings.ReplaceAll(s, "\n", "\r\n")
}

// wellFormed reports whether each line of a header begins a field or continues one.
func wellFormed(header string) bool {
	for line := range strings.SplitSeq(header, "\r\n") {
		name, _, ok := strings.Cut(line, ":")
		continues := strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")
		if !continues && (!ok || strings.TrimRight(name, " \t") == "" || strings.ContainsFunc(name, func(r rune) bool { return r < 33 || r > 126 })) {
			return false
		}
		if strings.EqualFold(strings.TrimSpace(name), "dkim-signature") {
			return false
		}
	}
	return true
}

func BenchmarkSign(b *testing.B) {
	message := letter + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 56)
	k := keys(b)
	for name, keys := range map[string][]dkim.Key{"both": k, "rsa": k[:1], "ed25519": k[1:]} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := sign(b, message, keys...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkHashBody(b *testing.B) {
	text := strings.Repeat("some words of a line that is as long as others are, \r\n", 20_000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := dkim.HashBody(strings.NewReader(text)); err != nil {
			b.Fatal(err)
		}
	}
}
