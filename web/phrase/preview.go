package phrase

// PreviewTitle is the title of the page that tells the way of a mail before it is sent.
const PreviewTitle = "What would happen?"

// Fate is what a mail that is asked about would come to.
type Fate struct {
	Taken, Later bool // else it is refused
	Spam         bool
	Maildrops    int
	Remote       int
	Held         bool // all that leaves is held for better servers
	Stuck        bool // something of what leaves would come back or wait
}

// Preview says what would happen to a mail.
func (f Fate) Preview() string {
	switch {
	case f.Taken:
		return "It would be taken" + f.where() + "."
	case f.Later:
		return "It would be put off: whoever sends it would have to try again later."
	}
	return "It would be refused."
}

func (f Fate) where() string {
	text := ""
	if f.Spam {
		text = ", and marked as spam"
	}
	if f.Maildrops > 0 {
		text += ", and lie in " + Plural(int64(f.Maildrops), "maildrop", "maildrops") + " at once"
	}
	switch {
	case f.Remote == 0:
	case f.Stuck:
		text += ", but not get far on its way out"
	case f.Held:
		text += ", and be held for the domain’s own server"
	case f.Remote == 1:
		text += ", and leave for another server"
	default:
		text += ", and leave for " + Plural(int64(f.Remote), "address", "addresses") + " elsewhere"
	}
	return text
}

// Refuser says which command of the client a refusal would answer.
func Refuser(step string) string {
	switch step {
	case "connect", "hello":
		return "before anything was said of a mail"
	case "login":
		return "when it logs in"
	case "sender":
		return "as soon as it names the sender"
	case "recipient":
		return "when it names the recipient"
	}
	return "once the message has come"
}

// Sent says who sends a mail.
func Sent(account, device string) string {
	switch {
	case account == "":
		return "Another server brings it"
	case device != "":
		return "The device at " + device + " sends it, as " + account
	}
	return account + " sends it"
}

// Right says whether somebody may send as an address, and why.
func Right(may bool, kind string, tagged bool) string {
	switch {
	case !may:
		return "It may not send as that: it is neither its address, nor an alias that leads to it, nor one that you let it send as."
	case kind == "alias":
		return "It may send as that, because the alias leads to it."
	case kind == "role":
		return "It may send as that, because it reads that address’s mail."
	case kind == "granted":
		return "It may send as that, because you let it."
	case tagged:
		return "It may send as that: it is its own address, with a tag."
	}
	return "It may send as that: it is its own address."
}

// Hop says what an address was found to be. What it leads to follows the sentence.
func Hop(kind string, keeps bool) string {
	switch kind {
	case "account":
		return "is the account"
	case "refuses":
		return "is an account that takes no mail:"
	case "alias":
		return "is an alias for"
	case "catch_all":
		return "has no address of its own and is caught by the catch-all, which leads to"
	case "forward":
		if keeps {
			return "keeps a copy and sends its mail on to"
		}
		return "sends its mail on to"
	case "role":
		return "always arrives, and is read by"
	case "backup":
		return "is of a domain whose mail is held for its own server"
	case "remote":
		return "is at another server"
	case "loop":
		return "was passed before, so it leads nowhere new"
	case "deep":
		return "is the end of a chain that is too long"
	case "granted":
		return "is an address that you let it send as:"
	}
	return "is nobody’s"
}

// Protection says how a connection would be protected.
func Protection(tls, why string) string {
	text := map[string]string{
		"none":   "never with TLS",
		"may":    "TLS if the server offers it, whatever its certificate",
		"must":   "over TLS or not at all",
		"verify": "over TLS with a good certificate, or not at all",
	}[tls]
	if why != "" {
		text += " (" + why + ")"
	}
	return text
}
