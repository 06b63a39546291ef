package smtpclient_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postroom/delivery/smtpclient"
	"postroom/delivery/smtpclient/smtptest"
)

// deliver makes a connection and sends a message, and returns what each recipient
// would be told.
func deliver(t *testing.T, c *smtpclient.Client, target smtpclient.Target) []smtpclient.Answer {
	t.Helper()
	conn, err := c.Dial(t.Context(), target)
	if err != nil {
		e, ok := errors.AsType[*smtpclient.Error](err)
		if !ok || e.Final {
			t.Fatalf("the error is %+v", err)
		}
		e.Answer.Code = 0 // it is about this server alone
		return []smtpclient.Answer{e.Answer}
	}
	answers := send(t, conn, message(letter, "a", "b")).Answers
	conn.Quit()
	return answers
}

// bubble gives a function virtual time, and the servers in it time to notice that
// their clients are gone.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f(t)
		time.Sleep(time.Hour)
	})
}

func TestNothingWrongLosesAMessage(t *testing.T) {
	known := smtptest.NewAuthority(t, "Known CA")
	for _, wrong := range smtptest.WrongThings(t, known) {
		for _, level := range []smtpclient.Level{smtpclient.May, smtpclient.Verify} {
			if level == smtpclient.Verify && !wrong.TLS {
				continue
			}
			name := wrong.Name
			if level == smtpclient.Verify {
				name += " and must be verified"
			}
			t.Run(name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					server := wrong.Server()
					c := client()
					c.Dialer, c.CommandTimeout = pipeDialer{server}, 5*time.Minute
					c.TLS = &tls.Config{RootCAs: known.Pool(), Time: today}
					target := at(netip.MustParseAddrPort("192.0.2.1:25"))
					target.Security.Level = level
					sent := wrong.Sent && level == smtpclient.May
					start := time.Now()
					for _, a := range deliver(t, c, target) {
						if a.Taken() != sent || a.Refused() || a.Text == "" {
							t.Errorf("an answer is %+v", a)
						}
					}
					if took := time.Since(start); took > 11*time.Minute || !wrong.Slow && took > 10*time.Second {
						t.Errorf("it took %v", took)
					}
				})
			})
		}
	}
}

// today is within what certificates are made for, whatever the bubble's clock says.
func today() time.Time { return time.Unix(1.7e9, 0) }

func TestTrouble(t *testing.T) {
	for _, test := range []struct {
		name, at string
		step     *smtptest.Step
		trouble  bool
	}{
		{"a lost connection at MAIL", "MAIL", &smtptest.Step{Hangup: true}, true},
		{"a lost connection at RCPT", "RCPT", &smtptest.Step{Hangup: true}, true},
		{"a lost connection at the end", ".", &smtptest.Step{Hangup: true}, true},
		{"421 to MAIL", "MAIL", smtptest.Say("421 busy"), true},
		{"421 to RCPT", "RCPT", smtptest.Say("421 busy"), true},
		{"421 at the end", ".", smtptest.Say("421 busy"), true},
		{"garbage", "DATA", smtptest.Say("what"), true},
		{"a refusal of MAIL", "MAIL", smtptest.Say("451 not now"), false},
		{"a refusal of RCPT", "RCPT", smtptest.Say("450 greylisted"), false},
		{"a refusal of the message", ".", smtptest.Say("554 spam"), false},
		{"an acceptance", ".", nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &smtptest.Server{Script: answer(test.at, test.step)}
			if r := send(t, dial(t, s), message(letter, "a")); r.Trouble != test.trouble {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestServerThatForgetsMAIL(t *testing.T) {
	for name, extensions := range map[string][]string{"with pipelining": nil, "without pipelining": {"8BITMIME"}} {
		t.Run(name, func(t *testing.T) {
			s := &smtptest.Server{Extensions: extensions, Script: answer("RCPT TO:<b@", smtptest.Say("503 5.5.1 MAIL first"))}
			r := send(t, dial(t, s), message(letter, "a", "b", "c"))
			for _, a := range r.Answers {
				if a.Taken() || a.Refused() || a.Text != "503 5.5.1 MAIL first" {
					t.Errorf("an answer is %+v", a)
				}
			}
			if !r.Trouble || s.Count() != 0 {
				t.Errorf("%+v, %d messages", r, s.Count())
			}
		})
	}
}

func TestTransactionLeftBeforeItsEndIsReset(t *testing.T) {
	s := &smtptest.Server{Script: func(session int, line string) *smtptest.Step {
		switch {
		case strings.HasPrefix(line, "RCPT TO:<b@"):
			return smtptest.Say("550 5.1.1 no b")
		case line == "." && session == 2:
			return smtptest.Say("554 5.7.1 no")
		}
		return nil
	}}
	address := s.Start(t, "127.0.0.5")
	for _, test := range []struct {
		name   string
		to     []string
		resets int
	}{
		{"for want of a recipient", []string{"b", "a", "a"}, 1},
		{"by a refusal of the message", []string{"a", "a", "a"}, 2},
		{"by nothing", []string{"a", "a", "a"}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := len(s.Lines())
			conn, err := client().Dial(t.Context(), at(address))
			if err != nil {
				t.Fatal(err)
			}
			for _, to := range test.to {
				send(t, conn, message(letter, to))
			}
			conn.Quit()
			resets := 0
			for _, line := range s.Lines()[before:] {
				if line == "RSET" {
					resets++
				}
			}
			if resets != test.resets {
				t.Errorf("the dialog is %q", s.Lines()[before:])
			}
		})
	}
}

func TestAnswerTooManyEndsTheConnection(t *testing.T) {
	s := &smtptest.Server{Script: answer(".", smtptest.Say("250 taken\r\n250 taken"))}
	conn := dial(t, s)
	if r := send(t, conn, message(letter, "a")); !r.Answers[0].Taken() {
		t.Fatal(texts(r))
	}
	if r := send(t, conn, message(letter, "a")); r.Answers[0].Taken() || !r.Stale || r.Trouble || conn.Usable() {
		t.Errorf("%+v", r)
	}
	if s.Count() != 1 {
		t.Errorf("%d messages", s.Count())
	}
}

func TestNames(t *testing.T) {
	for _, test := range []struct {
		name, greeting string
		ours           bool
	}{
		{"the client's", "Mail.our.test", true},
		{"the target's", "out1.our.test.", true},
		{"another of ours", "OUT2.our.test", true},
		{"somebody's", "mx.remote.test", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &smtptest.Server{Name: test.greeting}
			c := client()
			c.OurNames = func() []string { return []string{"out2.our.test"} }
			target := at(s.Start(t, "127.0.0.5"))
			target.Hostname = "out1.our.test"
			conn, err := c.Dial(t.Context(), target)
			if errors.Is(err, smtpclient.ErrSelf) != test.ours {
				t.Fatal(err)
			}
			if err == nil {
				conn.Quit()
				if s.Lines()[0] != "EHLO out1.our.test" {
					t.Errorf("the dialog is %q", s.Lines())
				}
			}
		})
	}
}

func TestSource(t *testing.T) {
	for name, from := range map[string]func(netip.Addr) smtpclient.Dialer{
		"by itself":   nil,
		"by a dialer": func(ip netip.Addr) smtpclient.Dialer { return sourceDialer(ip) },
	} {
		t.Run(name, func(t *testing.T) {
			s := &smtptest.Server{}
			c := client()
			c.DialerFrom = from
			target := at(s.Start(t, "127.0.0.5"))
			target.Source = netip.MustParseAddr("127.0.0.77")
			conn, err := c.Dial(t.Context(), target)
			if err != nil {
				t.Fatal(err)
			}
			send(t, conn, message(letter, "a"))
			conn.Quit()
			if got := s.Messages()[0].From; got != target.Source {
				t.Errorf("it came from %v", got)
			}
		})
	}
}

func TestSourceThatIsNotOurs(t *testing.T) {
	target := at((&smtptest.Server{}).Start(t, "127.0.0.5"))
	target.Source = netip.MustParseAddr("192.0.2.1")
	_, err := client().Dial(context.Background(), target)
	e, ok := errors.AsType[*smtpclient.Error](err)
	if !ok || e.Answer.Text != "connect to mx.remote.test (127.0.0.5) from 192.0.2.1: cannot assign requested address" {
		t.Errorf("the error is %v", err)
	}
}
