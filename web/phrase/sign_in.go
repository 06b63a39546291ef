package phrase

import (
	"fmt"
	"strings"
)

// Browser says in short words what sent a request, by what it calls itself: nobody
// should take it for more than a hint.
func Browser(agent string) string {
	program := firstIn(agent, [][2]string{
		{"Edg", "Edge"},
		{"OPR/", "Opera"},
		{"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"},
		{"Chromium/", "Chromium"},
		{"HeadlessChrome/", "Chromium"},
		{"Chrome/", "Chrome"},
		{"Safari/", "Safari"},
		{"curl/", "curl"},
		{"Lynx", "Lynx"},
		{"w3m", "w3m"},
	})
	system := firstIn(agent, [][2]string{
		{"iPhone", "an iPhone"},
		{"iPad", "an iPad"},
		{"Android", "Android"},
		{"Windows", "Windows"},
		{"Mac OS X", "a Mac"},
		{"CrOS", "ChromeOS"},
		{"Linux", "Linux"},
		{"BSD", "BSD"},
	})
	switch {
	case program == "" && system == "":
		return "An unknown browser"
	case program == "":
		return "A browser on " + system
	case system == "":
		return program
	}
	return program + " on " + system
}

// firstIn returns the words for the first of the marks that a text holds.
func firstIn(text string, marks [][2]string) string {
	for _, m := range marks {
		if strings.Contains(text, m[0]) {
			return m[1]
		}
	}
	return ""
}

// EndedSessions says in how many browsers an account was signed out.
func EndedSessions(n int64) string {
	if n == 0 {
		return "There was no other session to end."
	}
	return fmt.Sprintf("Signed out in %s.", Plural(n, "browser", "browsers"))
}

// LeftCodes says how many recovery codes are left.
func LeftCodes(n int) string {
	if n == 0 {
		return "No recovery code is left. Make new ones, or you are locked out if you lose the app."
	}
	return fmt.Sprintf("%s of 10 recovery codes %s left.", Number(int64(n)), IsAre(int64(n)))
}

// NewPassword says what a new password of one's own has done.
const NewPassword = "The new password is set. All other browsers are signed out; mail programs that use the old one have to be told."

// Service says for what somebody logged in.
func Service(protocol string) string {
	switch protocol {
	case "pop3":
		return "Collecting mail (POP3)"
	case "submission":
		return "Sending mail (SMTP)"
	case "web":
		return "This web page"
	}
	return protocol
}
