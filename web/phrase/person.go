package phrase

import "strings"

// VacationState says in a word or two whether mail is answered, and how to take it.
func VacationState(state string) (text, tone string) {
	switch state {
	case "answers":
		return "on", "good"
	case "waits":
		return "waits for its first day", "info"
	case "over":
		return "its last day has passed", "warn"
	}
	return "off", "quiet"
}

// VacationSaved says what becomes of mail from now on.
func VacationSaved(state, from string) string {
	switch state {
	case "answers":
		return "The vacation notice is on: who writes is answered from now on."
	case "waits":
		return "The vacation notice is set, and answers from " + from + " on."
	}
	return "The vacation notice is off. Its text is kept for the next time."
}

// ForwardSaved says where mail goes from now on.
func ForwardSaved(targets []string, keep bool) string {
	switch {
	case len(targets) == 0:
		return "Mail isn’t forwarded any more: it stays in the maildrop."
	case keep:
		return "Mail goes on to " + strings.Join(targets, ", ") + " from now on, and a copy is kept."
	}
	return "Mail goes on to " + strings.Join(targets, ", ") + " from now on. No copy is kept here."
}

// NoForwardTarget is a mistake that admin never hears of: an empty form doesn't end a
// forward, a button does.
const NoForwardTarget = "Give at least one address to send mail on to."

// ForwardLost is what the removal of an account ends.
const ForwardLost = "Mail for it isn’t sent on any more to %s."

// ForwardersLeft is what the removal of accounts means for those that send mail on
// to them.
const ForwardersLeft = "These accounts send mail on to what is removed; it stays with them then: %s."

// MaySendAs says that an account may send in the name of another address.
func MaySendAs(address, sender string) string {
	return address + " may send as " + sender + " from now on."
}

// MayNotSendAs says that it may do so no longer.
func MayNotSendAs(address, sender string) string {
	return address + " may not send as " + sender + " any more."
}
