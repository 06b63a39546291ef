package admin

import (
	"context"
	"errors"
	"time"
)

// SetLimit asks for limits of one's own. Each limit is a number, "none", or
// "default" for what the configuration says; an empty one stays as it is.
type SetLimit struct {
	Name              string `json:"name"` // an account's address, a domain, or "server"
	MessagesPerHour   string `json:"messages_per_hour,omitempty"`
	MessagesPerDay    string `json:"messages_per_day,omitempty"`
	RecipientsPerHour string `json:"recipients_per_hour,omitempty"`
	RecipientsPerDay  string `json:"recipients_per_day,omitempty"`
}

// Limits are how much somebody may send to other servers, and how much of that is
// left.
type Limits struct {
	Name              string `json:"name"`  // an account's address, a domain, or "server"
	Scope             string `json:"scope"` // account, domain, server
	MessagesPerHour   Limit  `json:"messages_per_hour"`
	MessagesPerDay    Limit  `json:"messages_per_day"`
	RecipientsPerHour Limit  `json:"recipients_per_hour"`
	RecipientsPerDay  Limit  `json:"recipients_per_day"`
	// Within are the wider limits in which the same mail counts: those of an
	// account's domain and of the server. Only of Admin.Limits.
	Within []Limits `json:"within,omitempty"`
}

// A Limit is one of them, over a sliding hour or a sliding day.
type Limit struct {
	Limit  *int64 `json:"limit"`  // nil: any number
	Source string `json:"source"` // own, configuration
	Used   int64  `json:"used"`   // within the hour or the day that ends now
	Left   *int64 `json:"left"`   // nil: any number
	// Frees is when more is left than now; zero if nothing is used, or if there is
	// no limit.
	Frees time.Time `json:"frees,omitzero"`
}

// SetLimit gives an account, a domain or the server limits of its own. They take
// effect at once.
func (a *Admin) SetLimit(ctx context.Context, request SetLimit) (Limits, error) {
	return Limits{}, errors.ErrUnsupported
}

// Limits returns the limits of an account, a domain or the server ("server"), and
// the wider ones that apply too.
func (a *Admin) Limits(ctx context.Context, name string) (Limits, error) {
	return Limits{}, errors.ErrUnsupported
}

// AllLimits returns the limits of the server, and of all accounts and domains
// that have limits of their own, or have used half or more of one.
func (a *Admin) AllLimits(ctx context.Context) ([]Limits, error) {
	return nil, errors.ErrUnsupported
}
