package phrase

// What pages say of who is blocked and allowed, and of who guesses passwords.
const (
	MailRefused      = "Mail from %s is refused from now on."
	MailTaken        = "Mail from %s is taken from now on, whatever the checks say."
	WasBefore        = " It was %s before."
	UnblockingTakes  = "Mail from there is taken again, unless another entry or a check objects."
	UnallowingJudges = "Mail from there is judged by the checks again, like everybody’s."
	NotAnyMore       = "%s is not %s any more."
	EntryTitle       = "Mail from %s is %s"
	EntryChanged     = "The entry about %s was changed."
	AddressAlone     = "This address alone."
	DomainAndBelow   = "Everybody at %s and at all domains below it."
	ServerItself     = "The server that the message came from, whoever writes by way of it."
	ServerNamed      = "The server that the message came from (it calls itself %s), whoever writes by way of it."
	CheckAgain       = "Check such a mail again"
	BlockSender      = "Block the sender …"
	AllowSender      = "Allow the sender …"
	MayLogInAgain    = "%s may log in again; what it guessed is forgotten."
)
