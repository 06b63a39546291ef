package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"postroom/store"
)

// Bounds on a vacation notice, in octets.
const (
	maxVacationSubject = 500
	maxVacationText    = 20_000
)

// SetVacation asks for mail to an account to be answered while its owner is away.
type SetVacation struct {
	Address string `json:"address"`
	On      bool   `json:"on"`
	Subject string `json:"subject"` // empty: made of that of the mail that is answered
	Text    string `json:"text"`
	From    string `json:"from"`  // the first day, 2026-12-24; empty: at once
	Until   string `json:"until"` // the last day; empty: until it is turned off
}

// A Vacation is what is answered in an account's name.
type Vacation struct {
	On      bool   `json:"on"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
	From    string `json:"from,omitempty"`  // as in SetVacation
	Until   string `json:"until,omitempty"` //
	State   string `json:"state"`           // off, waits (for its first day), answers, over
}

// SetVacation turns the vacation notice of an account on or off, and changes it.
func (a *Admin) SetVacation(ctx context.Context, request SetVacation) (Vacation, error) {
	account, err := a.account(ctx, request.Address)
	if err != nil {
		return Vacation{}, err
	}
	vacation, err := a.parseVacation(request)
	if err != nil {
		return Vacation{}, err
	}
	return a.setVacation(ctx, account, vacation)
}

// EndVacation turns the vacation notice of an account off. Its text is kept for
// the next time.
func (a *Admin) EndVacation(ctx context.Context, address string) (Vacation, error) {
	account, err := a.account(ctx, address)
	if err != nil {
		return Vacation{}, err
	}
	vacation, err := a.Store.Vacation(ctx, account.ID)
	if err != nil {
		return Vacation{}, err
	}
	vacation.On = false
	return a.setVacation(ctx, account, vacation)
}

func (a *Admin) setVacation(ctx context.Context, account store.Account, v store.Vacation) (Vacation, error) {
	before, err := a.Store.Vacation(ctx, account.ID)
	if err != nil {
		return Vacation{}, err
	}
	noted := a.noting(ctx, "account.vacation", account.Address.String(), a.vacationStateOf(before), a.vacationStateOf(v))
	switch err := a.Store.SetVacation(noted, account.ID, v); {
	case errors.Is(err, store.ErrNotFound):
		return Vacation{}, notFound("There is no account %s.", account.Address)
	case err != nil:
		return Vacation{}, fmt.Errorf("vacation notice of %s: %w", account.Address, err)
	}
	return a.vacationOf(v), nil
}

// Vacation returns what is answered in an account's name.
func (a *Admin) Vacation(ctx context.Context, address string) (Vacation, error) {
	account, err := a.account(ctx, address)
	if err != nil {
		return Vacation{}, err
	}
	v, err := a.Store.Vacation(ctx, account.ID)
	return a.vacationOf(v), err
}

func (a *Admin) vacationOf(v store.Vacation) Vacation {
	shown := Vacation{On: v.On, Subject: v.Subject, Text: v.Text, From: a.dayText(v.Since), State: "off"}
	if !v.Until.IsZero() {
		shown.Until = a.dayText(v.Until.Add(-time.Nanosecond))
	}
	switch now := a.Now(); {
	case !v.On:
	case v.Holds(now):
		shown.State = "answers"
	case now.Before(v.Since):
		shown.State = "waits"
	default:
		shown.State = "over"
	}
	return shown
}

// parseVacation checks what was asked for. What isn't on may be half of a notice.
func (a *Admin) parseVacation(r SetVacation) (v store.Vacation, err error) {
	v = store.Vacation{On: r.On, Subject: strings.TrimSpace(r.Subject), Text: strings.TrimSpace(strings.ReplaceAll(r.Text, "\r\n", "\n"))}
	switch {
	case strings.ContainsFunc(v.Subject, func(c rune) bool { return c < ' ' || c == 0x7f }):
		return v, invalid("A subject is one line of text.")
	case strings.ContainsFunc(v.Text, func(c rune) bool { return c < ' ' && c != '\n' && c != '\t' || c == 0x7f }):
		return v, invalid("The text of a vacation notice is lines of text, and nothing else.")
	case !utf8.ValidString(v.Subject) || !utf8.ValidString(v.Text):
		return v, invalid("The vacation notice isn't text in UTF-8.")
	case len(v.Subject) > maxVacationSubject || len(v.Text) > maxVacationText:
		return v, invalid("The vacation notice is too long. Say it in fewer words.")
	case r.On && v.Text == "":
		return v, invalid("A vacation notice needs a text: what people who write to you should know.")
	}
	if v.Since, err = a.parseDay(r.From); err != nil {
		return v, err
	}
	if v.Until, err = a.parseDay(r.Until); err != nil {
		return v, err
	}
	if !v.Until.IsZero() {
		v.Until = v.Until.AddDate(0, 0, 1) // the last day is one of them
	}
	switch {
	case !v.Until.IsZero() && !v.Until.After(v.Since):
		return v, invalid("The last day is before the first one. Change one of them.")
	case r.On && !v.Until.IsZero() && !v.Until.After(a.Now()):
		return v, invalid("The last day has passed already. Give a later one, or none.")
	}
	return v, nil
}

// parseDay reads a day, which begins at midnight where the server is.
func (a *Admin) parseDay(text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return time.Time{}, nil
	}
	day, err := time.ParseInLocation(time.DateOnly, text, a.Now().Location())
	if err != nil || day.Year() < 2000 || day.Year() > 9000 {
		return time.Time{}, invalid("%q is not a day. It should look like 2026-12-24.", text)
	}
	return day, nil
}

func (a *Admin) dayText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(a.Now().Location()).Format(time.DateOnly)
}
