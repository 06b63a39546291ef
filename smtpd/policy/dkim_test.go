package policy

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"postroom/store"
	"postroom/store/mail"
)

// sign signs a message for a domain, and publishes the key.
func sign(t *testing.T, dns fakeDNS, domain, message string) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	dns.txt["k._domainkey."+domain] = "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)
	var signed bytes.Buffer
	if err := dkim.Sign(&signed, strings.NewReader(message), &dkim.SignOptions{Domain: domain, Selector: "k", Signer: private}); err != nil {
		t.Fatal(err)
	}
	return signed.String()
}

func TestDKIM(t *testing.T) {
	const letter = "From: s@far.test\r\nSubject: hello\r\n\r\nHello\r\n"
	dns := fakeDNS{txt: make(map[string]string)}
	far, other, down := sign(t, dns, "far.test", letter), sign(t, dns, "other.test", letter), sign(t, dns, "unknown.test", letter)
	delete(dns.txt, "k._domainkey.unknown.test")
	for _, test := range []struct {
		it, message, sender string
		want                []string
		authentic           bool
	}{
		{"believes a signature of the sender's domain", far, "s@far.test", []string{"dkim=pass header.d=far.test"}, true},
		{"believes that of a domain above it", far, "s@news.far.test", []string{"dkim=pass header.d=far.test"}, true},
		{"makes nothing of that of another domain", other, "s@far.test", []string{"dkim=pass header.d=other.test"}, false},
		{"takes no likeness for the same", far, "s@so-far.test", []string{"dkim=pass header.d=far.test"}, false},
		{"sees what was changed", far + "PS\r\n", "s@far.test", []string{"dkim=fail header.d=far.test"}, false},
		{"wants a key", down, "s@unknown.test", []string{"dkim=permerror header.d=unknown.test"}, false},
		{"looks at several", sign(t, dns, "third.test", far), "s@far.test", []string{"dkim=pass header.d=third.test", "dkim=pass header.d=far.test"}, true},
		{"looks at five at most", strings.Repeat("DKIM-Signature: v=1; d=spam.test\r\n", 5) + far, "s@far.test", slices.Repeat([]string{"dkim=permerror header.d=spam.test"}, 5), false},
		{"passes over what can't be a domain", strings.Replace(far, "d=far.test", "d=a b(c", 1), "s@far.test", nil, false},
		{"says nothing of what isn't signed", letter, "s@far.test", nil, false},
		{"proves nobody who has no name", far, "", nil, false},
	} {
		t.Run(test.it, func(t *testing.T) {
			m := &Message{Forwards: true, Header: []byte(test.message[:strings.Index(test.message, "\r\n\r\n")+2])}
			m.Open = func() io.Reader { return strings.NewReader(test.message) }
			if test.sender != "" {
				sender, err := mail.ParseAddress(test.sender)
				if err != nil {
					t.Fatal(err)
				}
				m.Envelope.Sender = sender
			}
			got, err := DKIM(dns).Judge(t.Context(), Client{}, m)
			if err != nil || !slices.Equal(got.Results, test.want) || got.Authentic != test.authentic || !got.Pass() {
				t.Errorf("%+v, %v, want %q and %v", got, err, test.want, test.authentic)
			}
		})
	}
}

// A torn is a message that can't be read to its end.
type torn struct{ io.Reader }

func (r torn) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err == io.EOF {
		err = fmt.Errorf("disk on fire")
	}
	return n, err
}

func TestDKIMBelievesNothingUnread(t *testing.T) {
	const letter = "From: s@far.test\r\n\r\nHello\r\n"
	dns := fakeDNS{txt: make(map[string]string)}
	for name, message := range map[string]string{
		"one signature": sign(t, dns, "far.test", letter),
		"several":       sign(t, dns, "third.test", sign(t, dns, "far.test", letter)),
	} {
		m := &Message{Forwards: true, Header: []byte(message)}
		m.Envelope.Sender = mail.Address{Local: "s", Domain: "far.test"}
		m.Open = func() io.Reader { return torn{strings.NewReader(message)} }
		if got, err := DKIM(dns).Judge(context.Background(), Client{}, m); got.Authentic || err != nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestDKIMIsNotAskedInVain(t *testing.T) {
	m := &Message{Header: []byte("DKIM-Signature: x\r\n"), Open: func() io.Reader { t.Error("the message is read"); return strings.NewReader("") }}
	m.Envelope.Sender = mail.Address{Local: "s", Domain: "far.test"}
	for _, client := range []Client{{}, {Account: store.AccountID(1)}} {
		m.Forwards = client.Account != 0
		if got, err := DKIM(fakeDNS{}).Judge(t.Context(), client, m); got.Authentic || got.Results != nil || err != nil {
			t.Errorf("%+v, %v", got, err)
		}
	}
}
