package web

import (
	"errors"
	"net/url"

	"postroom/store"
	"postroom/store/admin"
	"postroom/store/auth"
	"postroom/web/phrase"
)

// The guide leads from a server that has no administrator to the first mail. How far
// it is stands in the database: it can be left and come back to, in any browser.

// A guide is where a page of the guide stands.
type guide struct {
	Steps []guideStep
	Step  store.SetupStep // the page's own; empty for the first
}

// A guideStep is a step as the guide's pages list it.
type guideStep struct {
	Name, URL string
	State     string // done, skipped, open
	Current   bool
}

// guideNames are the steps behind the first in their order; the test mail belongs to
// the last.
var guideNames = []struct {
	step store.SetupStep
	name string
}{
	{store.SetupDomain, "The domain"},
	{store.SetupDNS, "DNS"},
	{store.SetupAccount, "The first account"},
	{store.SetupTest, "A test mail"},
}

// guideOf lists the steps around a page of the guide.
func guideOf(progress admin.SetupProgress, current store.SetupStep) guide {
	g := guide{Step: current, Steps: []guideStep{{Name: "The administrator", State: "done"}}}
	for _, known := range guideNames {
		step := guideStep{Name: known.name, URL: setupURL(known.step), State: "open", Current: known.step == current}
		if mark := progress[known.step]; mark != "" {
			step.State = string(mark)
		}
		g.Steps = append(g.Steps, step)
	}
	return g
}

// guideBegin is the guide while there is no administrator.
func guideBegin() guide {
	g := guideOf(nil, "")
	for i := range g.Steps {
		g.Steps[i].URL = ""
	}
	g.Steps[0].State, g.Steps[0].Current = "open", true
	return g
}

// setupURL is the page of a step; that of no step is the overview.
func setupURL(step store.SetupStep) string {
	if step == "" {
		return "/"
	}
	return "/setup/" + string(step)
}

// A setupPage asks who is to be the administrator.
type setupPage struct {
	guide
	Hostname string
	Expired  bool
	Code     string
	Address  string
	Mistake  string
}

// showSetup begins the guide, or goes on where it was left.
func (p *pages) showSetup(v *visit) error {
	switch err := v.identify(); {
	case err == nil && v.user.Admin:
		return p.goOn(v, "")
	case err == nil:
		return errNotAdmin
	case !errors.Is(err, errSignedOut):
		return err
	}
	door, err := p.Admin.SetupDoor(v.r.Context())
	switch {
	case err != nil:
		return err
	case door == admin.SetupClosed:
		return v.done("/login", "")
	}
	return v.show("setup", "Set up", setupPage{guide: guideBegin(), Hostname: p.Hostname, Expired: door == admin.SetupExpired})
}

// goOn leads to the first step that is still to be done.
func (p *pages) goOn(v *visit, notice string) error {
	progress, err := p.Admin.Setup(v.r.Context())
	if err != nil {
		return err
	}
	next := progress.Next()
	if next == "" && notice == "" {
		notice = phrase.SetupIsOver
	}
	return v.done(setupURL(next), notice)
}

// becomeAdmin makes the first administrator of who has the code, and signs in.
func (p *pages) becomeAdmin(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	page := setupPage{guide: guideBegin(), Hostname: p.Hostname, Code: v.field("code"), Address: v.field("address")}
	account, err := p.firstAdmin(v, page)
	var code int
	switch page.Mistake, code = refusedLogin(err, phrase.WrongSetupCode); {
	case page.Mistake != "":
		page.Code = ""
		return v.showAs(code, "setup", "Set up", page)
	case errors.Is(err, store.ErrHasAdmin):
		return v.leave("/login", err.Error(), "bad")
	case hasMistake(err):
		return v.showForm("setup", "Set up", &page, &page.Mistake, err)
	case err != nil:
		return err
	}
	if err := v.begin(account); err != nil {
		return err
	}
	return v.done("/setup/domain", phrase.FirstAdmin(account.Address.String()))
}

func (p *pages) firstAdmin(v *visit, page setupPage) (store.Account, error) {
	ctx, password := v.r.Context(), v.field("password")
	if password != v.field("again") {
		if err := p.Admin.CheckSetupCode(ctx, page.Code, v.client()); err != nil {
			return store.Account{}, err
		}
		return store.Account{}, &admin.Error{Kind: admin.Invalid, Text: phrase.SetupNotTheSame}
	}
	added, err := p.Admin.BecomeAdmin(ctx, admin.FirstAdmin{Code: page.Code, Address: page.Address, Password: password, Client: v.client()})
	if err != nil {
		return store.Account{}, err
	}
	return p.Auth.Login(ctx, auth.Attempt{Login: added.Address, Password: password, Client: v.client(), Protocol: "web", Web: true})
}

// leaveStep marks a step and goes on to the next.
func (p *pages) leaveStep(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	mark := store.SetupDone
	if v.field("do") == "skip" {
		mark = store.SetupSkipped
	}
	if err := p.Admin.MarkSetup(v.r.Context(), store.SetupStep(v.field("step")), mark); err != nil {
		return err
	}
	return p.goOn(v, "")
}

// guide finds out how far the guide is, for the page of a step.
func (p *pages) guide(v *visit, step store.SetupStep) (guide, error) {
	progress, err := p.Admin.Setup(v.r.Context())
	return guideOf(progress, step), err
}

// A setupDomainPage shows which domains are served.
type setupDomainPage struct {
	guide
	Hostname string
	Domains  []string // some of them
	More     int64
	Name     string // as it was typed
	Mistake  string
}

// guideLists bounds what a page of the guide lists.
const guideLists = 10

// someDomains returns the first local domains, and how many other domains there are
// besides, if it isn't all.
func (p *pages) someDomains(v *visit) (names []string, more int64, err error) {
	part, err := p.Admin.ListDomains(v.r.Context(), store.ListQuery{Sort: "use", Limit: guideLists})
	if err != nil {
		return nil, 0, err
	}
	for _, d := range part.Rows {
		if d.Backup { // these come last
			return names, 0, nil
		}
		names = append(names, d.Name)
	}
	return names, part.Matching - int64(len(part.Rows)), nil
}

func (p *pages) showSetupDomain(v *visit) error { return p.setupDomainPage(v, "", nil) }

func (p *pages) setupDomainPage(v *visit, name string, mistake error) error {
	g, err := p.guide(v, store.SetupDomain)
	if err != nil {
		return err
	}
	page := setupDomainPage{guide: g, Hostname: p.Hostname, Name: name}
	if page.Domains, page.More, err = p.someDomains(v); err != nil {
		return err
	}
	return v.showForm("setup_domain", phrase.SetupDomainTitle, &page, &page.Mistake, mistake)
}

func (p *pages) addSetupDomain(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	name := v.field("name")
	added, err := p.Admin.AddDomain(v.r.Context(), admin.AddDomain{Name: name})
	switch {
	case hasMistake(err):
		return p.setupDomainPage(v, name, err)
	case err != nil:
		return err
	}
	return v.done(setupURL(store.SetupDomain), phrase.DomainServed(added.Name))
}

// A setupDNSPage shows what the DNS must say about one domain, and what it says.
type setupDNSPage struct {
	guide
	Domain   string
	URL      string
	Others   []link // the same page for other domains
	Verdict  dnsVerdict
	NotAsked string
	Groups   []dnsGroup
}

// showSetupDNS asks the DNS, which may take some seconds.
func (p *pages) showSetupDNS(v *visit) error {
	g, err := p.guide(v, store.SetupDNS)
	if err != nil {
		return err
	}
	domains, _, err := p.someDomains(v)
	if err != nil {
		return err
	}
	if len(domains) == 0 {
		return v.leave(setupURL(store.SetupDomain), phrase.SetupNeedsDomain, "bad")
	}
	domain := v.r.URL.Query().Get("domain")
	if domain == "" {
		domain = p.likelyDomain(v, domains)
	}
	report, err := p.lookAt(v, domain)
	if err != nil {
		return err
	}
	page := setupDNSPage{
		guide: g, Domain: domain, URL: setupDNSURL(domain), Verdict: dnsVerdictOf(report),
		NotAsked: report.NotAsked, Groups: dnsGroups(report.Records),
	}
	for _, other := range domains {
		if other != domain {
			page.Others = append(page.Others, link{Text: other, URL: setupDNSURL(other)})
		}
	}
	return v.show("setup_dns", phrase.SetupDNSTitle(domain), page)
}

// likelyDomain is the one that the administrator's own address is in, if it is ours.
func (p *pages) likelyDomain(v *visit, domains []string) string {
	own := v.user.Address.Domain
	if _, err := p.Admin.MailServer(v.r.Context(), own); err == nil {
		return own
	}
	return domains[0]
}

func setupDNSURL(domain string) string { return "/setup/dns?domain=" + url.QueryEscape(domain) }

// A setupAccountPage asks for the first account, or shows how to set up its mail
// program.
type setupAccountPage struct {
	guide
	Domains  []string
	Form     accountForm
	Accounts []string // some that are there already
	Mistake  string

	Programs *programs // of the account that was chosen
	Secret   *secret
	TestURL  string
}

func (p *pages) showSetupAccount(v *visit) error {
	if address := v.r.URL.Query().Get("address"); address != "" {
		return p.setupPrograms(v, address, nil)
	}
	return p.setupAccountPage(v, accountForm{}, nil)
}

func (p *pages) setupAccountPage(v *visit, form accountForm, mistake error) error {
	g, err := p.guide(v, store.SetupAccount)
	if err != nil {
		return err
	}
	page := setupAccountPage{guide: g, Form: form}
	if page.Domains, _, err = p.someDomains(v); err != nil {
		return err
	}
	if page.Accounts, err = p.someAccounts(v); err != nil {
		return err
	}
	return v.showForm("setup_account", phrase.SetupAccountTitle, &page, &page.Mistake, mistake)
}

// someAccounts returns who can use a mail program already: who is signed in, and then
// some others.
func (p *pages) someAccounts(v *visit) ([]string, error) {
	part, err := p.Admin.ListAccounts(v.r.Context(), store.ListQuery{Status: "enabled", Limit: guideLists})
	if err != nil {
		return nil, err
	}
	list := []string{v.user.Address.String()}
	for _, a := range part.Rows {
		if !v.owns(a.Address) && len(list) < guideLists {
			list = append(list, a.Address)
		}
	}
	return list, nil
}

// setupPrograms shows how to set up the mail program of an account.
func (p *pages) setupPrograms(v *visit, address string, made *secret) error {
	g, err := p.guide(v, store.SetupAccount)
	if err != nil {
		return err
	}
	account, err := p.Admin.Account(v.r.Context(), address)
	if err != nil {
		return err
	}
	settings, err := p.programsOf(v, account.Address)
	if err != nil {
		return err
	}
	return v.show("setup_account", phrase.SetupProgramsTitle, setupAccountPage{
		guide: g, Programs: &settings, Secret: made, TestURL: setupTestURL(account.Address),
	})
}

// addSetupAccount adds the first account, or takes one that is there.
func (p *pages) addSetupAccount(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	if address := v.field("use"); address != "" {
		return p.useAccount(v, address)
	}
	form := accountForm{Address: v.field("address"), Name: v.field("name")}
	password, generated := v.password()
	added, err := p.Admin.AddAccount(v.r.Context(), admin.NewAccount{Address: form.Address, Name: form.Name, Password: password})
	switch {
	case hasMistake(err):
		return p.setupAccountPage(v, form, err)
	case err != nil:
		return err
	}
	if err := p.Admin.MarkSetup(v.r.Context(), store.SetupAccount, store.SetupDone); err != nil {
		return err
	}
	if !generated {
		return v.done(setupAccountURL(added.Address), phrase.AccountReadyNoPassword)
	}
	return p.setupPrograms(v, added.Address, &secret{
		Title: phrase.AccountReady, Password: password,
		Text: phrase.AccountReadyText(added.Address),
	})
}

func (p *pages) useAccount(v *visit, address string) error {
	account, err := p.Admin.Account(v.r.Context(), address)
	switch {
	case hasMistake(err):
		return p.setupAccountPage(v, accountForm{}, err)
	case err != nil:
		return err
	}
	if err := p.Admin.MarkSetup(v.r.Context(), store.SetupAccount, store.SetupDone); err != nil {
		return err
	}
	return v.done(setupAccountURL(account.Address), "")
}

func setupAccountURL(address string) string {
	return "/setup/account?address=" + url.QueryEscape(address)
}

// guideLeft returns how many steps of the guide are still to be done.
func (p *pages) guideLeft(v *visit) (int64, error) {
	progress, err := p.Admin.Setup(v.r.Context())
	if err != nil {
		return 0, err
	}
	var left int64
	for _, known := range guideNames {
		if progress[known.step] == "" {
			left++
		}
	}
	return left, nil
}
