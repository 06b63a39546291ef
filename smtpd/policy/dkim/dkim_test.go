package dkim

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	library "github.com/emersion/go-msgauth/dkim"
)

// newKeys returns keys to sign with, and publishes them: "e" and "r" of far.test.
func newKeys(t testing.TB) (map[string]crypto.Signer, records) {
	t.Helper()
	_, e, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(r.Public())
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"e": e, "r": r}, records{
		"e._domainkey.far.test": "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(e.Public().(ed25519.PublicKey)),
		"r._domainkey.far.test": "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public),
	}
}

func sign(t testing.TB, key crypto.Signer, selector, text string, header, body library.Canonicalization) string {
	t.Helper()
	var signed bytes.Buffer
	options := &library.SignOptions{Domain: "far.test", Selector: selector, Signer: key, HeaderCanonicalization: header, BodyCanonicalization: body}
	if err := library.Sign(&signed, strings.NewReader(text), options); err != nil {
		t.Fatal(err)
	}
	return signed.String()
}

// TestVerify verifies what another implementation has signed, in every form, read in
// pieces of every kind.
func TestVerify(t *testing.T) {
	keys, dns := newKeys(t)
	const head = "Received: x\r\nFrom: s@far.test\r\nSubject:  a \t b\r\n\tc \r\nX:\r\nTo: t@far.test\r\n\r\n"
	bodies := []string{
		"", "\r\n", "\r\n\r\n", "Hello\r\n", "Hello", "a  b \t c\t\r\n \r\n\t\r\n", " a\r\n\r\n\r\nb \r\n \r\n\r\n",
		strings.Repeat("many words on a line that  is long ", 2000) + "\r\n", strings.Repeat("x\r\n", 20000) + "\r\n\r\n",
	}
	readers := map[string]func(string) io.Reader{
		"whole":       func(s string) io.Reader { return strings.NewReader(s) },
		"octets":      func(s string) io.Reader { return iotest.OneByteReader(strings.NewReader(s)) },
		"end at once": func(s string) io.Reader { return iotest.DataErrReader(strings.NewReader(s)) },
	}
	for selector, key := range keys {
		for _, form := range []library.Canonicalization{library.CanonicalizationSimple, library.CanonicalizationRelaxed} {
			for i, body := range bodies {
				text := sign(t, key, selector, head+body, form, form)
				for name, open := range readers {
					m := message([]byte(text))
					m.Open = func() io.Reader { return open(text) }
					list, err := (&Verifier{DNS: dns}).Verify(t.Context(), m)
					if err != nil || len(list) != 1 || list[0].Result != Pass || list[0].Domain != "far.test" || list[0].Selector != selector {
						t.Errorf("%s, %s, body %d, %s: %+v, %v", selector, form, i, name, list, err)
					}
				}
				changed := strings.Replace(text+"PS\r\n", "", "", 1)
				if list, _ := (&Verifier{DNS: dns}).Verify(t.Context(), message([]byte(changed))); list[0].Result != Fail {
					t.Errorf("%s, %s, body %d: what was added isn't seen: %+v", selector, form, i, list)
				}
			}
		}
	}
}

func TestVerifyFinds(t *testing.T) {
	keys, dns := newKeys(t)
	text := sign(t, keys["e"], "e", "From: s@far.test\r\nSubject: hello\r\n\r\nHello\r\n", "relaxed", "relaxed")
	for _, tt := range []struct {
		it, from, to string
		want         Result
	}{
		{"what is as it was", "", "", Pass},
		{"what is only folded otherwise", "Subject: hello", "subject:\r\n hello ", Pass},
		{"a changed field", "Subject: hello", "Subject: hullo", Fail},
		{"a changed body", "Hello\r\n", "Hullo\r\n", Fail},
		{"an unknown algorithm", "a=ed25519-sha256", "a=ed25519-sha512", PermError},
		{"another kind of key", "a=ed25519-sha256", "a=rsa-sha256", PermError},
		{"rsa-sha1", "a=ed25519-sha256", "a=rsa-sha1", Fail},
		{"another version", "v=1", "v=2", PermError},
		{"no key", "s=e", "s=none", PermError},
		{"a key that can't be had", "s=e", "s=down", TempError},
		{"a key that was taken back", "s=e", "s=revoked", PermError},
		{"a short key", "s=e;", "s=short;", PermError},
		{"an expired signature", "v=1", "v=1; x=1", PermError},
		{"times that run backwards", "v=1", "v=1; t=9999999999; x=1", PermError},
		{"another domain's identity", "v=1", "v=1; i=@other.test", PermError},
		{"a signature without From", "h=From:", "h=Form:", PermError},
		{"a tag twice", "v=1", "v=1; v=1", PermError},
		{"a body that goes on", "v=1", "v=1; l=2", Fail},
		{"a domain that is none", "d=far.test", "d=far_;test", PermError},
	} {
		dns["down._domainkey.far.test"], dns["revoked._domainkey.far.test"] = "~~", "v=DKIM1; p="
		dns["short._domainkey.far.test"] = "v=DKIM1; k=ed25519; p=AAAA"
		changed := text
		if tt.from != "" {
			if changed = strings.Replace(text, tt.from, tt.to, 1); changed == text {
				t.Fatalf("%s: %q is not in\n%s", tt.it, tt.from, text)
			}
		}
		list, err := (&Verifier{DNS: dns}).Verify(t.Context(), message([]byte(changed)))
		if err != nil || len(list) != 1 || list[0].Result != tt.want || (list[0].Reason == "") != (tt.want == Pass) {
			t.Errorf("%s: %+v, %v, want %s", tt.it, list, err, tt.want)
		}
	}
}

// TestPartialBody: a signature of a part of the body says nothing of the rest.
func TestPartialBody(t *testing.T) {
	keys, dns := newKeys(t)
	for length, want := range map[int]Result{7: Pass, 5: Policy, 0: Policy, 8: Fail} {
		text := signPart(t, keys["e"].(ed25519.PrivateKey), "Hello\r\n", length)
		list, err := (&Verifier{DNS: dns}).Verify(t.Context(), message([]byte(text)))
		if err != nil || list[0].Result != want {
			t.Errorf("%d of 7 octets: %+v, %v, want %s", length, list, err, want)
		}
	}
}

// signPart signs length octets of a body.
func signPart(t *testing.T, key ed25519.PrivateKey, body string, length int) string {
	t.Helper()
	h := crypto.SHA256.New()
	io.WriteString(h, body[:min(length, len(body))])
	field := fmt.Sprintf("DKIM-Signature: v=1; a=ed25519-sha256; d=far.test; s=e; h=from; l=%d; bh=%s; b=", length, base64.StdEncoding.EncodeToString(h.Sum(nil)))
	h = crypto.SHA256.New()
	io.WriteString(h, "From: s@far.test\r\n"+field)
	return field + base64.StdEncoding.EncodeToString(ed25519.Sign(key, h.Sum(nil))) + "\r\nFrom: s@far.test\r\n\r\n" + body
}

// A counter counts the questions.
type counter struct {
	records
	asked chan string
}

func (c counter) LookupTXT(ctx context.Context, name string) ([]string, error) {
	c.asked <- name
	return c.records.LookupTXT(ctx, name)
}

// TestBounds: signatures without number, fields without number, and a key without
// measure.
func TestBounds(t *testing.T) {
	keys, dns := newKeys(t)
	good := sign(t, keys["e"], "e", "From: s@far.test\r\n\r\nHello\r\n", "relaxed", "relaxed")
	one, _, _ := strings.Cut(good, "From: s")
	dns["large._domainkey.far.test"] = "v=DKIM1; k=rsa; p=" + strings.Repeat("A", 60000)
	names := strings.ReplaceAll(one, "h=From", "h="+strings.Repeat("From:", 5000)+"From")
	fields := strings.Repeat("a:\r\n", 60000)
	asked := counter{dns, make(chan string, 100)}
	for _, tt := range []struct {
		it, text string
		want     Result
		asked    int
	}{
		{"10,000 signatures", strings.Repeat(one, 10000) + "From: s@far.test\r\n\r\nHello\r\n", Pass, 5},
		{"60,000 fields", fields + good, Pass, 1},
		{"a signature that names 5,000 fields", names + "From: s@far.test\r\n\r\nHello\r\n", PermError, 0},
		{"a key of 60 KB", strings.Replace(good, "s=e;", "s=large;", 1), PermError, 1},
		{"tags without end", "DKIM-Signature: " + strings.Repeat("a=;", 50000) + "\r\n\r\n", PermError, 0},
	} {
		list, err := (&Verifier{DNS: asked}).Verify(t.Context(), message([]byte(tt.text)))
		if err != nil || len(list) == 0 || len(list) > 5 || list[0].Result != tt.want || len(asked.asked) != tt.asked {
			t.Errorf("%s: %d results, the first %+v, %v, after %d questions", tt.it, len(list), list[:1], err, len(asked.asked))
		}
		for len(asked.asked) > 0 {
			<-asked.asked
		}
	}
}

func TestVerifyReportsUnread(t *testing.T) {
	keys, dns := newKeys(t)
	trouble := errors.New("disk on fire")
	m := message([]byte(sign(t, keys["e"], "e", "From: s@far.test\r\n\r\nHello\r\n", "relaxed", "relaxed")))
	whole := m.Open
	m.Open = func() io.Reader { return io.MultiReader(whole(), iotest.ErrReader(trouble)) }
	if list, err := (&Verifier{DNS: dns}).Verify(t.Context(), m); !errors.Is(err, trouble) {
		t.Errorf("%+v, %v", list, err)
	}
}

// FuzzVerify: what the other implementation has signed verifies, whatever it is.
func FuzzVerify(f *testing.F) {
	keys, dns := newKeys(f)
	f.Add("X: y", "Hello \r\n\r\n", true)
	f.Add("X:  y  z", "\t\r\n", false)
	f.Fuzz(func(t *testing.T, field, body string, relaxed bool) {
		if strings.ContainsAny(strings.ReplaceAll(field+body, "\r\n", ""), "\r\n") || !isField(field) {
			return // nothing that could be signed
		}
		form := library.Canonicalization("simple")
		if relaxed {
			form = "relaxed"
		}
		var signed bytes.Buffer
		options := &library.SignOptions{Domain: "far.test", Selector: "e", Signer: keys["e"], HeaderCanonicalization: form, BodyCanonicalization: form}
		if err := library.Sign(&signed, strings.NewReader("From: s@far.test\r\n"+field+"\r\n\r\n"+body), options); err != nil {
			return
		}
		list, err := (&Verifier{DNS: dns}).Verify(t.Context(), message(signed.Bytes()))
		if err != nil || len(list) != 1 || list[0].Result != Pass {
			t.Errorf("%+v, %v:\n%q", list, err, signed.String())
		}
	})
}

// isField reports whether s can be a field that both read alike.
func isField(s string) bool {
	name, value, ok := strings.Cut(s, ":")
	if !ok || !isName(name) || strings.Contains(name, ".") {
		return false
	}
	for i := range len(value) {
		if value[i] > '~' || value[i] < ' ' {
			return false
		}
	}
	return !strings.EqualFold(name, "from") && !strings.EqualFold(name, "dkim-signature")
}

func BenchmarkVerify(b *testing.B) {
	keys, dns := newKeys(b)
	body := strings.Repeat("The quick brown fox jumps over the lazy dog, and so on until the line ends.\r\n", 54)
	m := message([]byte(sign(b, keys["r"], "r", "From: s@far.test\r\nTo: t@far.test\r\nSubject: hello\r\nDate: x\r\nMessage-ID: <x@y>\r\n\r\n"+body, "relaxed", "relaxed")))
	v := &Verifier{DNS: dns}
	b.ReportAllocs()
	for b.Loop() {
		if list, err := v.Verify(b.Context(), m); err != nil || list[0].Result != Pass {
			b.Fatal(list, err)
		}
	}
}
