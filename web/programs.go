package web

import (
	"net/url"
	"strings"

	"postroom/store/admin"
	"postroom/store/zone"
	"postroom/web/phrase"
)

// A programsPage says how to set up a mail program for an account.
type programsPage struct {
	Back     link
	Title    string
	Programs programs
	Action   string // where the form for an app password goes; empty: there is none
	TestURL  string // where a test mail is sent; empty for who may not
	Secret   *secret
	Name     string // of an app password, as it was typed
	Mistake  string
}

// programs are the settings of one account's mail programs.
type programs struct {
	Address, Hostname string
	Ways              []programWay
	ProfileURL        string // empty: mail programs can't both collect and send
}

// A programWay is one way to collect or to send as a person copies it.
type programWay struct {
	Title, Server string
	Port          int
	Security      string
	Best          bool
}

// programsOf reads the settings out of the configuration that is in use. It fails with
// store.ErrNotFound if the address is in no domain of ours.
func (p *pages) programsOf(v *visit, address string) (programs, error) {
	_, domain, _ := strings.Cut(address, "@")
	server, err := p.mailServer(v.r.Context(), domain)
	if err != nil {
		return programs{}, err
	}
	list := programs{Address: address, Hostname: server.Hostname, Ways: programWays(server)}
	_, err = plainAddress(address)
	if _, _, ok := best(server); ok && err == nil {
		list.ProfileURL = profileURL(address)
	}
	return list, nil
}

func programWays(s zone.Server) []programWay {
	var list []programWay
	seen := make(map[bool]bool)
	for _, w := range ways(s) {
		row := programWay{Title: "Collecting (POP3)", Server: s.Hostname, Port: w.Port, Security: "SSL/TLS", Best: !seen[w.Sends]}
		if w.Sends {
			row.Title = "Sending (SMTP)"
		}
		if w.StartTLS {
			row.Security = "STARTTLS"
		}
		seen[w.Sends] = true
		list = append(list, row)
	}
	return list
}

// programsURL is the page of an account's mail programs.
func programsURL(address string) string { return accountURL(address) + "/programs" }

func (p *pages) showPrograms(v *visit) error { return p.accountPrograms(v, nil, nil) }

// addProgram makes an app password for one of an account's mail programs.
func (p *pages) addProgram(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	made, err := p.makeAppPassword(v, v.r.PathValue("address"))
	return p.accountPrograms(v, made, err)
}

func (p *pages) accountPrograms(v *visit, made *secret, mistake error) error {
	account, err := p.Admin.Account(v.r.Context(), v.r.PathValue("address"))
	if err != nil {
		return err
	}
	page := programsPage{
		Back: link{Text: account.Address, URL: accountURL(account.Address)}, Title: phrase.ProgramsTitle(account.Address),
		Action: programsURL(account.Address), TestURL: setupTestURL(account.Address),
	}
	return p.programsPage(v, account, page, made, mistake)
}

func (p *pages) showOwnPrograms(v *visit) error { return p.ownPrograms(v, nil, nil) }

// addOwnProgram makes an app password for one of the mail programs of who is signed
// in.
func (p *pages) addOwnProgram(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	made, err := p.makeAppPassword(v, v.user.Address.String())
	return p.ownPrograms(v, made, err)
}

func (p *pages) ownPrograms(v *visit, made *secret, mistake error) error {
	account, err := p.own(v)
	if err != nil {
		return err
	}
	page := programsPage{Back: link{Text: "Your own page", URL: "/me"}, Title: "Your mail programs", Action: "/me/programs"}
	if v.user.Admin {
		page.TestURL = setupTestURL(account.Address)
	}
	return p.programsPage(v, account, page, made, mistake)
}

func (p *pages) programsPage(v *visit, account admin.Account, page programsPage, made *secret, mistake error) error {
	if mistake != nil && !hasMistake(mistake) {
		return mistake
	}
	var err error
	if page.Programs, err = p.programsOf(v, account.Address); err != nil {
		return err
	}
	if page.Secret = made; mistake != nil {
		page.Name = v.field("name")
	}
	return v.showForm("programs", page.Title, &page, &page.Mistake, mistake)
}

// makeAppPassword makes the app password that a form asks for.
func (p *pages) makeAppPassword(v *visit, address string) (*secret, error) {
	name := v.field("name")
	shown, err := p.Admin.AddAppPassword(v.r.Context(), address, name)
	if err != nil {
		return nil, err
	}
	return &secret{
		Title: phrase.AppPasswordReady, Password: shown,
		Text: phrase.AppPasswordUseBoth(name, address),
	}, nil
}

func setupTestURL(address string) string { return "/setup/test?address=" + url.QueryEscape(address) }
