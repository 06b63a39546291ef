package phrase

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// A Change is what an entry of the journal says.
type Change struct {
	Who, Via        string
	Action, Subject string
	Before, After   []byte // JSON objects; nothing: there was, or is, nothing
	Recipients      int64  // of the queue
	Undoes          int64
}

// A Value is something that an entry names, before and after, in words; empty:
// there is none.
type Value struct {
	Name, Before, After string
}

// Differs reports whether the change is about it.
func (v Value) Differs() bool { return v.Before != v.After }

// Actor names who changed something.
func (c Change) Actor() string {
	switch {
	case c.Who != "":
		return c.Who
	case c.Via == "web":
		return "Somebody who had not signed in"
	case c.Via == "server":
		return "The server"
	}
	return "Somebody"
}

// Sentence says who changed what, without a full stop.
func (c Change) Sentence() string {
	text := c.Actor() + " " + c.did()
	if c.Undoes != 0 {
		text += fmt.Sprintf(", which undid entry %d", c.Undoes)
	}
	return text
}

// did says what was changed.
func (c Change) did() string {
	if say, ok := changeWords[c.Action]; ok {
		return say(told{c, valuesOf(c.Before), valuesOf(c.After)})
	}
	kind, verb, _ := strings.Cut(c.Action, ".")
	done, ok := verbs[verb]
	if !ok {
		done = verb + " of"
	}
	return strings.TrimSpace(done + " the " + strings.ReplaceAll(kind, "-", " ") + " " + c.Subject)
}

var verbs = map[string]string{
	"add": "added", "change": "changed", "remove": "removed", "set": "set", "start": "started", "stop": "stopped",
	"end": "ended", "enable": "enabled", "disable": "disabled", "make": "made", "renew": "renewed",
	"on": "turned on", "off": "turned off", "begin": "began",
}

// told is a Change with its values at hand.
type told struct {
	Change
	before, after values
}

// one returns a value from after the change, or else from before it.
func (t told) one(name string) string {
	if text := t.after.get(name); text != "" {
		return text
	}
	return t.before.get(name)
}

// differences says what has changed: "quota 1 GB → 2 GB".
func (t told) differences() string {
	var parts []string
	for _, v := range t.Values() {
		if v.Differs() {
			parts = append(parts, v.Name+" "+orNothing(v.Before)+" → "+orNothing(v.After))
		}
	}
	return strings.Join(parts, ", ")
}

func orNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}

// changeWords says what each action does.
var changeWords = map[string]func(told) string{
	"account.add":    func(t told) string { return "added the account " + t.Subject },
	"account.change": func(t told) string { return "changed the account " + t.Subject + ": " + t.differences() },
	"account.disable": func(t told) string {
		if t.after.get("status") == "refusing" {
			return "disabled the account " + t.Subject + ", and refuses mail for it"
		}
		return "disabled the account " + t.Subject
	},
	"account.enable": func(t told) string { return "enabled the account " + t.Subject },
	"account.forward": func(t told) string {
		switch {
		case t.after == nil:
			return "stopped forwarding mail for " + t.Subject
		case t.after.get("keep") == "yes":
			return "forwarded mail for " + t.Subject + " to " + t.after.get("targets") + ", with a copy kept"
		}
		return "forwarded mail for " + t.Subject + " to " + t.after.get("targets") + ", with no copy kept"
	},
	"account.vacation": func(t told) string {
		switch {
		case t.after.get("on") != "yes":
			return "turned off the vacation notice of " + t.Subject
		case t.before.get("on") == "yes":
			return "changed the vacation notice of " + t.Subject
		}
		return "turned on the vacation notice of " + t.Subject
	},
	"account.password":    func(t told) string { return "set a new password for " + t.Subject },
	"account.remove":      func(t told) string { return "removed the account " + t.Subject },
	"app-password.add":    func(t told) string { return "made the app password “" + t.one("name") + "” for " + t.Subject },
	"app-password.remove": func(t told) string { return "removed the app password “" + t.one("name") + "” of " + t.Subject },
	"alias.add":           func(t told) string { return "added the alias " + t.Subject + " → " + t.one("targets") },
	"alias.change": func(t told) string {
		return "changed the alias " + t.Subject + " from " + t.before.get("targets") + " to " + t.after.get("targets")
	},
	"alias.remove":  func(t told) string { return "removed the alias " + t.Subject + " → " + t.one("targets") },
	"backup.take":   func(t told) string { return "made the backup " + t.Subject },
	"device.add":    func(t told) string { return "let the device " + t.Subject + " send as " + t.one("account") },
	"device.change": func(t told) string { return "let the device " + t.Subject + " send as " + t.one("account") },
	"device.remove": func(t told) string {
		return "removed the device " + t.Subject + ", which sent as " + t.one("account")
	},
	"destination.pause":  func(t told) string { return "paused mail for " + t.Subject },
	"destination.resume": func(t told) string { return "let mail for " + t.Subject + " go on" },
	"dkim.make":          func(t told) string { return "made DKIM keys for " + t.Subject + ": " + t.one("selectors") },
	"dkim.remove":        func(t told) string { return "removed the DKIM key " + t.one("selectors") + " of " + t.Subject },
	"dkim.rotate": func(t told) string {
		if t.one("state") == "signs" {
			return "began to sign for " + t.Subject + " with new DKIM keys: " + t.one("selectors")
		}
		return "made new DKIM keys for " + t.Subject + ", which wait for the DNS: " + t.one("selectors")
	},
	"dkim.start": func(t told) string {
		return "found the record of the DKIM key " + t.one("selectors") + " and signs for " + t.Subject + " with it"
	},
	"domain.add": func(t told) string {
		if t.one("backup") == "yes" {
			return "added the backup domain " + t.Subject
		}
		return "added the domain " + t.Subject
	},
	"domain.recipients": func(t told) string {
		if t.after.get("any") == "yes" {
			return "let mail for every address of " + t.Subject + " be taken"
		}
		return "changed the list of " + t.Subject + "’s recipients: " + t.before.get("count") + " → " + t.after.get("count")
	},
	"domain.remove": func(t told) string { return "removed the domain " + t.Subject },
	"limit.set":     func(t told) string { return "changed the limits of " + t.Subject + ": " + t.differences() },
	"list.allow":    func(t told) string { return "allowed " + t.Subject + t.noted() },
	"list.block":    func(t told) string { return "blocked " + t.Subject + t.noted() },
	"list.change": func(t told) string {
		return "changed the entry for " + t.Subject + " in the " + t.one("list") + " list: " + t.differences()
	},
	"list.remove":     func(t told) string { return "took " + t.Subject + " off the " + t.one("list") + " list" },
	"login.forgive":   func(t told) string { return "let " + t.Subject + " log in again" },
	"queue.cancel":    func(t told) string { return "cancelled " + t.mail() },
	"queue.hold":      func(t told) string { return "held " + t.mail() },
	"queue.release":   func(t told) string { return "released " + t.mail() },
	"queue.retry":     func(t told) string { return "had " + t.mail() + " tried again" },
	"queue.return":    func(t told) string { return "returned " + t.mail() + " to its senders" },
	"route.add":       func(t told) string { return "added a route for " + t.Subject + " to " + t.one("host") },
	"route.change":    func(t told) string { return "changed the route for " + t.Subject + ": " + t.differences() },
	"route.remove":    func(t told) string { return "removed the route for " + t.Subject + " to " + t.one("host") },
	"sender.add":      func(t told) string { return "let " + t.Subject + " send as " + t.one("sender") + " too" },
	"sender.remove":   func(t told) string { return "keeps " + t.Subject + " from sending as " + t.one("sender") },
	"setup.admin":     func(t told) string { return "became the first administrator, " + t.Subject },
	"setup.step":      func(t told) string { return "went on in the guide: step “" + t.Subject + "” " + t.one("mark") },
	"session.end":     func(t told) string { return "signed " + t.Subject + " out of a browser" },
	"session.end-all": func(t told) string { return "signed " + t.Subject + " out of " + t.one("sessions") + " browsers" },
	"two-factor.codes": func(t told) string {
		return "made new recovery codes for " + t.Subject
	},
	"two-factor.off": func(t told) string { return "turned off the second factor of " + t.Subject },
	"two-factor.on":  func(t told) string { return "turned on a second factor for " + t.Subject },
	"source.add": func(t told) string {
		return "added " + t.Subject + " to the addresses that mail leaves from" + t.whose()
	},
	"source.change": func(t told) string {
		return "changed the address " + t.Subject + " that mail leaves from" + t.whose() + ": " + t.differences()
	},
	"source.remove": func(t told) string {
		return "removed " + t.Subject + " from the addresses that mail leaves from" + t.whose()
	},
}

func (t told) noted() string {
	if note := t.after.get("note"); note != "" {
		return " (" + note + ")"
	}
	return ""
}

func (t told) whose() string {
	if whose := t.one("for"); whose != "" {
		return " for " + whose
	}
	return ""
}

func (t told) mail() string {
	return Plural(t.Recipients, "recipient", "recipients") + " in the queue (" + t.Subject + ")"
}

// ChangeKinds are the kinds of changes by the first word of their action, for
// choosing.
var ChangeKinds = [][2]string{
	{"account", "accounts"},
	{"app-password", "app passwords"},
	{"alias", "aliases"},
	{"backup", "backups"},
	{"list", "block and allow"},
	{"login", "blocked logins"},
	{"destination", "destinations"},
	{"device", "devices"},
	{"dkim", "DKIM keys"},
	{"domain", "domains"},
	{"limit", "limits"},
	{"queue", "the queue"},
	{"route", "routes"},
	{"sender", "sending as somebody else"},
	{"session", "sessions"},
	{"setup", "setting up"},
	{"source", "source addresses"},
	{"two-factor", "second factors"},
}

// Values returns what the entry names, in the order in which it does.
func (c Change) Values() []Value {
	before, after := valuesOf(c.Before), valuesOf(c.After)
	var list []Value
	for _, side := range []values{after, before} {
		for _, v := range side {
			name := words(v.name)
			if !hasValue(list, name) {
				list = append(list, Value{name, before.get(v.name), after.get(v.name)})
			}
		}
	}
	return list
}

func hasValue(list []Value, name string) bool {
	for _, v := range list {
		if v.Name == name {
			return true
		}
	}
	return false
}

func words(name string) string { return strings.ReplaceAll(name, "_", " ") }

// values are the fields of a JSON object in order, as texts.
type values []struct{ name, text string }

func (all values) get(name string) string {
	for _, v := range all {
		if v.name == name {
			return v.text
		}
	}
	return ""
}

// valuesOf reads a JSON object. What can't be read has no values.
func valuesOf(object []byte) (all values) {
	d := json.NewDecoder(bytes.NewReader(object))
	d.UseNumber()
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil
	}
	for d.More() {
		key, err := d.Token()
		name, ok := key.(string)
		if err != nil || !ok {
			return all
		}
		var v any
		if err := d.Decode(&v); err != nil {
			return all
		}
		all = append(all, struct{ name, text string }{name, valueText(name, v)})
	}
	return all
}

func valueText(name string, v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case json.Number:
		return numberText(name, v)
	case string:
		if at, err := time.Parse(time.RFC3339, v); err == nil {
			return at.Format("2006-01-02 15:04 MST")
		}
		return v
	case []any:
		var parts []string
		for _, part := range v {
			parts = append(parts, valueText(name, part))
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		text, _ := json.Marshal(v) // was read from JSON
		return string(text)
	}
	return ""
}

func numberText(name string, v json.Number) string {
	n, err := v.Int64()
	switch {
	case err != nil:
		return v.String()
	case name == "quota" && n == 0:
		return "none"
	case name == "quota" || name == "octets":
		return Octets(n)
	}
	return Number(n)
}

// An Undo is what taking an entry back does.
type Undo struct {
	Change     Change
	Now, Then  []byte // JSON objects; nothing: there is, or will be, nothing
	Recipients int64
}

// Does introduces what is changed back.
func (u Undo) Does() string {
	switch {
	case u.Change.Action == "queue.hold":
		return "To undo it, " + Plural(u.Recipients, "recipient is", "recipients are") + " released and sent."
	case u.Change.Action == "queue.release":
		return "To undo it, what is left of it is held again: " + Plural(u.Recipients, "recipient", "recipients") + "."
	case len(u.Then) == 0:
		return "To undo it, " + u.Change.Subject + " is removed again:"
	case len(u.Now) == 0:
		return "To undo it, " + u.Change.Subject + " is brought back:"
	}
	return "To undo it, this is changed back:"
}

// Items are the values that are changed back.
func (u Undo) Items() []string {
	if strings.HasPrefix(u.Change.Action, "queue.") {
		return nil
	}
	var items []string
	for _, v := range (Change{Before: u.Now, After: u.Then}).Values() {
		switch {
		case len(u.Then) == 0:
			items = append(items, v.Name+": "+orNothing(v.Before))
		case len(u.Now) == 0:
			items = append(items, v.Name+": "+orNothing(v.After))
		case v.Differs():
			items = append(items, v.Name+": "+orNothing(v.Before)+" → "+orNothing(v.After))
		}
	}
	return items
}

// What is said where a change is taken back.
const (
	UndoTitle   = "Undo this change?"
	LeaveAsItIs = "Leave it as it is"
	NotUndone   = "That didn’t work"
)

// Undone says that a change was taken back, by the entry that this left.
func Undone(entry Change) string { return "It is undone: " + entry.Sentence() + "." }
