package smtpclient_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postroom/delivery/smtpclient"
	"postroom/delivery/smtpclient/smtptest"
	"postroom/store/mail"
)

func client() *smtpclient.Client {
	return &smtpclient.Client{
		Hostname:       "mail.our.test",
		Dialer:         &net.Dialer{},
		ConnectTimeout: 5 * time.Second,
		CommandTimeout: 5 * time.Second,
	}
}

func at(address netip.AddrPort) smtpclient.Target {
	return smtpclient.Target{Host: "mx.remote.test", At: address}
}

func dial(t *testing.T, s *smtptest.Server) *smtpclient.Conn {
	t.Helper()
	conn, err := client().Dial(t.Context(), at(s.Start(t, "127.0.0.5")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func message(text string, to ...string) smtpclient.Message {
	m := smtpclient.Message{From: mail.Address{Local: "alice", Domain: "our.test"}, Size: int64(len(text))}
	for _, local := range to {
		m.To = append(m.To, mail.Recipient{Address: mail.Address{Local: local, Domain: "remote.test"}})
	}
	m.Open = func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
	return m
}

const letter = "Subject: x\r\n\r\n.\r\nhello\r\n..\r\n.x"

func send(t *testing.T, conn *smtpclient.Conn, m smtpclient.Message) smtpclient.Result {
	t.Helper()
	result, err := conn.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// texts are the answers of a result in a form that a table can hold.
func texts(r smtpclient.Result) []string {
	var list []string
	for _, a := range r.Answers {
		list = append(list, a.Text)
	}
	return list
}

// answer makes a script of one wrong step.
func answer(prefix string, step *smtptest.Step) func(int, string) *smtptest.Step {
	return func(_ int, line string) *smtptest.Step {
		if strings.HasPrefix(line, prefix) {
			return step
		}
		return nil
	}
}

func TestDialog(t *testing.T) {
	for name, extensions := range map[string][]string{
		"with pipelining":    {"PIPELINING", "8BITMIME"},
		"without pipelining": {"8BITMIME"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &smtptest.Server{Extensions: extensions}
			s.Script = answer("RCPT TO:<b@", smtptest.Say("550 5.1.1 no b"))
			conn := dial(t, s)
			for range 2 {
				result := send(t, conn, message(letter, "a", "b", "c"))
				if want := []string{"250 2.0.0 taken", "550 5.1.1 no b", "250 2.0.0 taken"}; !slices.Equal(texts(result), want) {
					t.Errorf("answers are %q", texts(result))
				}
			}
			conn.Quit()
			if err := s.Wait(t.Context(), 2); err != nil {
				t.Fatal(err)
			}
			want := []string{"EHLO mail.our.test"}
			once := []string{
				"MAIL FROM:<alice@our.test>", "RCPT TO:<a@remote.test>", "RCPT TO:<b@remote.test>",
				"RCPT TO:<c@remote.test>", "DATA",
			}
			want = append(append(append(want, once...), once...), "QUIT")
			if !slices.Equal(s.Lines(), want) {
				t.Errorf("the dialog is %q", s.Lines())
			}
			for _, m := range s.Messages() {
				if m.Data != letter+"\r\n" {
					t.Errorf("the message is %q", m.Data)
				}
			}
		})
	}
}

func TestParameters(t *testing.T) {
	all := []string{"SIZE 1000", "8BITMIME", "SMTPUTF8", "DSN"}
	for _, test := range []struct {
		name       string
		extensions []string
		change     func(m *smtpclient.Message)
		mail, rcpt string // what follows the path
		answer     string // of our own, if it isn't sent
	}{
		{"it says the size", all, nil, " SIZE=30", "", ""},
		{"it says nothing to a plain server", []string{"HELP"}, func(m *smtpclient.Message) {
			m.Envelope = mail.Envelope{EightBit: true, Return: mail.ReturnFull, ID: "x"}
			m.To[0].Notify = mail.NotifyNever
		}, "", "", ""},
		{"it hands on what DSN knows", all, func(m *smtpclient.Message) {
			m.Envelope = mail.Envelope{EightBit: true, Return: mail.ReturnHeaders, ID: "a+b =c"}
			m.To[0].Notify, m.To[0].Original = mail.NotifySuccess|mail.NotifyDelay, "rfc822;x+y@z"
		}, " SIZE=30 BODY=8BITMIME RET=HDRS ENVID=a+2Bb+20+3Dc", " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2By@z", ""},
		{"it hands on an original address in UTF-8", all, func(m *smtpclient.Message) {
			m.To[0].Original = "utf-8;jö+e@z"
		}, " SIZE=30", ` ORCPT=utf-8;j\x{F6}\x{2B}e@z`, ""},
		{"SMTPUTF8 isn't asked for without need", []string{"8BITMIME"}, func(m *smtpclient.Message) { m.Envelope.UTF8 = true }, "", "", ""},
		{"an address in UTF-8 needs SMTPUTF8", all, func(m *smtpclient.Message) { m.From.Local = "jörg" }, " SIZE=30 BODY=8BITMIME SMTPUTF8", "", ""},
		{"an address in UTF-8 is refused by a plain server", []string{"8BITMIME"}, func(m *smtpclient.Message) { m.From.Local = "jörg" }, "", "", "5.6.7"},
		{"a header in UTF-8 is refused by a plain server", []string{"8BITMIME"}, func(m *smtpclient.Message) {
			*m = message("Subject: ö\r\n\r\nx\r\n", "a")
			m.Envelope.UTF8 = true
		}, "", "", "5.6.7"},
		{"a body in UTF-8 alone needs no SMTPUTF8", []string{"8BITMIME"}, func(m *smtpclient.Message) {
			*m = message("Subject: o\r\n\r\nö\r\n", "a")
			m.Envelope.UTF8, m.Envelope.EightBit = true, true
		}, " BODY=8BITMIME", "", ""},
		{"8-bit content is refused by a 7-bit server", []string{"HELP"}, func(m *smtpclient.Message) {
			*m = message("Subject: o\r\n\r\nö\r\n", "a")
		}, "", "", "5.6.3"},
		{"what is too large is refused without sending", all, func(m *smtpclient.Message) {
			*m = message(strings.Repeat("x", 998)+"\r\n.\r\n", "a")
		}, "", "", "5.3.4"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &smtptest.Server{Extensions: test.extensions}
			conn := dial(t, s)
			m := message(letter, "a")
			if test.change != nil {
				test.change(&m)
			}
			a := send(t, conn, m).Answers[0]
			if test.answer != "" {
				code := fmt.Sprintf("%d.%d.%d", a.Enhanced[0], a.Enhanced[1], a.Enhanced[2])
				if code != test.answer || !a.Refused() || a.Remote || len(s.Lines()) != 1 {
					t.Errorf("the answer is %+v after %q", a, s.Lines())
				}
				return
			}
			if !a.Taken() {
				t.Fatalf("the answer is %+v", a)
			}
			got := s.Messages()[0]
			if want := "MAIL FROM:<" + m.From.String() + ">" + test.mail; got.Mail != want {
				t.Errorf("%q, want %q", got.Mail, want)
			}
			if want := "RCPT TO:<a@remote.test>" + test.rcpt; got.Rcpt[0] != want {
				t.Errorf("%q, want %q", got.Rcpt[0], want)
			}
		})
	}
}

func TestOneRecipientInUTF8(t *testing.T) {
	conn := dial(t, &smtptest.Server{Extensions: []string{"8BITMIME"}})
	result := send(t, conn, message(letter, "jörg", "a"))
	if !result.Answers[0].Refused() || !result.Answers[1].Taken() {
		t.Errorf("answers are %q", texts(result))
	}
}

func TestWrongThings(t *testing.T) {
	hangup := &smtptest.Step{Hangup: true}
	garbage := smtptest.Say("hello there")
	endless := smtptest.Say(strings.Repeat("250-more\r\n", 10000) + "250 done")
	long := smtptest.Say("250 " + strings.Repeat("x", 1<<20))
	for _, test := range []struct {
		at        string
		step      *smtptest.Step
		words     string
		elsewhere bool
	}{
		{"MAIL", hangup, "mx.remote.test (127.0.0.5), at MAIL: the server closed the connection", true},
		{"RCPT", hangup, "mx.remote.test (127.0.0.5), at RCPT: the server closed the connection", false},
		{"DATA", hangup, "mx.remote.test (127.0.0.5), at DATA: the server closed the connection", false},
		{".", hangup, "mx.remote.test (127.0.0.5), at the end of the message: the server closed the connection", false},
		{"MAIL", garbage, "mx.remote.test (127.0.0.5), at MAIL: the reply is not SMTP", true},
		{".", garbage, "mx.remote.test (127.0.0.5), at the end of the message: the reply is not SMTP", false},
		{"RCPT", endless, "mx.remote.test (127.0.0.5), at RCPT: the reply has more than 200 lines", false},
		{"DATA", long, "mx.remote.test (127.0.0.5), at DATA: a line of the reply is too long", false},
		{"MAIL", smtptest.Say("354 go on"), "354 go on", true},
		{"DATA", smtptest.Say("250 fine"), "250 fine", false},
		{".", smtptest.Say("354 more"), "354 more", false},
		{".", &smtptest.Step{Say: "421 4.3.2 shutting down", Hangup: true}, "421 4.3.2 shutting down", false},
	} {
		t.Run(fmt.Sprintf("%s %.12s", test.at, test.step.Say), func(t *testing.T) {
			s := &smtptest.Server{Script: answer(test.at, test.step)}
			result := send(t, dial(t, s), message(letter, "a", "b"))
			for _, a := range result.Answers {
				if a.Text != test.words && !strings.HasSuffix(a.Text, "connection reset by peer") || a.Taken() || a.Refused() {
					t.Errorf("an answer is %+v", a)
				}
			}
			if result.Elsewhere != test.elsewhere || result.Stale {
				t.Errorf("elsewhere is %v, stale is %v", result.Elsewhere, result.Stale)
			}
		})
	}
}

func TestDialFails(t *testing.T) {
	for _, test := range []struct {
		name  string
		at    string
		step  *smtptest.Step
		words string
		final bool
	}{
		{"a refusing greeting", smtptest.Connected, smtptest.Say("554 5.7.1 no"), "554 5.7.1 no", false},
		{"a greeting of 10,000 lines", smtptest.Connected, smtptest.Say(strings.Repeat("220-x\r\n", 10000) + "220 x"), "mx.remote.test (127.0.0.5), at greeting: the reply has more than 200 lines", false},
		{"4xx to EHLO", "EHLO", smtptest.Say("451 4.3.0 no"), "451 4.3.0 no", false},
		{"our own name", smtptest.Connected, smtptest.Say("220 Mail.our.test ESMTP"), "220 Mail.our.test ESMTP", false},
	} {
		t.Run("for "+test.name, func(t *testing.T) {
			s := &smtptest.Server{Script: answer(test.at, test.step)}
			_, err := client().Dial(t.Context(), at(s.Start(t, "127.0.0.5")))
			e, ok := errors.AsType[*smtpclient.Error](err)
			if !ok || e.Answer.Text != test.words || e.Final != test.final {
				t.Errorf("the error is %+v", err)
			}
			if errors.Is(err, smtpclient.ErrSelf) != strings.Contains(test.words, "our.test") {
				t.Errorf("the error is %+v", err)
			}
		})
	}
}

func TestOldServer(t *testing.T) {
	s := &smtptest.Server{Script: answer("EHLO", smtptest.Say("502 what?"))}
	conn := dial(t, s)
	if a := send(t, conn, message(letter, "a")).Answers[0]; !a.Taken() {
		t.Errorf("the answer is %+v", a)
	}
	if lines := s.Lines(); lines[1] != "HELO mail.our.test" || lines[2] != "MAIL FROM:<alice@our.test>" {
		t.Errorf("the dialog is %q", lines)
	}
}

func TestTLS(t *testing.T) {
	broken := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("none") }}
	for _, test := range []struct {
		name   string
		config *tls.Config
		script func(int, string) *smtptest.Step
		tls    bool
		note   string
		count  int // of sessions
	}{
		{"it is used where it is offered", smtptest.Certificate(t, "other.test"), nil, true, "", 1},
		{"a failing handshake leads to a connection without", broken, nil, false, "STARTTLS failed (tls: ", 2},
		{"a refused STARTTLS is passed over", broken, answer("STARTTLS", smtptest.Say("454 4.7.0 no")), false, "STARTTLS refused: 454 4.7.0 no", 1},
		{"words put in front of the handshake end it", broken, answer("STARTTLS", smtptest.Say("220 go\r\n250 x")), false, "STARTTLS failed (unencrypted data", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &smtptest.Server{TLS: test.config, Script: test.script}
			conn := dial(t, s)
			if a := send(t, conn, message(letter, "a")).Answers[0]; !a.Taken() {
				t.Fatalf("the answer is %+v", a)
			}
			if s.Messages()[0].TLS != test.tls || (conn.TLS != "none") != test.tls {
				t.Errorf("TLS is %q", conn.TLS)
			}
			if !strings.HasPrefix(conn.Note, test.note) || (conn.Note == "") != (test.note == "") || s.Sessions() != test.count {
				t.Errorf("note is %q, after %d sessions", conn.Note, s.Sessions())
			}
		})
	}
}

func TestTooManyRecipients(t *testing.T) {
	for name, extensions := range map[string][]string{
		"answered with 452":  {"PIPELINING", "8BITMIME"},
		"as the server says": {"PIPELINING", "8BITMIME", "LIMITS RCPTMAX=10"},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			s := &smtptest.Server{Extensions: extensions, Script: func(_ int, line string) *smtptest.Step {
				switch verb, _, _ := strings.Cut(line, " "); verb {
				case "MAIL":
					n = 0
				case "RCPT":
					if n++; n > 10 {
						return smtptest.Say("452 4.5.3 too many")
					}
				}
				return nil
			}}
			var to []string
			for i := range 35 {
				to = append(to, fmt.Sprint("r", i))
			}
			for _, a := range send(t, dial(t, s), message(letter, to...)).Answers {
				if !a.Taken() {
					t.Errorf("an answer is %+v", a)
				}
			}
			if s.Count() != 4 {
				t.Errorf("the message was sent %d times", s.Count())
			}
		})
	}
}

func TestConnectionThatWentStale(t *testing.T) {
	s := &smtptest.Server{Script: answer(".", &smtptest.Step{Say: "250 2.0.0 taken", Hangup: true})}
	conn := dial(t, s)
	if r := send(t, conn, message(letter, "a")); !r.Answers[0].Taken() {
		t.Fatal(texts(r))
	}
	if r := send(t, conn, message(letter, "a")); !r.Stale || !r.Elsewhere || r.Answers[0].Taken() || conn.Usable() {
		t.Errorf("%+v", r)
	}
}

// A failingBody breaks off in the middle.
type failingBody struct{ io.Reader }

func (failingBody) Close() error { return nil }

func TestUnreadableMessageIsNotEnded(t *testing.T) {
	for name, m := range map[string]smtpclient.Message{
		"a read error": {Size: 100, Open: func(context.Context) (io.ReadCloser, error) {
			return failingBody{io.MultiReader(strings.NewReader(letter), errorReader{})}, nil
		}},
		"a message that is too short": {Size: 100, Open: message(letter).Open},
		"a bare LF":                   {Size: 3, Open: message("a\nb").Open},
		"a bare CR at its end":        {Size: 2, Open: message("a\r").Open},
	} {
		t.Run("after "+name, func(t *testing.T) {
			s := &smtptest.Server{}
			conn := dial(t, s)
			m.To = message("", "a").To
			result, err := conn.Send(t.Context(), m)
			if a := result.Answers[0]; err == nil || a.Taken() || a.Refused() || conn.Usable() {
				t.Errorf("the answer is %+v, the error %v", a, err)
			}
			if s.Count() != 0 {
				t.Error("the server has taken it")
			}
		})
	}
}

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, errors.New("disk gone") }

func TestWordsAreSafe(t *testing.T) {
	s := &smtptest.Server{Script: answer("RCPT", smtptest.Say("550-5.7.1 a\x1b[31m\x00\xff"+strings.Repeat("y", 3000)+"\r\n550 5.7.1 b"))}
	a := send(t, dial(t, s), message(letter, "a")).Answers[0]
	if !strings.HasPrefix(a.Text, "550 5.7.1 a [31m ?yyy") || len(a.Text) > 1000 || !a.Refused() {
		t.Errorf("the answer is %q", a.Text)
	}
}

// A pipeDialer connects to a server in the same bubble of virtual time.
type pipeDialer struct{ server *smtptest.Server }

func (d pipeDialer) DialContext(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	go d.server.ServeConn(there)
	return here, nil
}

func TestSlowServers(t *testing.T) {
	slow := strings.Repeat("220-wait\r\n", 100) + "220 now"
	for _, test := range []struct {
		name, at string
		step     *smtptest.Step
		words    string
		takes    time.Duration
	}{
		{"says nothing", smtptest.Connected, &smtptest.Step{}, "mx.remote.test (192.0.2.1), at greeting: timed out", 5 * time.Minute},
		{"says an octet a second", smtptest.Connected, &smtptest.Step{Say: slow, Pace: time.Second}, "mx.remote.test (192.0.2.1), at greeting: timed out", 5 * time.Minute},
		{"says nothing to the end of the message", ".", &smtptest.Step{}, "mx.remote.test (192.0.2.1), at the end of the message: timed out", 10 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := client()
				c.CommandTimeout = 5 * time.Minute
				c.Dialer = pipeDialer{&smtptest.Server{Script: answer(test.at, test.step)}}
				defer func() { time.Sleep(time.Minute) }() // of virtual time: the server notices that we are gone
				start := time.Now()
				conn, err := c.Dial(t.Context(), at(netip.MustParseAddrPort("192.0.2.1:25")))
				if err == nil {
					defer conn.Close()
					err = errors.New(send(t, conn, message(letter, "a")).Answers[0].Text)
				}
				if err.Error() != test.words || time.Since(start) != test.takes {
					t.Errorf("%v after %v", err, time.Since(start))
				}
			})
		})
	}
}

func TestEndOfTheContextEndsTheWait(t *testing.T) {
	s := &smtptest.Server{}
	ctx, cancel := context.WithCancel(t.Context())
	s.Script = func(_ int, line string) *smtptest.Step {
		if line == "DATA" {
			cancel()
			return &smtptest.Step{}
		}
		return nil
	}
	conn, err := client().Dial(ctx, at(s.Start(t, "127.0.0.5")))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if r := send(t, conn, message(letter, "a")); r.Answers[0].Taken() || time.Since(start) > 4*time.Second {
		t.Errorf("%+v after %v", r, time.Since(start))
	}
}
