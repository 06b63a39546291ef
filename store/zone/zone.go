// Package zone knows what the DNS must say so that a domain's mail finds its way
// here, and others believe what is sent from here: the wanted records, what was
// found of them, and what to do about the difference. Judging is pure; Look asks.
package zone

import "net/netip"

// A Server is what is the same for all domains of this server.
type Server struct {
	Hostname string // lower case, A-labels, no final dot
	// Addresses are where it is reached, and Sending where mail leaves from if
	// nothing else is said for a domain. What is behind the translation of a router
	// doesn't know its own: then they are empty, and what the DNS says is believed.
	Addresses []netip.Addr
	Sending   []netip.Addr
	Own       []netip.Addr // others at which it is reached too, if its name leads there
	Ports     Ports
	Signs     bool   // what leaves is signed with DKIM
	STS       string // the mode of the MTA-STS policies: "testing", "enforce"; else there are none
	Relay     string // everything leaves through this host; empty: most is sent directly
}

// Ports are where services listen; 0: not at all.
type Ports struct{ SMTP, Submission, Submissions, POP3, POP3S, HTTP, HTTPS int }

// Facts are all that is to be known of a domain to say what its DNS must say.
type Facts struct {
	Server
	Domain  string // lower case, A-labels, no final dot
	Backup  bool   // its mail is only held for its own server
	Keys    []Key
	Sources []Source // addresses that the admin has chosen for mail of the domain
	// Certified are the names in the certificates of authorities that are shown here, and
	// Certificates says whether that is known.
	Certified    []string
	Certificates bool
	// AllChosen: all of the domain's mail leaves from Sources, none from Server.Sending.
	AllChosen bool
}

// A Source is an address that mail leaves from.
type Source struct {
	IP   netip.Addr
	Name string // in EHLO; empty: the server's
}

// A Key is the public half of a DKIM key, as its record has it.
type Key struct {
	Name  string // of the record
	Value string
	State KeyState
}

// A KeyState says how much a key's record matters.
type KeyState uint8

// The states of keys.
const (
	KeySigns   KeyState = iota // mail is signed with it
	KeyNext                    // it will be, once its record is seen
	KeyRetired                 // it was; the record is needed for mail that is on its way
)

// A Report says how a domain's DNS stands.
type Report struct {
	Domain   string `json:"domain"`
	Backup   bool   `json:"backup,omitempty"`
	Hostname string `json:"hostname"` // the server's
	// OK: everything that is required is there, Right or Fine.
	OK bool `json:"ok"`
	// NotAsked says why the DNS wasn't asked at all, "not asked in local mode"; all is
	// Unknown then.
	NotAsked string   `json:"not_asked,omitempty"`
	Records  []Record `json:"records"` // by purpose
}

// A Record is one that the DNS should have.
type Record struct {
	Purpose Purpose `json:"purpose"`
	Name    string  `json:"name"` // without a final dot
	Type    string  `json:"type"` // "MX", "TXT", "A", "AAAA", "CNAME", "SRV", "PTR"
	// Value is what it should say, as in a zone file (names in it with a final dot),
	// but text in one piece and without quotes. Where what is there will do, it is that.
	// Empty: it can't be known here.
	Value string   `json:"value"`
	Found []string `json:"found"` // what is there, written like Value
	State State    `json:"state"`
	Level Level    `json:"level"`
	Why   string   `json:"why"`          // what it is for, one sentence
	Do    string   `json:"do,omitempty"` // what is wrong with what was found and what to do, or what to know about it
	// Outside: the name is not in the domain, so the record is set by whoever looks
	// after that name; for a PTR that is whoever gave out the address.
	Outside bool `json:"outside,omitempty"`
}

// A Purpose says what a record is part of.
type Purpose string

// The purposes, in the order of a report.
const (
	MX         Purpose = "mx"         // mail for the domain comes here
	Host       Purpose = "host"       // the server's own name
	SPF        Purpose = "spf"        // RFC 7208
	DKIM       Purpose = "dkim"       // RFC 6376
	DMARC      Purpose = "dmarc"      // RFC 9989
	Reverse    Purpose = "reverse"    // the names of addresses that mail leaves from
	MTASTS     Purpose = "mta-sts"    // RFC 8461
	TLSRPT     Purpose = "tlsrpt"     // RFC 8460
	Autoconfig Purpose = "autoconfig" // Thunderbird, Outlook and others
	Services   Purpose = "services"   // SRV records: RFC 6186, RFC 8314, and Outlook's
)

// A State says how what was found stands to what is wanted.
type State string

// The states.
const (
	Right   State = "right"
	Fine    State = "fine"    // not what we would say, but it will do: Do says what is different
	Missing State = "missing" // the DNS says that there is none
	Wrong   State = "wrong"
	Unknown State = "unknown" // the DNS couldn't be asked; Do says why
)

// A Level says how much a record matters.
type Level string

// The levels.
const (
	Required    Level = "required"    // without it mail gets lost or is refused
	Recommended Level = "recommended" // with it mail is safer
	Optional    Level = "optional"    // with it people have less to type
)
