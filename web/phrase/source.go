package phrase

// What pages say of the addresses that mail leaves from.
const (
	LeavesFrom       = "Mail from %s leaves from %s from now on."
	StopLeavingTitle = "Stop sending mail from %s by way of %s?"
	LeavesFromOthers = "Such mail leaves from the other addresses of its pool, else from everybody’s pool, else from the address that this machine’s network chooses."
	SomebodyNew      = "Other servers judge each address by what came from it: to them this mail comes from somebody new."
	SourceRemoved    = "The address was removed."
)
