package web

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	netmail "net/mail"
	"strings"

	"postroom/store/zone"
	"postroom/web/phrase"
)

// Namespaces of Outlook's autodiscover, in the form that has no Exchange server
// behind it ([MS-OXDSCLI] calls it POX).
const (
	outlookRequest  = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
	outlookAnswer   = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
	outlookSettings = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
)

// maxOutlookRequest bounds what is read of a request, in octets: there is an address
// in it, and nothing else that matters.
const maxOutlookRequest = 8 << 10

// autodiscover answers Outlook, which posts the address of whom it is set up for.
// Whether there is such an account is not said.
func (p *pages) autodiscover(r *http.Request) (publication, error) {
	address, err := outlookAddress(r)
	if err != nil {
		return outlookRefusal()
	}
	_, domain, _ := strings.Cut(address, "@")
	server, err := p.mailServer(r.Context(), domain)
	if err != nil {
		return publication{}, err
	}
	return outlookPublication(outlookDocument{Response: newOutlookAccount(address, server)})
}

// errNotOutlook says that a request names no address.
var errNotOutlook = errors.New("not a request for mail settings")

// outlookAddress reads the address of a request, its domain in lower case.
func outlookAddress(r *http.Request) (string, error) {
	if r.Method != http.MethodPost {
		return "", errNotOutlook
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxOutlookRequest+1))
	if err != nil || len(body) > maxOutlookRequest {
		return "", errNotOutlook
	}
	return parseOutlook(body)
}

// parseOutlook reads a request's document. An address is one of the plainest kind:
// there is no need to guess what a program meant by another.
func parseOutlook(body []byte) (string, error) {
	var asked struct {
		XMLName xml.Name
		Request struct {
			Address string `xml:"EMailAddress"`
			Schema  string `xml:"AcceptableResponseSchema"`
		}
	}
	if err := xml.Unmarshal(body, &asked); err != nil {
		return "", errNotOutlook
	}
	want := xml.Name{Space: outlookRequest, Local: "Autodiscover"}
	if asked.XMLName != want || asked.Request.Schema != "" && asked.Request.Schema != outlookSettings {
		return "", errNotOutlook
	}
	return plainAddress(asked.Request.Address)
}

// maxAddress is how long an address may be (RFC 5321 section 4.5.3.1.3), in octets.
const maxAddress = 254

// plainAddress reads an address that needs no quoting, its domain in lower case.
func plainAddress(text string) (string, error) {
	text = strings.TrimSpace(text)
	a, err := netmail.ParseAddress(text)
	if err != nil || a.Address != text || len(text) > maxAddress || strings.Count(text, "@") != 1 || strings.ContainsAny(text, "\"<>() \t\r\n") {
		return "", errNotOutlook
	}
	local, domain, _ := strings.Cut(text, "@")
	return local + "@" + strings.ToLower(domain), nil
}

// An outlookDocument is an answer to Outlook.
type outlookDocument struct {
	XMLName  xml.Name `xml:"http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006 Autodiscover"`
	Response any      // an outlookAccount or an outlookError
}

type outlookAccount struct {
	XMLName xml.Name `xml:"http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a Response"`
	Account struct {
		Type      string            `xml:"AccountType"`
		Action    string            `xml:"Action"`
		Protocols []outlookProtocol `xml:"Protocol"`
	}
}

// An outlookProtocol is one way to collect or to send; the best stands first.
type outlookProtocol struct {
	Type           string
	Server         string
	Port           int
	LoginName      string
	DomainRequired string
	SPA            string // Windows' own login
	SSL            string
	Encryption     string // more exact than SSL: SSL from the first byte, TLS after STARTTLS
	AuthRequired   string
	UsePOPAuth     string `xml:",omitempty"`
	SMTPLast       string `xml:",omitempty"`
}

type outlookError struct {
	XMLName xml.Name `xml:"http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006 Response"`
	Error   struct {
		Code    int    `xml:"ErrorCode"`
		Message string `xml:"Message"`
		Debug   string `xml:"DebugData"`
	}
}

func newOutlookAccount(address string, s zone.Server) outlookAccount {
	var answer outlookAccount
	answer.Account.Type, answer.Account.Action = "email", "settings"
	for _, way := range ways(s) {
		p := outlookProtocol{
			Type: "POP3", Server: s.Hostname, Port: way.Port, LoginName: address,
			DomainRequired: "off", SPA: "off", SSL: "on", Encryption: "SSL", AuthRequired: "on",
		}
		if way.Sends {
			p.Type, p.UsePOPAuth, p.SMTPLast = "SMTP", "on", "off"
		}
		if way.StartTLS {
			p.Encryption = "TLS"
		}
		answer.Account.Protocols = append(answer.Account.Protocols, p)
	}
	return answer
}

// outlookRefusal answers what isn't a request: a person's browser, too.
func outlookRefusal() (publication, error) {
	var refusal outlookError
	refusal.Error.Code = 600
	refusal.Error.Message = phrase.OutlookAsks
	return outlookPublication(outlookDocument{Response: refusal})
}

func outlookPublication(d outlookDocument) (publication, error) {
	text, err := xml.MarshalIndent(d, "", "  ")
	if err != nil {
		return publication{}, fmt.Errorf("write the answer to Outlook: %w", err)
	}
	return publication{kind: "text/xml; charset=utf-8", text: xml.Header + string(text) + "\n"}, nil
}
