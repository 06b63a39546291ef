package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"postroom/cmd/postroom/bench"
	"postroom/delivery/resolver"
	"postroom/smtpd"
	"postroom/smtpd/policy"
	"postroom/store/mail"
)

// BenchmarkAuthentication is what clean mail costs, with every answer of the DNS
// remembered.
func BenchmarkAuthentication(b *testing.B) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		b.Fatal(err)
	}
	var signed bytes.Buffer
	options := &dkim.SignOptions{Domain: "elsewhere.test", Selector: "k", Signer: key, HeaderCanonicalization: "relaxed", BodyCanonicalization: "relaxed"}
	if err := dkim.Sign(&signed, bytes.NewReader(bench.Plain(4096)), options); err != nil {
		b.Fatal(err)
	}
	record := base64.StdEncoding.EncodeToString(public)
	names, err := bench.StartDNS(
		fmt.Sprintf(`k._domainkey.elsewhere.test. 300 IN TXT "v=DKIM1; k=rsa; p=%s" "%s"`, record[:200], record[200:]),
		`elsewhere.test. 300 IN TXT "v=spf1 ip4:127.0.0.0/8 -all"`, `_dmarc.elsewhere.test. 300 IN TXT "v=DMARC1; p=reject"`,
	)
	if err != nil {
		b.Fatal(err)
	}
	defer names.Close()
	a := &policy.Authentication{DNS: &resolver.Resolver{Servers: []string{names.Addr}}, SPF: policy.Mark, DKIM: policy.Mark, DMARC: policy.Enforce}
	client := policy.Client{Addr: netip.MustParseAddr("127.0.0.1"), Helo: "client.elsewhere.test", Hostname: "mail.here.test"}
	check := a.Check()
	b.ReportAllocs()
	for b.Loop() {
		m := smtpd.MessageOf(signed.Bytes())
		m.Envelope.Sender = mail.Address{Local: "sender", Domain: "elsewhere.test"}
		v, err := check.Judge(b.Context(), client, m)
		if err != nil || !v.Pass() || !strings.Contains(strings.Join(v.Results, ";"), "dmarc=pass") {
			b.Fatal(v, err)
		}
	}
}
