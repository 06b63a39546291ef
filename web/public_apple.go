package web

import (
	"crypto/sha256"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"postroom/store"
	"postroom/store/zone"
	"postroom/web/phrase"
)

// profileKind is the Content-Type by which Apple's programs know a profile.
const profileKind = "application/x-apple-aspen-config"

// appleProfile is the profile for Apple's programs, for whom the query names. Its
// address must be in a domain of ours; whether there is such an account is not said.
func (p *pages) appleProfile(r *http.Request) (publication, error) {
	address, err := plainAddress(r.URL.Query().Get("emailaddress"))
	if err != nil {
		return publication{}, store.ErrNotFound
	}
	_, domain, _ := strings.Cut(address, "@")
	server, err := p.mailServer(r.Context(), domain)
	if err != nil {
		return publication{}, err
	}
	return newProfile(address, server)
}

// newProfile returns the configuration profile that sets up Mail on Apple's devices:
// POP3 to collect and SMTP to send, with the best way that each has. The password is
// not in it; the device asks for it. The profile is unsigned, and the device says so.
func newProfile(address string, s zone.Server) (publication, error) {
	incoming, outgoing, ok := best(s)
	if !ok {
		return publication{}, errNoPrograms
	}
	_, domain, _ := strings.Cut(address, "@")
	account := plist{
		{"EmailAccountType", "EmailTypePOP"},
		{"EmailAccountDescription", domain},
		{"EmailAddress", address},
		{"IncomingMailServerAuthentication", "EmailAuthPassword"},
		{"IncomingMailServerHostName", s.Hostname},
		{"IncomingMailServerPortNumber", incoming.Port},
		{"IncomingMailServerUseSSL", true},
		{"IncomingMailServerUsername", address},
		{"OutgoingMailServerAuthentication", "EmailAuthPassword"},
		{"OutgoingMailServerHostName", s.Hostname},
		{"OutgoingMailServerPortNumber", outgoing.Port},
		{"OutgoingMailServerUseSSL", true},
		{"OutgoingMailServerUsername", address},
		{"OutgoingPasswordSameAsIncomingPassword", true},
		{"PayloadType", "com.apple.mail.managed"},
		{"PayloadIdentifier", profileID(address, s) + ".mail"},
		{"PayloadUUID", stableUUID("mail", s.Hostname, address)},
		{"PayloadVersion", 1},
		{"PayloadDisplayName", "Mail of " + address},
	}
	profile := plist{
		{"PayloadContent", []plist{account}},
		{"PayloadDescription", fmt.Sprintf(phrase.AppleProfile, address)},
		{"PayloadDisplayName", "Mail of " + address},
		{"PayloadIdentifier", profileID(address, s)},
		{"PayloadOrganization", s.Hostname},
		{"PayloadRemovalDisallowed", false},
		{"PayloadType", "Configuration"},
		{"PayloadUUID", stableUUID("profile", s.Hostname, address)},
		{"PayloadVersion", 1},
	}
	text, err := profile.document()
	if err != nil {
		return publication{}, fmt.Errorf("write the profile: %w", err)
	}
	return publication{kind: profileKind, text: text, file: domain + ".mobileconfig"}, nil
}

// profileID names a profile: a device puts a later one of the same name in its place.
func profileID(address string, s zone.Server) string {
	return s.Hostname + "." + stableUUID("account", s.Hostname, address)
}

// stableUUID returns the same UUID for the same words each time (RFC 9562 section
// 5.8), so that a profile that is loaded again is known as the same.
func stableUUID(words ...string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(strings.Join(words, "\x00"))))
	sum[6] = sum[6]&0x0f | 0x80
	sum[8] = sum[8]&0x3f | 0x80
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16]))
}

// profileURL is where anybody gets the profile for an address.
func profileURL(address string) string {
	return "/apple.mobileconfig?emailaddress=" + url.QueryEscape(address)
}

// A plist is a dictionary of Apple's property lists, in order. Values are texts,
// integers, booleans and lists of dictionaries.
type plist []struct {
	key   string
	value any
}

const plistHead = xml.Header +
	`<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">` + "\n"

// document returns the whole file.
func (d plist) document() (string, error) {
	var b strings.Builder
	b.WriteString(plistHead + `<plist version="1.0">` + "\n")
	err := d.writeTo(&b)
	b.WriteString("</plist>\n")
	return b.String(), err
}

func (d plist) writeTo(b *strings.Builder) error {
	b.WriteString("<dict>\n")
	for _, entry := range d {
		if err := xmlElement(b, "key", entry.key); err != nil {
			return err
		}
		if err := writePlistValue(b, entry.value); err != nil {
			return err
		}
	}
	b.WriteString("</dict>\n")
	return nil
}

func writePlistValue(b *strings.Builder, value any) error {
	switch v := value.(type) {
	case string:
		return xmlElement(b, "string", v)
	case int:
		return xmlElement(b, "integer", fmt.Sprint(v))
	case bool:
		fmt.Fprintf(b, "<%t/>\n", v)
		return nil
	case []plist:
		b.WriteString("<array>\n")
		for _, d := range v {
			if err := d.writeTo(b); err != nil {
				return err
			}
		}
		b.WriteString("</array>\n")
		return nil
	}
	return fmt.Errorf("a property list can't hold a %T", value)
}

func xmlElement(b *strings.Builder, name, text string) error {
	b.WriteString("<" + name + ">")
	err := xml.EscapeText(b, []byte(text))
	b.WriteString("</" + name + ">\n")
	return err
}
