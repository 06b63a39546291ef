package phrase

import (
	"fmt"
	"time"
)

// What the first page says of a server that isn't set up yet.
const (
	NoDomain  = "There is no domain, so mail from outside is refused."
	NoAccount = "There is no account to receive mail."
	FirstMail = "Set up a mail program with one of the accounts and send a message; its way will be shown here."
)

// What the links to the pages that help are called.
const (
	SeeWhatToDo    = "See what to do"
	SeeWhoItIs     = "See who it is"
	SeeWhatIsSaid  = "See what other servers say"
	SeeWhatTheySay = "See what they say"
	SeeAccount     = "Look at the account"
	SeeFullest     = "Look at the fullest first"
)

// Needs says how many things an administrator should look at.
func Needs(n int) string {
	switch n {
	case 0:
		return "All is well."
	case 1:
		return "One thing needs you."
	}
	return fmt.Sprintf("%d things need you.", n)
}

// HeldInQueue says how many recipients' mail is held.
func HeldInQueue(recipients int64) string {
	return fmt.Sprintf("%s in the queue %s held and not sent.", Plural(recipients, "recipient", "recipients"), IsAre(recipients))
}

// OldestWaits says how long the oldest mail in the queue has waited.
func OldestWaits(age time.Duration) string {
	return fmt.Sprintf("The oldest mail in the queue has been waiting for %s.", Span(age))
}

// MoreConcerns says how many there are that aren't listed.
func MoreConcerns(n int64) string { return "And " + Number(n) + " more." }
