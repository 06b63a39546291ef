package pop3d

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"strings"

	"postroom/smtpd/wire"
)

// Why an exchange ended without a verdict. The client may go on.
var (
	errCancelled = errors.New("authentication cancelled")
	errEncoding  = errors.New("not base64")
)

// An exchange is the challenges and responses of one AUTH command (RFC 5034
// section 4).
type exchange struct {
	*session
	initial []string // the initial response, if there is one
}

// plain is RFC 4616: one response with the name to act for, the name and the
// password.
func (x *exchange) plain(ctx context.Context) error {
	response, err := x.ask(nil)
	if err != nil {
		return x.stray(err)
	}
	parts := bytes.Split(response, []byte{0})
	if len(parts) != 3 {
		return x.reject("that is not a response for PLAIN")
	}
	actFor, user, password := string(parts[0]), string(parts[1]), string(parts[2])
	if actFor != "" && !strings.EqualFold(actFor, user) {
		// Nobody acts for others here. The password is checked all the same: the
		// answer mustn't come sooner.
		password = ""
	}
	return x.session.login(ctx, user, password)
}

// login asks for the name, then for the password
// (draft-murchison-sasl-login).
func (x *exchange) login(ctx context.Context) error {
	user, err := x.ask([]byte("Username:"))
	if err != nil {
		return x.stray(err)
	}
	password, err := x.ask([]byte("Password:"))
	if err != nil {
		return x.stray(err)
	}
	return x.session.login(ctx, string(user), string(password))
}

// scram is SCRAM-SHA-256 (RFC 7677). What the server says at last is a
// challenge too, with an empty response.
func (x *exchange) scram(ctx context.Context) error {
	scram := x.server.Auth.StartSCRAM(x.stopping, x.client, x.server.Name)
	var challenge []byte
	for {
		response, err := x.ask(challenge)
		if err != nil {
			return x.stray(err)
		}
		var done bool
		if challenge, done, err = scram.Next(response); err != nil {
			return x.deny(err)
		}
		if done {
			return x.enter(ctx, scram.Account())
		}
	}
}

// ask sends a challenge and returns the client's response. The initial response
// answers the first challenge without its being sent.
func (x *exchange) ask(challenge []byte) ([]byte, error) {
	if len(x.initial) > 0 {
		first := x.initial[0]
		x.initial = nil
		if first == "=" { // an empty one (RFC 5034 section 4)
			return []byte{}, nil
		}
		return decode(first)
	}
	x.w.WriteString("+ ")
	x.w.WriteString(base64.StdEncoding.EncodeToString(challenge))
	x.w.WriteString("\r\n")
	line, err := x.readLine()
	switch {
	case err != nil:
		return nil, err
	case string(line) == "*":
		return nil, errCancelled
	}
	return decode(string(line))
}

func decode(response string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(response)
	if err != nil {
		return nil, errEncoding
	}
	return b, nil
}

// stray answers an exchange that the client left, or got wrong.
func (x *exchange) stray(err error) error {
	switch {
	case errors.Is(err, errCancelled):
		return x.reject("authentication cancelled")
	case errors.Is(err, errEncoding):
		return x.reject("a response must be base64")
	case errors.Is(err, wire.ErrLineTooLong), errors.Is(err, wire.ErrBareControl):
		return x.reject("a response is one line of base64, not too long")
	}
	return err
}
