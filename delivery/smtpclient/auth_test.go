package smtpclient_test

import (
	"encoding/base64"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"postroom/delivery/smtpclient"
	"postroom/delivery/smtpclient/smtptest"
)

func sourceDialer(ip netip.Addr) *net.Dialer {
	return &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, 0))}
}

const password = "Rosebud=1"

var plainSecret = base64.StdEncoding.EncodeToString([]byte("\x00postroom\x00" + password))

func TestLogin(t *testing.T) {
	users := map[string]string{"postroom": password}
	echo := smtptest.Say("535 5.7.8 " + plainSecret + " " + password + " " + base64.StdEncoding.EncodeToString([]byte(password)) + " is wrong")
	const failed = "the login at the relay mx.remote.test (127.0.0.5) failed, "
	for _, test := range []struct {
		name       string
		mechanisms []string
		users      map[string]string
		script     func(int, string) *smtptest.Step
		first      string // the AUTH line, as far as it is always the same
		words      string // of the error
	}{
		{"it shows the password to nobody who can do without", []string{"PLAIN", "SCRAM-SHA-256"}, users, nil, "AUTH SCRAM-SHA-256 ", ""},
		{"it uses PLAIN", []string{"LOGIN", "PLAIN"}, users, nil, "AUTH PLAIN " + plainSecret, ""},
		{"it uses LOGIN", []string{"LOGIN"}, users, nil, "AUTH LOGIN", ""},
		{"it fails with a wrong password by PLAIN", []string{"PLAIN"}, map[string]string{"postroom": "x"}, nil, "AUTH PLAIN", failed + "refused: 535 5.7.8 wrong user or password"},
		{"it fails with a wrong password by LOGIN", []string{"LOGIN"}, map[string]string{"postroom": "x"}, nil, "AUTH LOGIN", failed + "refused: 535 5.7.8 wrong user or password"},
		{"it fails with a wrong password by SCRAM", []string{"SCRAM-SHA-256"}, map[string]string{"postroom": "x"}, nil, "AUTH SCRAM", failed + "refused: 535 5.7.8 wrong user or password"},
		{"it never repeats the password", []string{"PLAIN"}, users, answer("AUTH", echo), "AUTH PLAIN", failed + "refused: 535 5.7.8 *** *** *** is wrong"},
		{"it fails where it is not wanted", nil, nil, nil, "", failed + "the server offers no AUTH"},
		{"it fails where nothing is known", []string{"GSSAPI"}, users, nil, "", failed + "the server offers no AUTH that we know"},
		{"it believes no server that proves nothing", []string{"SCRAM-SHA-256"}, users, answer("AUTH", smtptest.Say("235 welcome")), "AUTH SCRAM", failed + "the server has not proven that it knows the password"},
		{"it bears garbage", []string{"PLAIN"}, users, answer("AUTH", smtptest.Say("334 $$$")), "AUTH PLAIN", failed + "the server's challenge is not base64"},
		{"it doesn't tell what it is not asked for", []string{"LOGIN"}, users, answer("AUTH", smtptest.Say("334 "+base64.StdEncoding.EncodeToString([]byte("Favourite colour?")))), "AUTH LOGIN", failed + "the server asks for what we don't know"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &smtptest.Server{Users: test.users, Mechanisms: test.mechanisms, Script: test.script}
			target := at(s.Start(t, "127.0.0.5"))
			target.Auth = &smtpclient.Credentials{User: "postroom", Password: password}
			conn, err := client().Dial(t.Context(), target)
			if lines := s.Lines(); test.first != "" && (len(lines) < 2 || !strings.HasPrefix(lines[1], test.first)) {
				t.Errorf("the dialog is %q", lines)
			}
			if test.words != "" {
				e, ok := errors.AsType[*smtpclient.Error](err)
				if !ok || e.Answer.Text != test.words || e.Answer.Refused() || e.Final || !errors.Is(err, smtpclient.ErrLogin) {
					t.Errorf("the error is %+v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if a := send(t, conn, message(letter, "a")).Answers[0]; !a.Taken() {
				t.Errorf("the answer is %+v", a)
			}
			conn.Quit()
		})
	}
}

// The password of a server that has TLS isn't given to whoever breaks its TLS.
func TestLoginStaysProtected(t *testing.T) {
	known := smtptest.NewAuthority(t, "Known CA")
	for _, wrong := range smtptest.WrongThings(t, known) {
		if !wrong.TLS || wrong.Slow {
			continue
		}
		for level, name := range map[smtpclient.Level]string{smtpclient.May: "may", smtpclient.Encrypt: "encrypt", smtpclient.Verify: "verify"} {
			t.Run(wrong.Name+" "+name, func(t *testing.T) {
				s := wrong.Server()
				s.Users = map[string]string{"postroom": password}
				target := at(s.Start(t, "127.0.0.5"))
				target.Auth = &smtpclient.Credentials{User: "postroom", Password: password}
				target.Security.Level = level
				conn, err := client().Dial(t.Context(), target)
				if err == nil {
					conn.Quit()
				}
				login := func(line string) bool { return strings.HasPrefix(line, "AUTH") }
				if sent := slices.ContainsFunc(s.Lines(), login); sent != (err == nil) || sent && (conn.TLS == "none" || level == smtpclient.Verify) {
					t.Errorf("the dialog is %q, the error %v", s.Lines(), err)
				}
			})
		}
	}
}
