package phrase

import (
	"fmt"
	"strings"
)

// A Loss is what the removal of accounts takes along.
type Loss struct {
	Accounts                                       int64
	Messages, Octets, AppPasswords, Queued         int64
	Devices, Routes, Sources, WithLimits, Forwards int64
}

// Sentences say what is lost and what isn't.
func (l Loss) Sentences() []string {
	o := one
	if l.Accounts != 1 {
		o = several
	}
	lost := []string{o.maildrop + " empty: no mail is lost."}
	if l.Messages > 0 {
		lost = []string{fmt.Sprintf("%s (%s) in %s %s deleted for good.", Plural(l.Messages, "message", "messages"), Octets(l.Octets), o.in, IsAre(l.Messages))}
	}
	var parts []string
	for _, part := range []struct {
		n         int64
		one, many string
	}{
		{l.AppPasswords, "app password", "app passwords"},
		{l.Devices, "device that submits in " + o.its + " name", "devices that submit in " + o.its + " name"},
		{l.Routes, "route of " + o.its + " own", "routes of " + o.its + " own"},
		{l.Sources, "source address of " + o.its + " own", "source addresses of " + o.its + " own"},
		{l.Forwards, "address that " + o.its + " mail goes on to", "addresses that " + o.its + " mail goes on to"},
	} {
		if part.n > 0 {
			parts = append(parts, Plural(part.n, part.one, part.many))
		}
	}
	if l.WithLimits > 0 {
		parts = append(parts, o.its+" limits")
	}
	if len(parts) > 0 {
		lost = append(lost, "With "+o.it+" goes: "+strings.Join(parts, ", ")+".")
	}
	if l.Queued > 0 {
		lost = append(lost, fmt.Sprintf("What %s sent is sent all the same: %s in the queue %s still waited for.", o.they, Plural(l.Queued, "recipient", "recipients"), IsAre(l.Queued)))
	}
	return append(lost, fmt.Sprintf("Nobody can log in with %[1]s any more: open sessions end, and mail for %[1]s is refused as unknown.", o.it))
}

// An owner is how what is removed is spoken of.
type owner struct{ it, they, its, in, maildrop string }

var (
	one     = owner{"it", "it", "its", "its maildrop", "Its maildrop is"}
	several = owner{"them", "they", "their", "their maildrops", "Their maildrops are"}
)

// What is said of several accounts.
const (
	OwnIsLeft     = "You are signed in with one of them, which is left as it is."
	DisablingMany = "They can’t log in or send from that moment on, open sessions end, and what they have in the queue is held. Everything is kept, and mail for them still arrives."
	EnablingMany  = "They can log in and send again, and what was held for them in the queue goes on."
	LeaveAccounts = "Leave them as they are"
	DeadAliases   = "Aliases that lead to them and will lead nowhere; change or remove them too: %s"
)

// ManyTitle asks whether to do something to n accounts.
func ManyTitle(kind string, n int64) string {
	return map[string]string{"remove": "Remove ", "disable": "Disable ", "enable": "Enable "}[kind] + Plural(n, "account", "accounts") + "?"
}

// RemovedAccount says what was removed.
func RemovedAccount(address string, messages int64) string {
	return fmt.Sprintf("%s was removed, with %s.", address, Plural(messages, "message", "messages"))
}
