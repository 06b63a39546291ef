package web

import (
	"strconv"

	"postroom/store/admin"
	"postroom/web/phrase"
)

// A mySessionsPage lists the browsers in which one is signed in.
type mySessionsPage struct {
	Sessions []sessionRow
	Others   int // sessions besides this one
}

type sessionRow struct {
	admin.Session
	Browser string
	This    bool
}

// thisSession returns the ID of the session that the visit belongs to.
func (v *visit) thisSession() int64 { return v.sessions.GetInt64(v.r.Context(), keyID) }

func (p *pages) showMySessions(v *visit) error {
	sessions, err := p.Admin.Sessions(v.r.Context(), v.user.Address.String())
	if err != nil {
		return err
	}
	var page mySessionsPage
	for _, s := range sessions {
		row := sessionRow{s, phrase.Browser(s.Agent), s.ID == v.thisSession()}
		page.Sessions = append(page.Sessions, row)
		if !row.This {
			page.Others++
		}
	}
	return v.show("me_sessions", "Sessions", page)
}

// endMySessions ends the session that the form names, or all but this one.
func (p *pages) endMySessions(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	ctx, address := v.r.Context(), v.user.Address.String()
	if v.field("do") == "others" {
		n, err := p.Admin.EndSessions(ctx, address, v.thisSession())
		if err != nil {
			return err
		}
		return v.done("/me/sessions", phrase.EndedSessions(n))
	}
	id, err := strconv.ParseInt(v.field("session"), 10, 64)
	if err != nil {
		return errBadForm
	}
	err = p.Admin.EndSession(ctx, address, id)
	if hasMistake(err) {
		text, _ := mistakeOf(err)
		return v.leave("/me/sessions", text, "warn")
	}
	if err != nil {
		return err
	}
	return v.done("/me/sessions", phrase.EndedSessions(1))
}
