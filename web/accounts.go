package web

import (
	"math"
	"strconv"
	"strings"

	"postroom/store"
	"postroom/store/admin"
	"postroom/store/auth"
	"postroom/web/phrase"
)

type accountsPage struct {
	Accounts []accountRow
	List     listing
	Statuses []choice
	Own      string   // the account of who is signed in
	Domains  []string // to suggest addresses in
	Form     accountForm
	Mistake  string
}

// An accountForm is a new account as it was typed; never its password.
type accountForm struct {
	Address, Name, Quota string
	Admin                bool
}

// An accountRow is an account as pages show it.
type accountRow struct {
	admin.Account
	URL     string
	Percent int // of its quota that is used; 0 without a quota
}

func rowOf(a admin.Account) accountRow {
	row := accountRow{Account: a, URL: accountURL(a.Address)}
	if a.Quota > 0 {
		row.Percent = int(math.Floor(float64(a.Used) / float64(a.Quota) * 100))
	}
	return row
}

// nearlyFull is the percentage of a quota at which an account is told that it
// fills up, and from which pages mark it.
const nearlyFull, almostFull = 80, 95

// Fullness returns the tone of the usage bar.
func (r accountRow) Fullness() string {
	switch {
	case r.Percent >= almostFull:
		return "bad"
	case r.Percent >= nearlyFull:
		return "warn"
	}
	return ""
}

// Bar returns how much of the usage bar is filled.
func (r accountRow) Bar() int { return min(r.Percent, 100) }

func (p *pages) showAccounts(v *visit) error { return p.accountsPage(v, accountForm{}, nil) }

func (p *pages) accountsPage(v *visit, form accountForm, mistake error) error {
	page := accountsPage{Form: form, Own: v.user.Address.String()}
	var query store.ListQuery
	page.List, query = v.listed("/accounts")
	page.Statuses = statuses(query.Status)
	accounts, err := p.Admin.ListAccounts(v.r.Context(), query)
	if err != nil {
		return err
	}
	if page.Domains, err = p.ownDomains(v); err != nil {
		return err
	}
	fillList(&page.List, accounts)
	for _, a := range accounts.Rows {
		page.Accounts = append(page.Accounts, rowOf(a))
	}
	return v.showForm("accounts", "Accounts", &page, &page.Mistake, mistake)
}

// statuses are what accounts can be looked for by.
func statuses(chosen string) []choice {
	choices := []choice{
		{"", "All accounts", false},
		{store.ListEnabled, "Enabled", false},
		{store.ListDisabled, "Disabled", false},
		{store.ListAdmins, "Administrators", false},
		{store.ListFilling, "80 % full or more", false},
		{store.ListFull, "Full", false},
		{store.ListUnused, "Never used", false},
	}
	for i := range choices {
		choices[i].Chosen = choices[i].Value == chosen
	}
	return choices
}

// ownDomains returns the first domain that accounts and aliases can be in, to
// suggest addresses in it; none if there is none.
func (p *pages) ownDomains(v *visit) ([]string, error) {
	first, err := p.Admin.ListDomains(v.r.Context(), store.ListQuery{Sort: "use", Limit: 1})
	if err != nil {
		return nil, err
	}
	for _, d := range first.Rows {
		if !d.Backup {
			return []string{d.Name}, nil
		}
	}
	return nil, nil
}

func (p *pages) addAccount(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	form := accountForm{Address: v.field("address"), Name: v.field("name"), Quota: v.field("quota"), Admin: v.field("admin") != ""}
	if form.Admin && !v.confirmed() { // another administrator could do all that asks for the password
		return v.toConfirmation()
	}
	quota, err := parseOctets(form.Quota)
	if err != nil {
		return p.accountsPage(v, form, err)
	}
	password, generated := v.password()
	added, err := p.Admin.AddAccount(v.r.Context(), admin.NewAccount{
		Address: form.Address, Password: password, Name: form.Name, Quota: quota, Admin: form.Admin,
	})
	switch {
	case hasMistake(err):
		return p.accountsPage(v, form, err)
	case err != nil:
		return err
	case generated:
		return p.accountPage(v, added.Address, accountNews{Secret: &secret{
			Title: phrase.AccountReady, Password: password,
			Text: phrase.AccountReadyText(added.Address),
		}})
	}
	return v.done(accountURL(added.Address), phrase.AccountReadyNoPassword)
}

// password returns the password that a form asks for: the one that was typed,
// or a new one.
func (v *visit) password() (password string, generated bool) {
	if typed := v.field("password"); typed != "" {
		return typed, false
	}
	return auth.GeneratePassword(), true
}

// A secret is a password that is shown this once. It is shown in the answer to
// the form itself: kept for a page after a redirect, it would stand in the
// database in the clear.
type secret struct{ Title, Text, Password string }

var errQuota = &admin.Error{Kind: admin.Invalid, Text: phrase.BadQuota}

// octetsTyped writes a size so that parseOctets reads the same: in the largest unit
// of which it is a whole number.
func octetsTyped(n int64) string {
	units := []string{"", "KB", "MB", "GB", "TB"}
	i := 0
	for n != 0 && n%1000 == 0 && i < len(units)-1 {
		n, i = n/1000, i+1
	}
	return strconv.FormatInt(n, 10) + units[i]
}

// parseOctets reads a size as a person writes it: 2GB, 500 MB, 1000000. An empty
// text is 0.
func parseOctets(text string) (int64, error) {
	text = strings.ToUpper(strings.ReplaceAll(text, " ", ""))
	if text == "" {
		return 0, nil
	}
	digits := strings.TrimRight(text, "BKMGT")
	unit, ok := map[string]float64{"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[text[len(digits):]]
	n, err := strconv.ParseFloat(digits, 64)
	if !ok || err != nil || !(n >= 0 && n*unit <= 1e18) { // NaN fails too
		return 0, errQuota
	}
	return int64(n * unit), nil
}
