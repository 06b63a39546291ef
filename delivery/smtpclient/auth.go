package smtpclient

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"
)

// Credentials are what we log in to a relay with.
type Credentials struct{ User, Password string }

// login logs in if the target wants that (RFC 4954). Whatever comes of it, the
// mail can't be blamed: its errors are temporary.
func (c *Conn) login() error {
	if c.target.Auth == nil {
		return nil
	}
	mechanism, err := c.mechanism()
	if err != nil {
		return c.loginFailed(err.Error())
	}
	name, first, err := mechanism.Start()
	if err != nil {
		return c.loginFailed(err.Error())
	}
	line := "AUTH " + name
	if first != nil {
		line += " " + encode(first)
	}
	return c.converse(mechanism, line)
}

// converse goes from the AUTH command to its last reply.
func (c *Conn) converse(mechanism sasl.Client, line string) error {
	for range 10 {
		got, err := c.command("AUTH", line)
		switch {
		case err != nil:
			return c.fail(err)
		case got.code == 235:
			return c.loggedIn(mechanism)
		case got.code != 334:
			return c.loginFailed("refused: " + c.withoutSecrets(got.answer().Text))
		}
		challenge, err := base64.StdEncoding.DecodeString(strings.TrimSpace(got.lines[0]))
		if err != nil {
			return c.loginFailed("the server's challenge is not base64")
		}
		response, err := mechanism.Next(challenge)
		if err != nil {
			return c.loginFailed(c.withoutSecrets(err.Error()))
		}
		line = encode(response)
	}
	return c.loginFailed("the server doesn't come to an end")
}

// loggedIn believes a server only if it has proven that it knows us, where the
// mechanism has it do that.
func (c *Conn) loggedIn(mechanism sasl.Client) error {
	if s, ok := mechanism.(*scramClient); ok && !s.conversation.Valid() {
		return c.loginFailed("the server has not proven that it knows the password")
	}
	return nil
}

func encode(response []byte) string {
	return base64.StdEncoding.EncodeToString(response)
}

func (c *Conn) loginFailed(reason string) error {
	c.broken = true
	return c.problem(ownWords("the login at the relay "+c.remote+" failed, "+reason), ErrLogin)
}

// mechanism chooses how to log in: the password itself is sent only to a server
// that wants it.
func (c *Conn) mechanism() (sasl.Client, error) {
	auth := c.target.Auth
	offered := strings.Fields(strings.ToUpper(c.extensions["AUTH"]))
	switch {
	case slices.Contains(offered, "SCRAM-SHA-256"):
		return newSCRAM(auth)
	case slices.Contains(offered, "PLAIN"):
		return sasl.NewPlainClient("", auth.User, auth.Password), nil
	case slices.Contains(offered, "LOGIN"):
		return &loginClient{auth.User, auth.Password}, nil
	case len(offered) == 0:
		return nil, errors.New("the server offers no AUTH")
	}
	return nil, errors.New("the server offers no AUTH that we know")
}

// withoutSecrets takes our password out of what a server says that repeats it.
func (c *Conn) withoutSecrets(words string) string {
	auth := c.target.Auth
	for _, secret := range []string{
		auth.Password,
		encode([]byte(auth.Password)),
		encode([]byte("\x00" + auth.User + "\x00" + auth.Password)),
	} {
		if secret != "" {
			words = strings.ReplaceAll(words, secret, "***")
		}
	}
	return words
}

// A loginClient does LOGIN, which asks for one thing after the other.
type loginClient struct{ user, password string }

func (l *loginClient) Start() (string, []byte, error) { return "LOGIN", nil, nil }

func (l *loginClient) Next(challenge []byte) ([]byte, error) {
	words := strings.ToLower(string(challenge))
	switch {
	case strings.Contains(words, "user"):
		return []byte(l.user), nil
	case strings.Contains(words, "pass"):
		return []byte(l.password), nil
	}
	return nil, errors.New("the server asks for what we don't know")
}

// A scramClient does SCRAM-SHA-256 (RFC 7677), which doesn't show the password.
type scramClient struct{ conversation *scram.ClientConversation }

func newSCRAM(auth *Credentials) (*scramClient, error) {
	client, err := scram.SHA256.NewClient(auth.User, auth.Password, "")
	if err != nil {
		return nil, errors.New("the user name or password can't be used with SCRAM")
	}
	return &scramClient{client.NewConversation()}, nil
}

func (s *scramClient) Start() (string, []byte, error) {
	first, err := s.conversation.Step("")
	return "SCRAM-SHA-256", []byte(first), err
}

func (s *scramClient) Next(challenge []byte) ([]byte, error) {
	next, err := s.conversation.Step(string(challenge))
	return []byte(next), err
}
