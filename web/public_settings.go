package web

import (
	"encoding/xml"

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
	add := func(list *[]mailServer, kind string, port int, socket string) {
		if port != 0 {
			*list = append(*list, mailServer{kind, s.Hostname, port, socket, "%EMAILADDRESS%", "password-cleartext"})
		}
	}
	add(&p.Incoming, "pop3", s.Ports.POP3S, "SSL")
	add(&p.Incoming, "pop3", s.Ports.POP3, "STARTTLS")
	add(&p.Outgoing, "smtp", s.Ports.Submissions, "SSL")
	add(&p.Outgoing, "smtp", s.Ports.Submission, "STARTTLS")
	return settings{Version: "1.1", Provider: p}
}
