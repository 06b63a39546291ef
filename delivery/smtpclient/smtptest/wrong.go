package smtptest

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"
)

// A WrongThing is what a server does that it shouldn't, and what must come of it
// for a message to some recipients, nothing else being wrong.
type WrongThing struct {
	Name   string // ends the sentence "the server …"
	Sent   bool   // the message is taken all the same; otherwise it must wait: nothing here may bounce it
	TLS    bool   // it is about TLS: where that is demanded, the message must wait
	Slow   bool   // it takes minutes: only for virtual time
	config *tls.Config
	at     string
	step   *Step
}

// Server returns a new server that does the wrong thing.
func (w WrongThing) Server() *Server {
	s := &Server{TLS: w.config}
	if w.step != nil {
		s.Script = func(_ int, line string) *Step {
			if strings.HasPrefix(line, w.at) {
				return w.step
			}
			return nil
		}
	}
	return s
}

// WrongThings are those that must never lose a message, send it twice at once or
// return it. The names in the certificates that fit are mx.remote.test; known signs
// those that have nothing else wrong with them.
func WrongThings(t testing.TB, known *Authority) []WrongThing {
	t.Helper()
	return append(wrongReplies(), wrongTLS(t, known)...)
}

// places are the steps of a session, with the beginning of the right answer.
var places = []struct{ at, name, right string }{
	{Connected, "the greeting", "220"},
	{"EHLO", "EHLO", "250"},
	{"MAIL", "MAIL", "250"},
	{"RCPT", "RCPT", "250"},
	{"DATA", "DATA", "354"},
	{EndOfData, "the end of the message", "250"},
	{"QUIT", "QUIT", "221"},
}

// wrongReplies are the same wrong things at each step.
func wrongReplies() []WrongThing {
	var list []WrongThing
	for _, p := range places {
		row := func(name string, step *Step) {
			list = append(list, WrongThing{
				Name: name + " at " + p.name,
				Sent: p.at == "QUIT",
				Slow: step.Pace > 0 || step.Say == "" && !step.Hangup,
				at:   p.at,
				step: step,
			})
		}
		row("closes", &Step{Hangup: true})
		row("closes in the middle of a line", &Step{Say: p.right + " 2.0.0 o", Cut: true, Hangup: true})
		row("closes between the lines", &Step{Say: p.right + "-2.0.0 ok", Hangup: true})
		row("says 421", &Step{Say: "421 4.3.2 going down", Hangup: true})
		row("says 421 and stays", Say("421 4.3.2 going down"))
		row("answers garbage", Say("hello there"))
		row("answers with other codes in each line", Say(p.right+"-a\r\n451 b"))
		row("answers what is no code", Say("999 what"))
		row("answers in 10,000 lines", Say(strings.Repeat(p.right+"-more\r\n", 10000)+p.right+" done"))
		row("answers in a line of a megabyte", Say(p.right+" "+strings.Repeat("x", 1<<20)))
		row("says an octet a second", &Step{Say: strings.Repeat(p.right+"-wait\r\n", 100) + p.right + " now", Pace: time.Second})
		row("says nothing", &Step{})
	}
	for _, p := range places[:5] { // after these, a reply too many would pass as another one's
		list = append(list, WrongThing{
			Name: "answers twice at " + p.name, at: p.at, step: Say(p.right + " ok\r\n" + "250 2.0.0 taken"),
		})
	}
	return append(list, WrongThing{Name: "answers twice at the end of the message", Sent: true, at: EndOfData, step: Say("250 taken\r\n250 taken")})
}

// wrongTLS are what can be wrong with STARTTLS and with certificates.
func wrongTLS(t testing.TB, known *Authority) []WrongThing {
	t.Helper()
	right := Leaf{Names: []string{"mx.remote.test"}}
	good := known.Issue(t, right)
	old := good.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS10
	none := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("no certificate") }}
	list := []WrongThing{
		{Name: "refuses STARTTLS for now", config: good, step: Say("454 4.7.0 not now")},
		{Name: "doesn't know the STARTTLS that it offers", config: good, step: Say("502 5.5.1 what?")},
		{Name: "says 421 at STARTTLS", config: good, step: &Step{Say: "421 4.3.2 going down", Hangup: true}},
		{Name: "closes at STARTTLS", config: good, step: &Step{Hangup: true}},
		{Name: "closes before the handshake", config: good, step: &Step{Say: "220 go ahead", Hangup: true}},
		{Name: "answers garbage at STARTTLS", config: good, step: Say("hello there")},
		{Name: "says nothing at STARTTLS", config: good, step: &Step{}, Slow: true},
		{Name: "says nothing in the handshake", config: good, step: Say("220 go ahead"), Slow: true},
		{Name: "lets somebody put words in front of the handshake", config: good, step: Say("220 go ahead\r\n250 injected")},
		{Name: "has no certificate", config: none},
		{Name: "has TLS 1.0 only", config: old},
		{Name: "has a certificate for another name", config: known.Issue(t, Leaf{Names: []string{"other.test"}})},
		{Name: "has a certificate without a name", config: known.Issue(t, Leaf{})},
		{Name: "has a certificate that has expired", config: known.Issue(t, Leaf{Names: right.Names, Until: time.Unix(1e9, 0)})},
		{Name: "has a certificate of the future", config: known.Issue(t, Leaf{Names: right.Names, From: time.Unix(1<<32, 0)})},
		{Name: "has a self-signed certificate", config: Certificate(t, "mx.remote.test")},
		{Name: "has a certificate of an unknown authority", config: NewAuthority(t, "Unknown CA").Issue(t, right)},
		{Name: "leaves the chain incomplete", config: known.Under(t, "Some CA").Issue(t, right)},
	}
	for i := range list {
		list[i].at, list[i].TLS, list[i].Sent = "STARTTLS", true, true
	}
	return list
}
