package smtpclient_test

import (
	"crypto/tls"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postroom/delivery/smtpclient"
	"postroom/delivery/smtpclient/smtptest"
	"postroom/store/mail"
)

const rule = "MTA-STS policy of remote.test"

func TestSecurity(t *testing.T) {
	known := smtptest.NewAuthority(t, "Known CA")
	right := smtptest.Leaf{Names: []string{"mx.remote.test"}}
	good := known.Issue(t, right)
	expired := known.Issue(t, smtptest.Leaf{Names: right.Names, Until: time.Unix(1e9, 0)})
	other := known.Issue(t, smtptest.Leaf{Names: []string{"other.test", "third.test"}})
	stranger := smtptest.NewAuthority(t, "Unknown CA").Issue(t, right)
	fits := func(tls.ConnectionState) (string, error) { return "matches", nil }
	misfit := func(tls.ConnectionState) (string, error) { return "", errors.New("no match") }
	const demanded = " (required by " + rule + ")"
	for _, test := range []struct {
		name        string
		config      *tls.Config
		security    smtpclient.Security
		certificate string
		words       string // of the error, after the remote's name
	}{
		{"a fitting certificate is noted", good, smtpclient.Security{}, "trusted", ""},
		{"so is one for another name", other, smtpclient.Security{}, "not trusted: it is for other.test, third.test, not for mx.remote.test", ""},
		{"so is an expired one", expired, smtpclient.Security{}, "not trusted: valid only from 1970-01-01 to 2001-09-09", ""},
		{"so is a self-signed one", smtptest.Certificate(t, "mx.remote.test"), smtpclient.Security{}, "not trusted: self-signed certificate", ""},
		{"so is one of an unknown authority", stranger, smtpclient.Security{}, "not trusted: unknown authority CN=Unknown CA", ""},
		{"an intermediate authority is followed", chained(t, known, right), smtpclient.Security{Level: smtpclient.Verify}, "trusted", ""},
		{"None asks for nothing", good, smtpclient.Security{Level: smtpclient.None}, "", ""},
		{"Encrypt takes any certificate", stranger, smtpclient.Security{Level: smtpclient.Encrypt}, "not trusted: unknown authority CN=Unknown CA", ""},
		{"Encrypt takes no less than TLS", nil, smtpclient.Security{Level: smtpclient.Encrypt}, "", "the server doesn't offer STARTTLS" + demanded},
		{"Verify takes no less than TLS", nil, smtpclient.Security{Level: smtpclient.Verify}, "", "the server doesn't offer STARTTLS" + demanded},
		{"Verify takes a fitting certificate", good, smtpclient.Security{Level: smtpclient.Verify, Why: rule}, "trusted (" + rule + ")", ""},
		{"Verify takes no other", expired, smtpclient.Security{Level: smtpclient.Verify}, "not trusted: valid only from 1970-01-01 to 2001-09-09 (" + rule + ")", "the certificate is not trusted: valid only from 1970-01-01 to 2001-09-09" + demanded},
		{"a judge takes what it likes", stranger, smtpclient.Security{Level: smtpclient.Verify, Judge: fits}, "matches (" + rule + ")", ""},
		{"a judge refuses what it doesn't", good, smtpclient.Security{Level: smtpclient.Verify, Judge: misfit}, "not trusted: no match (" + rule + ")", "the certificate is not trusted: no match" + demanded},
		{"a judge is only heard below Verify", good, smtpclient.Security{Judge: misfit}, "not trusted: no match", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &smtptest.Server{TLS: test.config}
			c := client()
			c.TLS = &tls.Config{RootCAs: known.Pool()}
			target := at(s.Start(t, "127.0.0.5"))
			target.Security = test.security
			if test.words != "" || strings.Contains(test.certificate, rule) {
				target.Security.Why = rule
			}
			conn, err := c.Dial(t.Context(), target)
			if test.words != "" {
				e, ok := errors.AsType[*smtpclient.Error](err)
				if !ok || e.Answer.Text != "TLS with mx.remote.test (127.0.0.5): "+test.words || e.Certificate != test.certificate {
					t.Errorf("the error is %+v", err)
				}
				if !errors.Is(err, smtpclient.ErrUnprotected) || e.Answer.Refused() || e.Final {
					t.Errorf("the error is %+v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Quit()
			trusted := test.certificate != "" && !strings.HasPrefix(test.certificate, "not")
			if conn.Certificate != test.certificate || conn.Verified != trusted || (conn.TLS == "none") != (test.certificate == "") {
				t.Errorf("%s, certificate %q, verified %v", conn.TLS, conn.Certificate, conn.Verified)
			}
		})
	}
}

// chained returns the configuration of a server whose certificate is signed by an
// authority that is signed by a known one.
func chained(t *testing.T, known *smtptest.Authority, leaf smtptest.Leaf) *tls.Config {
	under := known.Under(t, "Some CA")
	return under.Issue(t, leaf, under)
}

func TestNameForTheServer(t *testing.T) {
	for _, test := range []struct{ host, name, want string }{
		{"mx.remote.test", "", "mx.remote.test"},
		{"mx.remote.test", "base.remote.test", "base.remote.test"},
		{"127.0.0.5", "", ""},
		{"[127.0.0.5]", "", ""},
	} {
		t.Run(test.host+test.name, func(t *testing.T) {
			config := smtptest.Certificate(t, "x.test")
			var got []string
			config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
				got = append(got, hello.ServerName)
				return nil, nil
			}
			target := at((&smtptest.Server{TLS: config}).Start(t, "127.0.0.5"))
			target.Host, target.Security.Name = test.host, test.name
			conn, err := client().Dial(t.Context(), target)
			if err != nil {
				t.Fatal(err)
			}
			conn.Quit()
			if len(got) != 1 || got[0] != test.want {
				t.Errorf("asked for %q", got)
			}
		})
	}
}

func TestImplicitTLS(t *testing.T) {
	known := smtptest.NewAuthority(t, "Known CA")
	c := client()
	c.TLS = &tls.Config{RootCAs: known.Pool()}
	s := &smtptest.Server{TLS: known.Issue(t, smtptest.Leaf{Names: []string{"mx.remote.test"}}), Implicit: true}
	target := at(s.Start(t, "127.0.0.5"))
	target.Implicit, target.Security.Level = true, smtpclient.Verify
	conn, err := c.Dial(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	send(t, conn, message(letter, "a"))
	conn.Quit()
	if !s.Messages()[0].TLS || s.Lines()[1] == "STARTTLS" || conn.Certificate != "trusted" {
		t.Errorf("certificate %q, dialog %q", conn.Certificate, s.Lines())
	}
	plain := &smtptest.Server{}
	c.ConnectTimeout = time.Second
	target = smtpclient.Target{Host: "mx.remote.test", At: plain.Start(t, "127.0.0.5"), Implicit: true}
	if _, err := c.Dial(t.Context(), target); !errors.Is(err, smtpclient.ErrUnprotected) || plain.Sessions() != 1 {
		t.Errorf("the error is %v, after %d sessions", err, plain.Sessions())
	}
}

func TestMessageThatRequiresTLS(t *testing.T) {
	known := smtptest.NewAuthority(t, "Known CA")
	right := known.Issue(t, smtptest.Leaf{Names: []string{"mx.remote.test"}})
	for _, test := range []struct {
		name    string
		config  *tls.Config
		offered bool
		sent    bool
	}{
		{"goes where it is assured", right, true, true},
		{"isn't sent to a server that doesn't offer it", right, false, false},
		{"isn't sent to somebody else's certificate", smtptest.Certificate(t, "mx.remote.test"), true, false},
		{"isn't sent in the clear", nil, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &smtptest.Server{TLS: test.config, Extensions: []string{"8BITMIME"}}
			if test.offered {
				s.Extensions = append(s.Extensions, "REQUIRETLS")
			}
			c := client()
			c.TLS = &tls.Config{RootCAs: known.Pool()}
			conn, err := c.Dial(t.Context(), at(s.Start(t, "127.0.0.5")))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Quit()
			m := message(letter, "a")
			m.Envelope.TLS = mail.TLSRequired
			a := send(t, conn, m).Answers[0]
			switch {
			case a.Taken() != test.sent:
				t.Errorf("the answer is %+v", a)
			case test.sent && s.Messages()[0].Mail != "MAIL FROM:<alice@our.test> REQUIRETLS":
				t.Errorf("%q", s.Messages()[0].Mail)
			case !test.sent && (a.Code != 550 || a.Enhanced != [3]int{5, 7, 30} || a.Remote):
				t.Errorf("the answer is %+v", a)
			}
		})
	}
}

func TestTLSThatFailsLate(t *testing.T) {
	known := smtptest.NewAuthority(t, "Known CA")
	hello := 0
	s := &smtptest.Server{TLS: known.Issue(t, smtptest.Leaf{Names: []string{"mx.remote.test"}})}
	s.Script = func(_ int, line string) *smtptest.Step {
		if strings.HasPrefix(line, "EHLO") {
			if hello++; hello == 2 {
				return &smtptest.Step{Hangup: true}
			}
		}
		return nil
	}
	bubble(t, func(t *testing.T) {
		c := client()
		c.Dialer = pipeDialer{s}
		for _, a := range deliver(t, c, at(netip.MustParseAddrPort("192.0.2.1:25"))) {
			if !a.Taken() {
				t.Errorf("an answer is %+v", a)
			}
		}
	})
	if m := s.Messages(); len(m) != 1 || m[0].TLS {
		t.Errorf("%+v", m)
	}
}
