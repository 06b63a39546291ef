package phrase

// What pages say of domains, and of those that are served as a backup.
const (
	RecipientsTaken    = "Mail for %s is taken from now on; for addresses that aren’t listed it is refused."
	RecipientsRefused  = "Mail for %s is refused from now on."
	AllRecipientsTaken = "Mail for every address at %s is taken from now on."
	NoRecipientGiven   = "Give at least one address."
	BackupAdded        = "Mail for %s is held here from now on while its own server is down. Next, say which addresses it has."
	DomainAdded        = "%s is served from now on. Next, give it accounts."
	BackupLost         = "Mail for it is refused from then on: while its own server is down, senders’ servers have to wait themselves."
	BackupKept         = "What waits here already is still sent."
	DomainLost         = "Mail for addresses at %s is refused from then on: senders get “relaying denied” at once."
	NoMailLost         = "No stored mail is lost, because nothing here has an address in this domain. It can be added again at any time."
	DomainInUse        = "%s still has %s and %s. They have to be removed first, so that no mailbox disappears by accident."
	DomainRemoved      = "%s is not served any more."
)
