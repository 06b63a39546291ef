package smtpd

import (
	"errors"
	"syscall"

	"postroom/store"
	"postroom/store/mail"
)

// The answers that a session gives on purpose. Those to commands that cost
// nothing and mean nothing count as bad; see session.count.
var (
	statusTooLongLine  = mail.Status{Code: 500, Enhanced: [3]int{5, 5, 6}, Text: "Line too long"}
	statusBareControl  = mail.Status{Code: 500, Enhanced: [3]int{5, 5, 2}, Text: "A line ends with CRLF, and holds no other CR, LF or NUL"}
	statusUnknown      = mail.Status{Code: 500, Enhanced: [3]int{5, 5, 2}, Text: "Unknown command"}
	statusHTTP         = mail.Status{Code: 554, Enhanced: [3]int{5, 5, 1}, Text: "This is a mail server"}
	statusProxy        = mail.Status{Code: 554, Enhanced: [3]int{5, 7, 1}, Text: "Your network may not send a PROXY header"}
	statusTLSFirst     = mail.Status{Code: 554, Enhanced: [3]int{5, 5, 1}, Text: "This port begins without TLS; use STARTTLS"}
	statusEarly        = mail.Status{Code: 554, Enhanced: [3]int{5, 5, 1}, Text: "You spoke before the greeting"}
	statusHelo         = mail.Status{Code: 501, Enhanced: [3]int{5, 5, 4}, Text: "Say who you are: EHLO your.host.name"}
	statusNoHelo       = mail.Status{Code: 503, Enhanced: [3]int{5, 5, 1}, Text: "Say EHLO first"}
	statusNotSupported = mail.Status{Code: 502, Enhanced: [3]int{5, 5, 1}, Text: "Command not supported"}
	statusNoArgument   = mail.Status{Code: 501, Enhanced: [3]int{5, 5, 4}, Text: "This command takes no argument"}
	statusParamSyntax  = mail.Status{Code: 501, Enhanced: [3]int{5, 5, 4}, Text: "Bad parameter"}
	statusUnknownParam = mail.Status{Code: 555, Enhanced: [3]int{5, 5, 4}, Text: "Unknown parameter"}
	statusMailSyntax   = mail.Status{Code: 501, Enhanced: [3]int{5, 5, 2}, Text: "Expected MAIL FROM:<address>"}
	statusRcptSyntax   = mail.Status{Code: 501, Enhanced: [3]int{5, 5, 2}, Text: "Expected RCPT TO:<address>"}
	statusBadSender    = mail.Status{Code: 501, Enhanced: [3]int{5, 1, 7}, Text: "That is not a mail address"}
	statusBadRecipient = mail.Status{Code: 501, Enhanced: [3]int{5, 1, 3}, Text: "That is not a mail address"}
	statusNeedsUTF8    = mail.Status{Code: 553, Enhanced: [3]int{5, 6, 7}, Text: "An address that isn't ASCII needs SMTPUTF8 at MAIL"}
	statusNeedsTLS     = mail.Status{Code: 530, Enhanced: [3]int{5, 7, 0}, Text: "STARTTLS first: REQUIRETLS needs it"}

	statusNested       = mail.Status{Code: 503, Enhanced: [3]int{5, 5, 1}, Text: "There is a sender already; RSET to begin again"}
	statusNoMail       = mail.Status{Code: 503, Enhanced: [3]int{5, 5, 1}, Text: "MAIL first"}
	statusNoRecipients = mail.Status{Code: 503, Enhanced: [3]int{5, 5, 1}, Text: "RCPT first: there is no recipient"}
	statusNoneTaken    = mail.Status{Code: 554, Enhanced: [3]int{5, 5, 1}, Text: "No valid recipients"}
	statusInMessage    = mail.Status{Code: 503, Enhanced: [3]int{5, 5, 1}, Text: "Not inside a transaction"}
	statusTLSTwice     = mail.Status{Code: 503, Enhanced: [3]int{5, 5, 1}, Text: "TLS is on already"}
	statusTLSAfterAuth = mail.Status{Code: 503, Enhanced: [3]int{5, 5, 1}, Text: "Not after AUTH"}

	statusAuthTwice     = mail.Status{Code: 503, Enhanced: [3]int{5, 5, 1}, Text: "You are logged in already"}
	statusAuthTLS       = mail.Status{Code: 538, Enhanced: [3]int{5, 7, 11}, Text: "STARTTLS first: a password must not be sent in the clear"}
	statusAuthMechanism = mail.Status{Code: 504, Enhanced: [3]int{5, 5, 4}, Text: "Unknown mechanism"}
	statusAuthSyntax    = mail.Status{Code: 501, Enhanced: [3]int{5, 5, 2}, Text: "That is not base64"}
	statusAuthCancelled = mail.Status{Code: 501, Enhanced: [3]int{5, 7, 0}, Text: "Authentication cancelled"}
	statusAuthDenied    = mail.Status{Code: 535, Enhanced: [3]int{5, 7, 8}, Text: "Wrong name or password"}
	statusAuthBusy      = mail.Status{Code: 454, Enhanced: [3]int{4, 7, 0}, Text: "Too many logins at once, please try again later"}
	statusAuthTrouble   = mail.Status{Code: 454, Enhanced: [3]int{4, 7, 0}, Text: "Logging in is not possible at the moment"}
	statusAuthRequired  = mail.Status{Code: 530, Enhanced: [3]int{5, 7, 0}, Text: "Log in first"}

	statusTooLarge          = mail.Status{Code: 552, Enhanced: [3]int{5, 3, 4}, Text: "The message is too large"}
	statusDiskFull          = mail.Status{Code: 452, Enhanced: [3]int{4, 3, 1}, Text: "No space for mail at the moment, please try again later"}
	statusDisabled          = mail.Status{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: "This account may not send"}
	statusBarredDevice      = mail.Status{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: "This device sends with an account that is disabled"}
	statusNoDevice          = mail.Status{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: "Your address may not send without logging in any more"}
	statusTooManyRecipients = mail.Status{Code: 452, Enhanced: [3]int{4, 5, 3}, Text: "Too many recipients in one message"}
	statusNoSuchUser        = mail.Status{Code: 550, Enhanced: [3]int{5, 1, 1}, Text: "No such address here"}
	statusRelay             = mail.Status{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: "Relaying denied"}
	statusMailboxFull       = mail.Status{Code: 452, Enhanced: [3]int{4, 2, 2}, Text: "The mailbox is full"}
	statusTakesNone         = mail.Status{Code: 550, Enhanced: [3]int{5, 2, 1}, Text: "This mailbox takes no mail"}

	statusBareLine       = mail.Status{Code: 550, Enhanced: [3]int{5, 6, 11}, Text: "The message holds a bare CR, a bare LF or a NUL"}
	statusLongBodyLine   = mail.Status{Code: 554, Enhanced: [3]int{5, 6, 0}, Text: "The message has a line over 1 MB"}
	statusLargeHeader    = mail.Status{Code: 554, Enhanced: [3]int{5, 6, 0}, Text: "The message's header is too large"}
	statusBadHeader      = mail.Status{Code: 554, Enhanced: [3]int{5, 6, 0}, Text: "A line of the message's header is not a header field"}
	statusLoop           = mail.Status{Code: 554, Enhanced: [3]int{5, 4, 6}, Text: "The message is going round in circles"}
	statusFromCount      = mail.Status{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: "A message needs exactly one From field"}
	statusFromUnreadable = mail.Status{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: "The field From is not a list of mail addresses"}

	statusTooManyErrors = mail.Status{Code: 421, Enhanced: [3]int{4, 7, 0}, Text: "Too many errors"}
	statusTooMany       = mail.Status{Code: 421, Enhanced: [3]int{4, 7, 0}, Text: "Too many connections, please try again later"}
	statusNoProxy       = mail.Status{Code: 421, Enhanced: [3]int{4, 7, 0}, Text: "Expected a PROXY header"}
	statusIdle          = mail.Status{Code: 421, Enhanced: [3]int{4, 4, 2}, Text: "Nothing heard for too long"}
	statusSlow          = mail.Status{Code: 421, Enhanced: [3]int{4, 4, 2}, Text: "The message takes too long"}
	statusStopping      = mail.Status{Code: 421, Enhanced: [3]int{4, 3, 2}, Text: "The server is going down, please try again later"}
	statusRevoked       = mail.Status{Code: 421, Enhanced: [3]int{4, 7, 0}, Text: "You have been logged out"}
	statusPanic         = mail.Status{Code: 421, Enhanced: [3]int{4, 3, 0}, Text: "Local error, please try again later"}
)

// statusFor turns any error of a session into what the client is told: the one
// place where it happens.
func statusFor(err error) mail.Status {
	switch {
	case errors.Is(err, store.ErrDiskFull), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return statusDiskFull
	case errors.Is(err, store.ErrDisabled):
		return statusDisabled
	case errors.Is(err, store.ErrNoDevice):
		return statusNoDevice
	}
	return mail.StatusOf(err)
}

// isTrouble reports whether err is a fault of our own, not an answer that
// somebody chose.
func isTrouble(err error) bool {
	var chosen mail.Status
	return !errors.As(err, &chosen) && statusFor(err).Code == 451
}

// printable makes a stranger's text fit for a reply line and for a header
// field: anything but printable ASCII becomes a question mark.
func printable(s string) string {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return printableSlow(s)
		}
	}
	return s
}

func printableSlow(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}
