package phrase

import (
	"fmt"
	"strings"
)

// What pages say to who signs in.
const (
	SignInDenied   = "The address or the password is wrong. App passwords don’t open this page."
	SignInBusy     = "Too many people are signing in at the moment. Try again in a few seconds."
	SignInBlocked  = "Too many sign-ins from your address have failed, so none is looked at for a while, whatever the password. Try again after %s UTC, or from another place."
	SignInListed   = "An administrator doesn’t let anybody sign in from your network."
	WrongPassword  = "That is not the password of this account. App passwords don’t count here."
	OnceMore       = "Thank you. Nothing has been changed yet: do it once more now."
	ConfirmItIsYou = "Confirm that it’s you"
	ToOwnPage      = "To your own page"
)

// What the second step of signing in says.
const (
	SignInCode   = "Sign in: the code"
	WrongCode    = "That code is not right, or it was used before. Wait until the app shows the next one; each recovery code works once."
	ManyCodes    = "Too many wrong codes were given for this account. For an hour after the last of them only a recovery code is taken. If that wasn’t you, somebody knows your password: change it."
	HalfOver     = "That took more than five minutes. Sign in again."
	NotTheSame   = "The two passwords are not the same. Nothing was changed; type the new one twice."
	PasswordOnly = "Signing in takes the password alone from now on."
)

// FactorTaken says that an account's second factor was taken off.
func FactorTaken(address string) string {
	return address + " signs in with the password alone from now on."
}

// AppPasswordReady is what stands above a new app password.
const AppPasswordReady = "The app password is ready"

// AppPasswordUse says what to do with it.
func AppPasswordUse(program, address string) string {
	return fmt.Sprintf("Enter it in %s as the password of %s.", program, address)
}

// AppPasswordUseBoth says it where a mail program is set up.
func AppPasswordUseBoth(program, address string) string {
	return fmt.Sprintf("Enter it in %s as the password of %s, to collect and to send.", program, address)
}

// ProgramsTitle is the title of the page about an account's mail programs.
func ProgramsTitle(address string) string { return "Mail programs of " + address }

// AppPasswordGone says that one was removed.
func AppPasswordGone(program string) string {
	return fmt.Sprintf("The app password “%s” doesn’t work any more.", program)
}

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
