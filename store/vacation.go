package store

import (
	"time"

	"postroom/store/mail"
)

// A Vacation is what is answered in an account's name while its owner is away.
type Vacation struct {
	On      bool
	Subject string // empty: made of that of the mail that is answered
	Text    string
	Since   time.Time // zero: from the start
	Until   time.Time // when it ends; zero: it doesn't
}

// Holds reports whether mail that comes at some time is answered.
func (v Vacation) Holds(at time.Time) bool {
	return v.On && !at.Before(v.Since) && (v.Until.IsZero() || at.Before(v.Until))
}

// AnswerEvery is the least time between two vacation notices of an account to one
// sender.
const AnswerEvery = 7 * 24 * time.Hour

// An OwedAnswer asks for a vacation notice to the sender of a message. The backend
// keeps it if the account still has one, and if none was sent to that sender in
// the last AnswerEvery.
type OwedAnswer struct {
	Account   AccountID
	Recipient mail.Address // the address given at RCPT
	Subject   string       // of the message, decoded; may be empty
	History   string       // its field References, as Message-IDs with brackets and blanks between; may be empty
}

// An Answer is a vacation notice that is owed, and what it is made of.
type Answer struct {
	ID       int64
	Account  AccountID
	From     mail.Address // the account's address
	Name     string       // and its owner's name
	Vacation Vacation

	Message  MessageID // that is answered
	At       time.Time // when it came
	Sender   mail.Address
	HeaderID string
	OwedAnswer
}
