package web

import (
	"encoding/xml"
	"slices"

	"postroom/store/zone"
)

// settings are what a mail program needs to know, in the form that Thunderbird made
// and others read.
type settings struct {
	XMLName  xml.Name `xml:"clientConfig"`
	Version  string   `xml:"version,attr"`
	Provider provider `xml:"emailProvider"`
}

type provider struct {
	ID        string       `xml:"id,attr"`
	Domain    string       `xml:"domain"`
	Name      string       `xml:"displayName"`
	ShortName string       `xml:"displayShortName"`
	Incoming  []mailServer `xml:"incomingServer"`
	Outgoing  []mailServer `xml:"outgoingServer"`
}

// A mailServer is one way to collect or to send; the best stands first.
type mailServer struct {
	Type     string `xml:"type,attr"`
	Host     string `xml:"hostname"`
	Port     int    `xml:"port"`
	Socket   string `xml:"socketType"` // SSL, STARTTLS
	User     string `xml:"username"`   // the program fills in the address
	Password string `xml:"authentication"`
}

// newSettings returns the settings of a domain's users.
func newSettings(domain string, s zone.Server) settings {
	p := provider{ID: domain, Domain: domain, Name: domain, ShortName: domain}
	for _, w := range ways(s) {
		server := mailServer{"pop3", s.Hostname, w.Port, "SSL", "%EMAILADDRESS%", "password-cleartext"}
		if w.StartTLS {
			server.Socket = "STARTTLS"
		}
		if w.Sends {
			server.Type = "smtp"
			p.Outgoing = append(p.Outgoing, server)
		} else {
			p.Incoming = append(p.Incoming, server)
		}
	}
	return settings{Version: "1.1", Provider: p}
}

// A way is one that a mail program can take to us.
type way struct {
	Sends    bool // it sends; otherwise it collects
	StartTLS bool // TLS begins after STARTTLS or STLS; otherwise with the first byte
	Port     int
}

// ways returns the ways that there are: to collect, then to send, the best of each
// first (RFC 8314 section 3).
func ways(s zone.Server) []way {
	list := []way{
		{Port: s.Ports.POP3S},
		{Port: s.Ports.POP3, StartTLS: true},
		{Port: s.Ports.Submissions, Sends: true},
		{Port: s.Ports.Submission, Sends: true, StartTLS: true},
	}
	return slices.DeleteFunc(list, func(w way) bool { return w.Port == 0 })
}

// best returns the best way to collect and the best to send; ok is false if one of
// them is missing.
func best(s zone.Server) (collect, send way, ok bool) {
	list := ways(s)
	in := slices.IndexFunc(list, func(w way) bool { return !w.Sends })
	out := slices.IndexFunc(list, func(w way) bool { return w.Sends })
	if in < 0 || out < 0 {
		return way{}, way{}, false
	}
	return list[in], list[out], true
}
