package phrase

// What mail programs are told that ask for their settings.
const (
	NoSuchFile   = "There is no such file for this name."
	LaterAgain   = "Try again later."
	AppleProfile = "Sets up Mail for %s. It asks for the password."
	OutlookAsks  = "This is where Outlook asks for mail settings. It must post a request with a mail address."
)
