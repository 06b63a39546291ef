package admin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"postroom/store"
)

// A LastLogin is the last time that somebody logged in over a protocol.
type LastLogin struct {
	At          time.Time  `json:"at"` // to the minute
	Client      netip.Addr `json:"client,omitzero"`
	AppPassword string     `json:"app_password,omitempty"` // its name; empty: the account's password
}

// LastLogins are those of an account by protocol; the zero LastLogin is none.
type LastLogins struct {
	Submission LastLogin `json:"submission,omitzero"` // SMTP, on any port
	POP3       LastLogin `json:"pop3,omitzero"`
	Web        LastLogin `json:"web,omitzero"`
}

func (a *Admin) lastLogins(ctx context.Context, id store.AccountID) (LastLogins, error) {
	logins, err := a.Store.LastLogins(ctx, id)
	if err != nil {
		return LastLogins{}, err
	}
	var last LastLogins
	for _, l := range logins {
		shown := LastLogin{l.At, l.Client, l.AppPassword}
		switch l.Protocol {
		case "submission":
			last.Submission = shown
		case "pop3":
			last.POP3 = shown
		case "web":
			last.Web = shown
		}
	}
	return last, nil
}

// A LoginSource is where logins of an account came from, well or in vain.
type LoginSource struct {
	Network  string    `json:"network"` // "192.0.2.7" or "2001:db8::/64"
	Failed   bool      `json:"failed"`
	Protocol string    `json:"protocol"` // of the last one
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Times    int64     `json:"times,omitempty"` // of failed ones
}

// LoginSources returns where the logins of an account came from, well and in vain:
// the 20 latest of each, the latest first.
func (a *Admin) LoginSources(ctx context.Context, address string) ([]LoginSource, error) {
	account, err := a.account(ctx, address)
	if err != nil {
		return nil, err
	}
	sources, err := a.Store.LoginSources(ctx, account.ID)
	if err != nil {
		return nil, err
	}
	list := make([]LoginSource, len(sources))
	for i, s := range sources {
		network := s.Network.String()
		if s.Network.IsSingleIP() {
			network = s.Network.Addr().String()
		}
		list[i] = LoginSource{network, s.Failed, s.Protocol, s.First, s.Last, s.Times}
	}
	return list, nil
}

// A Session is a browser in which an account is signed in to the web page.
type Session struct {
	ID     int64     `json:"id"`
	Began  time.Time `json:"began"`
	Seen   time.Time `json:"seen"` // the last request; five minutes may be missing
	Client string    `json:"client"`
	Agent  string    `json:"agent"` // what the browser calls itself
}

// Sessions returns the sessions of an account, the one seen last first.
func (a *Admin) Sessions(ctx context.Context, address string) ([]Session, error) {
	account, err := a.account(ctx, address)
	if err != nil {
		return nil, err
	}
	sessions, err := a.Store.SessionsOf(ctx, account.ID)
	if err != nil {
		return nil, err
	}
	list := make([]Session, len(sessions))
	for i, s := range sessions {
		list[i] = Session{s.ID, s.Began, s.Seen, s.Client, s.Agent}
	}
	return list, nil
}

var errSessionOver = notFound("That session has ended already.")

// EndSession signs an account out in one browser.
func (a *Admin) EndSession(ctx context.Context, address string, id int64) error {
	account, err := a.account(ctx, address)
	if err != nil {
		return err
	}
	sessions, err := a.Store.SessionsOf(ctx, account.ID)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(sessions, func(s store.WebSession) bool { return s.ID == id })
	if i < 0 {
		return errSessionOver
	}
	noted := a.noting(ctx, "session.end", account.Address.String(), sessionState{sessions[i].Began, sessions[i].Agent}, nil)
	err = a.Store.EndSession(noted, account.ID, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return errSessionOver
	case err != nil:
		return fmt.Errorf("end a session of %s: %w", account.Address, err)
	}
	return nil
}

// EndSessions signs an account out in all browsers but one; 0 stands for none. It
// returns in how many.
func (a *Admin) EndSessions(ctx context.Context, address string, but int64) (int64, error) {
	account, err := a.account(ctx, address)
	if err != nil {
		return 0, err
	}
	sessions, err := a.Store.SessionsOf(ctx, account.ID)
	if err != nil {
		return 0, err
	}
	others := slices.DeleteFunc(sessions, func(s store.WebSession) bool { return s.ID == but })
	if len(others) == 0 {
		return 0, nil
	}
	noted := a.noting(ctx, "session.end-all", account.Address.String(), sessionsState{len(others)}, nil)
	n, err := a.Store.EndSessions(noted, account.ID, but)
	if err != nil {
		return 0, fmt.Errorf("end the sessions of %s: %w", account.Address, err)
	}
	return n, nil
}
