package web

import (
	"fmt"
	"strings"
	"time"

	"postroom/store/admin"
	"postroom/web/phrase"
)

// guessesShown bounds how many networks that guess passwords one page lists.
const guessesShown = 50

// A guessRow is a network that may not log in for a while, as the page shows it.
type guessRow struct {
	admin.LoginBlock
	Since, Until moment
	Proto        string
}

// guesses returns who is kept from logging in, and how many more there are.
func (p *pages) guesses(v *visit) (rows []guessRow, more int64, err error) {
	all, err := p.Admin.LoginBlocks(v.r.Context())
	if err != nil {
		return nil, 0, err
	}
	for _, b := range all[:min(len(all), guessesShown)] {
		rows = append(rows, guessRowOf(b, p.Now()))
	}
	return rows, int64(len(all) - len(rows)), nil
}

func guessRowOf(b admin.LoginBlock, now time.Time) guessRow {
	proto := strings.ToUpper(b.Protocol)
	if b.Protocol == "web" {
		proto = "this page"
	}
	return guessRow{LoginBlock: b, Since: newMoment(b.Since, now), Until: newMoment(b.Until, now), Proto: proto}
}

// Tries says what was guessed.
func (r guessRow) Tries() string {
	return fmt.Sprintf("%s, %s", phrase.Plural(int64(r.Failures), "wrong password", "wrong passwords"), phrase.Plural(int64(r.Names), "name", "names"))
}

// forgive lets a network log in again.
func (p *pages) forgive(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	network := v.field("network")
	_, err := p.Admin.ForgiveLogins(v.r.Context(), network)
	return v.told("/lists", err, fmt.Sprintf(phrase.MayLogInAgain, network))
}
