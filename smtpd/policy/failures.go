package policy

import "postroom/store/mail"

// A Trouble is how the DNS can fail to say what a check asks for.
type Trouble string

// The kinds of trouble.
const (
	NoDomain Trouble = "NXDOMAIN" // the name doesn't exist: an answer like any other
	ServFail Trouble = "SERVFAIL" // no server knows
	Timeout  Trouble = "timeout"  // no server answers
	Garbage  Trouble = "garbage"  // what comes back can't be understood
)

// A Failure says what becomes of a message when the DNS fails a check.
type Failure struct {
	Check   string // as the configuration names it, with its mode
	Trouble Trouble
	Result  string      // the check's own word; empty: it says nothing
	Answer  mail.Status // the zero Status: the message is taken, as far as this check goes
}

// Answers to mail of which it can't be told at the moment whom it is from (RFC 7372,
// RFC 3463).
var (
	statusSPFTrouble = mail.Status{Code: 451, Enhanced: [3]int{4, 7, 24}, Text: "SPF of the sender's domain can't be looked up at the moment, please try again later"}
	statusDNSTrouble = mail.Status{Code: 451, Enhanced: [3]int{4, 4, 3}, Text: "DMARC of the author's domain can't be looked up at the moment, please try again later"}
	statusUndecided  = mail.Status{Code: 451, Enhanced: [3]int{4, 7, 24}, Text: "What proves that this is from its author can't be looked up at the moment, please try again later"}
)

// Failures is the whole table. Trouble with the DNS is temporary: where the owner
// of a domain may want a message refused it has to come again, and is never taken
// unchecked. Blocklists never stop mail by failing, and what only marks never stops
// it at all. "dmarc" fails by its own record; "dmarc by spf" and "dmarc by dkim" by
// what would have proven the author of a domain whose policy is to refuse.
func Failures() []Failure {
	var none mail.Status
	return []Failure{
		{"blocklists", NoDomain, "", none},
		{"blocklists", ServFail, "", none},
		{"blocklists", Timeout, "", none},
		{"blocklists", Garbage, "", none},

		{"spf=mark", NoDomain, "none", none},
		{"spf=mark", ServFail, "temperror", none},
		{"spf=mark", Timeout, "temperror", none},
		{"spf=mark", Garbage, "temperror", none},

		{"spf=enforce", NoDomain, "none", none},
		{"spf=enforce", ServFail, "temperror", statusSPFTrouble},
		{"spf=enforce", Timeout, "temperror", statusSPFTrouble},
		{"spf=enforce", Garbage, "temperror", statusSPFTrouble},

		{"own_domains", NoDomain, "none", statusOwnDomain},
		{"own_domains", ServFail, "temperror", statusSPFTrouble},
		{"own_domains", Timeout, "temperror", statusSPFTrouble},
		{"own_domains", Garbage, "temperror", statusSPFTrouble},

		{"dkim=mark", NoDomain, "permerror", none},
		{"dkim=mark", ServFail, "temperror", none},
		{"dkim=mark", Timeout, "temperror", none},
		{"dkim=mark", Garbage, "temperror", none},

		{"dmarc=mark", NoDomain, "none", none},
		{"dmarc=mark", ServFail, "temperror", none},
		{"dmarc=mark", Timeout, "temperror", none},
		{"dmarc=mark", Garbage, "temperror", none},

		{"dmarc=enforce", NoDomain, "none", none},
		{"dmarc=enforce", ServFail, "temperror", statusDNSTrouble},
		{"dmarc=enforce", Timeout, "temperror", statusDNSTrouble},
		{"dmarc=enforce", Garbage, "temperror", statusDNSTrouble},

		{"dmarc by spf", ServFail, "temperror", statusUndecided},
		{"dmarc by spf", Timeout, "temperror", statusUndecided},
		{"dmarc by spf", Garbage, "temperror", statusUndecided},

		{"dmarc by dkim", ServFail, "temperror", statusUndecided},
		{"dmarc by dkim", Timeout, "temperror", statusUndecided},
		{"dmarc by dkim", Garbage, "temperror", statusUndecided},
	}
}
