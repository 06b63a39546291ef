package phrase

// The titles of the guide's pages.
const (
	SetupDomainTitle   = "Set up: the domain"
	SetupAccountTitle  = "Set up: the first account"
	SetupProgramsTitle = "Set up: the mail program"
	SetupTestTitle     = "Set up: a test mail"
)

// SetupDNSTitle is the title of the guide's page about a domain's records.
func SetupDNSTitle(domain string) string { return "Set up: DNS of " + domain }

// What the guide says.
const (
	SetupIsOver      = "This server is set up."
	WrongSetupCode   = "That is not the code. It stands where the server was started, behind its link, and changes with each start."
	SetupNotTheSame  = "The two passwords are not the same. Type them once more."
	SetupNeedsDomain = "Add a domain first: without one there is nothing for the DNS to say."
)

// FirstAdmin says who has become the administrator.
func FirstAdmin(address string) string {
	return address + " is the administrator of this server, and you are signed in."
}

// DomainServed says that mail for a domain is taken.
func DomainServed(domain string) string { return domain + " is served from now on." }
