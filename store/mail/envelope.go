package mail

// An Envelope is what the client said about a message before sending it: the
// sender and the parameters of MAIL. Recipients stand beside it, because each
// has its own fate.
type Envelope struct {
	Sender   Address
	EightBit bool   // BODY=8BITMIME (RFC 6152)
	UTF8     bool   // SMTPUTF8 (RFC 6531)
	Return   Return // how much of the message a bounce carries
	ID       string // ENVID, decoded from xtext; handed back in reports
	TLS      TLSWish
}

// TLSWish is what the sender said about TLS on the way (RFC 8689).
type TLSWish uint8

// The zero TLSWish leaves it to the servers' policies.
const (
	TLSAsUsual  TLSWish = iota
	TLSRequired         // REQUIRETLS: rather not at all than unprotected
	TLSOptional         // "TLS-Required: No": rather unprotected than not at all
)

// A Recipient is one RCPT TO, with what its sender wants to hear about it.
type Recipient struct {
	Address  Address
	Notify   Notify
	Original string // ORCPT as "type;address", decoded from xtext; empty if none was given
}

// Return says how much of the original a report carries (RFC 3461 4.3).
type Return uint8

// The zero Return leaves the choice to the reporting server.
const (
	ReturnDefault Return = iota
	ReturnHeaders
	ReturnFull
)

// Notify is a set of the events that the sender wants reported (RFC 3461 4.1).
// The zero Notify is "not said": failures and delays are reported.
type Notify uint8

// NotifyNever excludes the others.
const (
	NotifyNever Notify = 1 << iota
	NotifySuccess
	NotifyFailure
	NotifyDelay
)

// OnFailure reports whether the sender wants to hear of a failure.
func (n Notify) OnFailure() bool { return n == 0 || n&NotifyFailure != 0 }

// OnDelay reports whether the sender wants to hear of a delay.
func (n Notify) OnDelay() bool { return n == 0 || n&NotifyDelay != 0 }
