package web

import (
	"errors"
	"strings"

	"postroom/store/admin"
	"postroom/web/phrase"
)

// A forwardCard shows where an account's mail goes on to, with a form.
type forwardCard struct {
	Action   string
	Alone    bool // the card is what its page is for
	To       []string
	Kept     bool
	Problems []string // with what is set
	Typed    string
	Keep     bool
	Doubts   []string // about what was typed
	Mistake  string
}

// A vacationCard shows what is answered in an account's name, with a form.
type vacationCard struct {
	Action      string
	Alone       bool
	State, Tone string
	Running     bool // it is on, whether its days have come or not
	Typed       typedVacation
	Mistake     string
}

// A sendersCard shows the further addresses that an account may send as, with a
// form.
type sendersCard struct {
	Action  string
	Senders []admin.Sender
	Typed   string
	Mistake string
}

// A typedVacation is a vacation notice as it was typed.
type typedVacation struct{ Subject, Text, From, Until string }

// personalForms are forms about what people make of their accounts that couldn't
// be carried out.
type personalForms struct {
	forward  *typedForward
	vacation *typedVacation
	sender   *string
	err      error // what was wrong with the one that isn't nil
}

type typedForward struct {
	targets string
	keep    bool
}

func (f personalForms) code() int {
	_, code := mistakeOf(f.err)
	return code
}

// newForwardCard shows what is set; or what was typed, if it couldn't be.
func newForwardCard(action string, now *admin.Forward, forms personalForms) forwardCard {
	card := forwardCard{Action: action, Keep: true}
	if now != nil {
		card.To, card.Kept, card.Problems = now.Targets, now.Keep, now.Problems
		card.Typed, card.Keep = strings.Join(now.Targets, "\n"), now.Keep
	}
	if forms.forward == nil {
		return card
	}
	card.Typed, card.Keep = forms.forward.targets, forms.forward.keep
	card.Doubts, card.Mistake = doubtsAbout(forms.err)
	return card
}

// doubtsAbout returns what should be read before a form is sent again, or else
// what is wrong with it.
func doubtsAbout(err error) (doubts []string, mistake string) {
	if e, ok := errors.AsType[*admin.Error](err); ok && e.Kind == admin.Doubtful {
		return e.Warnings(), ""
	}
	if err != nil {
		mistake, _ = mistakeOf(err)
	}
	return nil, mistake
}

func newVacationCard(action string, now *admin.Vacation, forms personalForms) vacationCard {
	card := vacationCard{Action: action}
	state := ""
	if now != nil {
		state, card.Running = now.State, now.On && now.State != "over"
		card.Typed = typedVacation{now.Subject, now.Text, now.From, now.Until}
	}
	card.State, card.Tone = phrase.VacationState(state)
	if forms.vacation != nil {
		card.Typed = *forms.vacation
		card.Mistake, _ = mistakeOf(forms.err)
	}
	return card
}

func newSendersCard(action string, now []admin.Sender, forms personalForms) sendersCard {
	card := sendersCard{Action: action, Senders: now}
	if forms.sender != nil {
		card.Typed = *forms.sender
		card.Mistake, _ = mistakeOf(forms.err)
	}
	return card
}

// errNoForwardTarget is what a forward to nobody is told: to stop has a button of
// its own.
var errNoForwardTarget = &admin.Error{Kind: admin.Invalid, Text: phrase.NoForwardTarget}

// saveForward carries out a form about where the mail of an account goes. It leads
// on to back, or shows the form again with show.
func (p *pages) saveForward(v *visit, address, back string, show func(personalForms) error) error {
	if err := v.form(); err != nil {
		return err
	}
	typed := typedForward{v.field("targets"), v.field("keep") != ""}
	request := admin.SetForward{
		Address: address, Targets: addressesIn(typed.targets), Keep: typed.keep, Strict: v.field("do") != "anyway",
	}
	if v.field("do") == "stop" {
		request.Targets = nil
	} else if len(request.Targets) == 0 {
		return show(personalForms{forward: &typed, err: errNoForwardTarget})
	}
	saved, err := p.Admin.SetForward(v.r.Context(), request)
	switch {
	case isGone(err):
		return err
	case hasMistake(err):
		return show(personalForms{forward: &typed, err: err})
	case err != nil:
		return err
	}
	return v.done(back, phrase.ForwardSaved(saved.Targets, saved.Keep))
}

// isGone reports whether what a form is about isn't there any more.
func isGone(err error) bool {
	e, ok := errors.AsType[*admin.Error](err)
	return ok && e.Kind == admin.NotFound
}

// saveVacation is saveForward for the vacation notice.
func (p *pages) saveVacation(v *visit, address, back string, show func(personalForms) error) error {
	if err := v.form(); err != nil {
		return err
	}
	typed := typedVacation{v.field("subject"), v.field("text"), v.field("from"), v.field("until")}
	saved, err := p.setVacation(v, address, typed)
	switch {
	case isGone(err):
		return err
	case hasMistake(err):
		return show(personalForms{vacation: &typed, err: err})
	case err != nil:
		return err
	}
	return v.done(back, phrase.VacationSaved(saved.State, saved.From))
}

func (p *pages) setVacation(v *visit, address string, typed typedVacation) (admin.Vacation, error) {
	if v.field("do") == "off" {
		return p.Admin.EndVacation(v.r.Context(), address)
	}
	return p.Admin.SetVacation(v.r.Context(), admin.SetVacation{
		Address: address, On: true, Subject: typed.Subject, Text: typed.Text, From: typed.From, Until: typed.Until,
	})
}

// On the administrators' page of an account.

func (p *pages) setAccountForward(v *visit) error {
	address := v.r.PathValue("address")
	return p.saveForward(v, address, accountURL(address)+"#forwarding", p.accountWithForms(v, address))
}

func (p *pages) setAccountVacation(v *visit) error {
	address := v.r.PathValue("address")
	return p.saveVacation(v, address, accountURL(address)+"#vacation", p.accountWithForms(v, address))
}

func (p *pages) addSender(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	address, typed := v.r.PathValue("address"), v.field("sender")
	added, err := p.Admin.AddSender(v.r.Context(), admin.SenderRight{Address: address, Sender: typed})
	switch {
	case hasMistake(err):
		return p.accountWithForms(v, address)(personalForms{sender: &typed, err: err})
	case err != nil:
		return err
	}
	return v.done(accountURL(address)+"#senders", phrase.MaySendAs(address, added.Sender))
}

func (p *pages) removeSender(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	address, sender := v.r.PathValue("address"), v.field("sender")
	err := p.Admin.RemoveSender(v.r.Context(), admin.SenderRight{Address: address, Sender: sender})
	switch {
	case hasMistake(err):
		return p.accountWithForms(v, address)(personalForms{sender: new(""), err: err})
	case err != nil:
		return err
	}
	return v.done(accountURL(address)+"#senders", phrase.MayNotSendAs(address, sender))
}

// accountWithForms shows an account's page with a form that couldn't be carried
// out.
func (p *pages) accountWithForms(v *visit, address string) func(personalForms) error {
	return func(forms personalForms) error { return p.accountPage(v, address, accountNews{personal: forms}) }
}

// Everybody's own pages.

type meForwardingPage struct {
	Address    string
	Forwarding forwardCard
}

type meVacationPage struct {
	Address  string
	Vacation vacationCard
}

const (
	forwardingPath = "/me/forwarding"
	vacationPath   = "/me/vacation"
)

func (p *pages) showMyForwarding(v *visit) error { return p.myForwarding(v)(personalForms{}) }

func (p *pages) setMyForwarding(v *visit) error {
	return p.saveForward(v, v.user.Address.String(), forwardingPath, p.myForwarding(v))
}

func (p *pages) myForwarding(v *visit) func(personalForms) error {
	return func(forms personalForms) error {
		now, err := p.Admin.Forward(v.r.Context(), v.user.Address.String())
		if err != nil {
			return err
		}
		page := meForwardingPage{v.user.Address.String(), newForwardCard(forwardingPath, &now, forms)}
		if len(now.Targets) == 0 {
			page.Forwarding = newForwardCard(forwardingPath, nil, forms)
		}
		page.Forwarding.Alone = true
		return v.showPersonal("me_forwarding", "Forwarding", page, forms)
	}
}

func (p *pages) showMyVacation(v *visit) error { return p.myVacation(v)(personalForms{}) }

func (p *pages) setMyVacation(v *visit) error {
	return p.saveVacation(v, v.user.Address.String(), vacationPath, p.myVacation(v))
}

func (p *pages) myVacation(v *visit) func(personalForms) error {
	return func(forms personalForms) error {
		now, err := p.Admin.Vacation(v.r.Context(), v.user.Address.String())
		if err != nil {
			return err
		}
		page := meVacationPage{v.user.Address.String(), newVacationCard(vacationPath, &now, forms)}
		page.Vacation.Alone = true
		return v.showPersonal("me_vacation", "Vacation notice", page, forms)
	}
}

// showPersonal shows a page, as an answer to what couldn't be carried out if there
// is anything.
func (v *visit) showPersonal(name, title string, page any, forms personalForms) error {
	if forms.err != nil {
		return v.showAs(forms.code(), name, title, page)
	}
	return v.show(name, title, page)
}
