package smtpd

import (
	"bytes"
	"crypto/tls"
	"strconv"
	"strings"

	"postroom/store/mail"
)

// command judges one command line: it is answered here, or go-smtp is given a
// form of it that holds nothing of the client's but a verb.
func (s *session) command(line []byte) {
	if !s.spoken {
		s.spoken = true
		if status, not := notSMTP(line); not {
			s.conn.end(status)
			return
		}
	}
	verb, argument := cutCommand(string(line))
	s.verb, s.argument = verb, argument
	if verb == "MAIL" {
		if err := s.meetDevice(); err != nil {
			s.log.Error("our own trouble", "err", err)
			s.conn.say(statusFor(err))
			return
		}
	}
	if status := s.outOfPlace(verb, argument); status != (mail.Status{}) {
		s.conn.say(status)
		return
	}
	switch verb {
	case "EHLO", "HELO":
		s.greet(verb, argument)
	case "STARTTLS":
		s.startTLS()
	case "MAIL":
		s.conn.feed = feedMail
	case "RCPT":
		s.conn.feed = feedRcpt
	case "DATA":
		s.conn.feed = feedData
	case "AUTH":
		s.startAuth(argument)
	default: // NOOP RSET QUIT VRFY
		s.conn.feed = []byte(verb + "\r\n")
	}
}

// What go-smtp gets for commands whose arguments it would misread.
var (
	feedMail = []byte("MAIL FROM:<>\r\n")
	feedRcpt = []byte("RCPT TO:<r@r>\r\n")
	feedData = []byte("DATA\r\n")
	feedDot  = []byte(".\r\n")
)

// cutCommand returns the verb in upper case and what follows it.
func cutCommand(line string) (verb, argument string) {
	verb, argument, _ = strings.Cut(line, " ")
	return strings.ToUpper(verb), strings.TrimRight(argument, " \t")
}

// notSMTP recognises a client that speaks something else.
func notSMTP(line []byte) (mail.Status, bool) {
	first, rest, _ := bytes.Cut(line, []byte(" "))
	switch string(first) {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI":
		return statusHTTP, true
	case "PROXY":
		return statusProxy, true
	}
	_, version, _ := bytes.Cut(rest, []byte(" "))
	return statusHTTP, bytes.HasPrefix(version, []byte("HTTP/"))
}

// outOfPlace returns what is wrong with a command where it stands, or the zero
// Status.
func (s *session) outOfPlace(verb, argument string) mail.Status {
	switch verb {
	case "EHLO", "HELO", "NOOP", "VRFY":
		return mail.Status{}
	case "QUIT", "RSET":
		return unless(argument == "", statusNoArgument)
	case "STARTTLS":
		return s.startTLSOutOfPlace(argument)
	case "AUTH":
		return s.authOutOfPlace()
	case "MAIL":
		return s.mailOutOfPlace(argument)
	case "RCPT":
		return first(s.authMissing(), unless(s.mail != nil, statusNoMail), unless(hasPrefixFold(argument, "TO:"), statusRcptSyntax))
	case "DATA":
		return first(
			s.authMissing(),
			unless(s.mail != nil, statusNoMail),
			unless(argument == "", statusNoArgument),
			unless(s.mail == nil || len(s.mail.recipients) > 0, s.noRecipients()),
		)
	case "BDAT", "EXPN", "HELP", "TURN", "ETRN", "SEND", "SOML", "SAML", "XCLIENT":
		return statusNotSupported
	}
	return statusUnknown
}

// noRecipients is the answer to DATA without a good RCPT. A client that
// pipelines can't know better.
func (s *session) noRecipients() mail.Status {
	if s.mail != nil && s.mail.tried {
		return statusNoneTaken
	}
	return statusNoRecipients
}

func (s *session) startTLSOutOfPlace(argument string) mail.Status {
	return first(
		unless(s.TLS != nil, statusNotSupported),
		unless(argument == "", statusNoArgument),
		unless(s.conn.tls == nil, statusTLSTwice),
		unless(s.mail == nil, statusInMessage),
		unless(!s.loggedIn(), statusTLSAfterAuth),
	)
}

func (s *session) mailOutOfPlace(argument string) mail.Status {
	return first(
		unless(s.helo != "", statusNoHelo),
		unless(s.mail == nil, statusNested),
		s.authMissing(),
		unless(hasPrefixFold(argument, "FROM:"), statusMailSyntax),
	)
}

// authMissing is the answer, where AUTH has to come first, to all that makes a
// message (RFC 4954 6). A device that may send nothing is told so at MAIL.
func (s *session) authMissing() mail.Status {
	return unless(!s.Submission || s.submitting() || s.isBarred(), statusAuthRequired)
}

// unless returns the status that a condition asks for when it doesn't hold.
func unless(holds bool, status mail.Status) mail.Status {
	if holds {
		return mail.Status{}
	}
	return status
}

// first returns the first status that isn't zero.
func first(all ...mail.Status) mail.Status {
	for _, s := range all {
		if s != (mail.Status{}) {
			return s
		}
	}
	return mail.Status{}
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// greet handles EHLO and HELO. Go-smtp's reply, which offers what we don't
// have, is replaced.
func (s *session) greet(verb, name string) {
	if !isHelo(name) {
		s.conn.say(statusHelo)
		return
	}
	s.helo, s.esmtp = strings.ToValidUTF8(name, "?"), verb == "EHLO"
	if !s.esmtp {
		s.conn.own = []byte("250 " + s.Hostname + "\r\n")
	} else {
		s.conn.own = s.capabilities()
	}
	s.conn.feed = []byte(verb + " client\r\n")
}

// isHelo reports whether a client may call itself name. Many don't know their
// name, or that it may hold no underscore; it only has to be one word.
func isHelo(name string) bool {
	for i := range len(name) {
		if name[i] <= ' ' || name[i] == 0x7f {
			return false
		}
	}
	return name != "" && len(name) <= 255
}

// capabilities returns the reply to EHLO (RFC 5321 4.1.1.1). CHUNKING and
// BINARYMIME are not among them: DATA is the one way in.
func (s *session) capabilities() []byte {
	offers := make([]string, 0, 12)
	offers = append(offers, s.Hostname, "PIPELINING", "SIZE "+strconv.FormatInt(s.limits.MessageBytes, 10))
	if s.TLS != nil && s.conn.tls == nil {
		offers = append(offers, "STARTTLS")
	}
	if mechanisms := s.AuthMechanisms(); len(mechanisms) > 0 {
		offers = append(offers, "AUTH "+strings.Join(mechanisms, " "))
	}
	if s.conn.tls != nil {
		offers = append(offers, "REQUIRETLS")
	}
	offers = append(offers, "ENHANCEDSTATUSCODES", "8BITMIME", "DSN", "SMTPUTF8",
		"LIMITS RCPTMAX="+strconv.Itoa(s.limits.Recipients))
	var b []byte
	for i, offer := range offers {
		b = append(b, "250"...)
		if i < len(offers)-1 {
			b = append(b, '-')
		} else {
			b = append(b, ' ')
		}
		b = append(append(b, offer...), "\r\n"...)
	}
	return b
}

// startTLS changes to TLS. What was said before no longer counts (RFC 3207 4.2).
func (s *session) startTLS() {
	s.conn.say(mail.Status{Code: 220, Enhanced: [3]int{2, 0, 0}, Text: "Go ahead"})
	s.helo, s.esmtp = "", false
	if err := s.conn.startTLS(s.ctx, s.tlsConfig()); err != nil {
		s.log.Debug("no TLS", "err", err)
	}
}

// tlsVersion names a connection's TLS for Received and the trace.
func tlsVersion(state *tls.ConnectionState) string {
	if state == nil {
		return ""
	}
	return tls.VersionName(state.Version) + " " + tls.CipherSuiteName(state.CipherSuite)
}
