package phrase

import (
	"fmt"
	"time"
)

// A Stage is what is said of one part of a test mail's way.
type Stage struct {
	Title  string
	Advice string // what to do if it fails
}

// Stages are those of a test mail, by the names that admin.TrialKind has.
var Stages = map[string]Stage{
	"reach-submission": {"Reach the server to send", "Look at listen.submissions and listen.submission in the configuration: one of them must be there, and a firewall of this machine must let it reach itself."},
	"secure-sending":   {"Encrypt", "Look at the certificate’s page: it says what is wrong with the certificate that is shown."},
	"login-to-send":    {"Log in to send", "Look whether this machine’s own address is blocked on the page Block and allow, and whether the account is enabled."},
	"send":             {"Hand the message over", "The server’s own words above say why. A full maildrop or disk is the usual reason: look at the account and at the overview."},
	"reach-pop3":       {"Reach the server to collect", "Look at listen.pop3s and listen.pop3 in the configuration: one of them must be there, and a firewall of this machine must let it reach itself."},
	"secure-pop3":      {"Encrypt", "Look at the certificate’s page: it says what is wrong with the certificate that is shown."},
	"login-to-collect": {"Log in to collect", "If another program has the maildrop open at the moment, try again in a minute."},
	"collect":          {"Collect the message", "Look at the message’s way below, and at the account: a forwarding or an alias may lead its mail elsewhere."},
	"delete":           {"Delete it again", "The message has arrived, and is still in the maildrop: the mail program will show it."},
}

// Took writes how long something took, to the millisecond.
func Took(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// Encrypted says how a connection was protected, and what a mail program thinks of
// the certificate.
func Encrypted(version, distrust string) string {
	if distrust == "" {
		return version + ", with a certificate that mail programs trust."
	}
	return version + ". Mail programs will ask whether to trust the certificate: " + distrust + "."
}

// How a test mail stands.
const (
	TrialRuns    = "The test mail is under way."
	TrialWorked  = "It works: the test mail was sent, collected and deleted again."
	TrialStopped = "The test mail was stopped."
	TrialFailed  = "The test mail didn’t go the whole way."
)
