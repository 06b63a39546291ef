package web

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"postroom/store"
	"postroom/store/admin"
	"postroom/web/phrase"
)

// A senderPage offers to block or allow who sent a message: as an address, a
// domain or a server.
type senderPage struct {
	ID, URL string
	Allow   bool
	Senders []senderChoice
	Form    accessForm
}

// A senderChoice is one way to say who sent a message.
type senderChoice struct {
	What, Text string
	Chosen     bool
}

// showSender shows the form; what it sends is taken by addAccess.
func (p *pages) showSender(v *visit) error {
	trail, err := p.trail(v, v.r.PathValue("id"))
	if err != nil {
		return err
	}
	action := "block"
	if v.r.URL.Query().Get("action") == "allow" {
		action = "allow"
	}
	page := senderPage{
		ID: trail.ID.String(), URL: messageURL(trail.ID.String()), Allow: action == "allow", Senders: sendersOf(trail, action),
		Form: accessForm{admin.AddAccess{Action: action, Note: "message " + trail.ID.String()}, spans("")},
	}
	if len(page.Senders) == 0 {
		return errNoPage
	}
	title := "Block the sender"
	if page.Allow {
		title = "Allow the sender"
	}
	return v.show("sender", title, page)
}

// sendersOf lists who may be meant by the sender of a message of a stranger. A
// name is easily forged: to let somebody in, the client's address comes first.
func sendersOf(t store.Trail, action string) []senderChoice {
	from := strangerOf(t)
	if from == nil {
		return nil
	}
	var choices []senderChoice
	if at := strings.LastIndexByte(t.From, '@'); at > 0 {
		domain := t.From[at+1:]
		choices = append(choices,
			senderChoice{What: t.From, Text: phrase.AddressAlone},
			senderChoice{What: domain, Text: fmt.Sprintf(phrase.DomainAndBelow, domain)})
	}
	if ip, err := netip.ParseAddr(from.Client); err == nil {
		text := phrase.ServerItself
		if from.Helo != "" {
			text = fmt.Sprintf(phrase.ServerNamed, from.Helo)
		}
		choices = append(choices, senderChoice{What: ip.Unmap().String(), Text: text})
	}
	if action == "allow" {
		slices.Reverse(choices)
	}
	if len(choices) > 0 {
		choices[0].Chosen = true
	}
	return choices
}

// strangerOf returns the event by which a message of somebody else came to us or
// was refused, nil if it is one of ours.
func strangerOf(t store.Trail) *store.Event {
	for i, e := range t.Events {
		if e.Kind != store.Accepted && e.Kind != store.Rejected {
			continue
		}
		if e.Account == "" && e.Client != "" && e.Report == nil {
			return &t.Events[i]
		}
		return nil
	}
	return nil
}

// senderLinks lead from a message to what can be done about its sender.
func senderLinks(t store.Trail) []link {
	e := strangerOf(t)
	if e == nil {
		return nil
	}
	page := messageURL(t.ID.String()) + "/sender?action="
	check := url.Values{"ip": {e.Client}, "helo": {e.Helo}, "from": {t.From}}
	again := link{Text: phrase.CheckAgain, URL: "/check?" + check.Encode()}
	if len(sendersOf(t, "block")) == 0 { // neither an address nor a server to name
		return []link{again}
	}
	return []link{
		{Text: phrase.BlockSender, URL: page + "block"},
		{Text: phrase.AllowSender, URL: page + "allow"},
		again,
	}
}
