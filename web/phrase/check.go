package phrase

// What pages say of the checks: what each asks about a mail, and what it would mean.
const (
	AsksLists            = "Have you blocked or allowed the sender?"
	AsksRate             = "Does the client send more than anybody should?"
	AsksBlocklists       = "Is the client’s address on a list of known offenders?"
	AsksDomainBlocklists = "Is one of its domains on such a list?"
	AsksSPF              = "May this client send for the domain of the envelope’s sender?"
	AsksDKIM             = "Is the message signed, and unchanged since?"
	AsksVacation         = "Is its sender to be told that the reader is away?"
	AsksDMARC            = "Does the domain that the reader sees in From stand behind it?"
	AsksOwnDomains       = "Does a stranger claim to write from one of our addresses?"
	AsksAuthentication   = "Is the sender who it says?"
	NoChecksHere         = "The checks don’t run here, so they can’t be asked. They do where the server was started with its services for mail."
	WouldBeMarked        = "It would be taken, and marked as spam (X-Spam: yes)."
	WouldBeTaken         = "It would be taken."
	WouldBePutOff        = "It would be put off: its server would have to try again later."
	WouldBeRefused       = "It would be refused."
	CheckAgrees          = "This check has nothing against it."
	CheckUnsure          = "This check couldn’t tell."
	CheckObjects         = "This check would object."
)
