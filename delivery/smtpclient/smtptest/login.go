package smtptest

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"
)

var errLogin = errors.New("no such user")

// auth answers AUTH: PLAIN, LOGIN or SCRAM-SHA-256.
func (v *session) auth(line string) bool {
	if s := v.scripted(line); s != nil {
		return v.do(s)
	}
	words := strings.Fields(line)
	mechanism := v.mechanism(strings.ToUpper(words[1]))
	if mechanism == nil {
		return v.do(Say("504 5.5.4 no such mechanism"))
	}
	var given []byte
	if len(words) > 2 {
		given, _ = base64.StdEncoding.DecodeString(words[2])
	}
	for {
		challenge, done, err := mechanism.Next(given)
		switch {
		case err != nil:
			return v.do(Say("535 5.7.8 wrong user or password"))
		case done:
			v.user = true
			return v.do(Say("235 2.7.0 welcome"))
		}
		if !v.do(Say("334 " + base64.StdEncoding.EncodeToString(challenge))) {
			return false
		}
		answer, err := v.r.ReadString('\n')
		if err != nil {
			return false
		}
		given, _ = base64.StdEncoding.DecodeString(strings.TrimSpace(answer))
	}
}

func (v *session) mechanism(name string) sasl.Server {
	check := func(user, password string) error {
		if known, ok := v.server.Users[user]; !ok || known != password {
			return errLogin
		}
		return nil
	}
	switch name {
	case "PLAIN":
		return sasl.NewPlainServer(func(_, user, password string) error { return check(user, password) })
	case "LOGIN":
		return &loginServer{check: check}
	case "SCRAM-SHA-256":
		server, err := scram.SHA256.NewServer(v.stored)
		if err != nil {
			return nil
		}
		return scramServer{server.NewConversation()}
	}
	return nil
}

func (v *session) stored(user string) (scram.StoredCredentials, error) {
	password, ok := v.server.Users[user]
	if !ok {
		return scram.StoredCredentials{}, errLogin
	}
	client, err := scram.SHA256.NewClient(user, password, "")
	if err != nil {
		return scram.StoredCredentials{}, err
	}
	return client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt", Iters: 4096})
}

// A loginServer does LOGIN.
type loginServer struct {
	check func(user, password string) error
	asked []string
}

func (l *loginServer) Next(given []byte) (challenge []byte, done bool, err error) {
	l.asked = append(l.asked, string(given))
	switch len(l.asked) {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.asked[1], l.asked[2])
}

// A scramServer does SCRAM-SHA-256. Its last word needs an empty answer.
type scramServer struct{ conversation *scram.ServerConversation }

func (s scramServer) Next(given []byte) (challenge []byte, done bool, err error) {
	if s.conversation.Done() {
		return nil, true, nil
	}
	answer, err := s.conversation.Step(string(given))
	return []byte(answer), false, err
}
