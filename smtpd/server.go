// Package smtpd receives mail over SMTP, from other servers and from our own
// users, and hands each complete message to the store.
//
// The protocol's commands and their order are go-smtp's. What it leaves open
// stands around it: a connection that hands it one judged command line at a
// time and reads the message itself, and a session that parses addresses and
// parameters from the client's own words.
package smtpd

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"postroom/smtpd/policy"
	"postroom/store"
	"postroom/store/auth"
	"postroom/store/mail"
)

// Mail is the part of the store that receiving needs.
type Mail interface {
	// NewMessageID returns an ID that was never returned before.
	NewMessageID() store.MessageID
	// Resolve says where mail for address goes. It fails with store.ErrNotFound
	// if the domain is ours and the address is not, and with store.ErrRefused if
	// its account takes none.
	Resolve(ctx context.Context, address mail.Address) (store.Resolution, error)
	// MaySend reports whether the account may send mail in the name of address.
	MaySend(ctx context.Context, account store.AccountID, address mail.Address) (bool, error)
	// IsAway reports whether mail that comes at some time for an account is to be
	// answered with a vacation notice. It is asked for each account that a message
	// comes to, so it is fast.
	IsAway(account store.AccountID, at time.Time) bool
	// DeviceOf returns the device that a client is, by its address. It fails with
	// store.ErrNotFound if it is none.
	DeviceOf(ctx context.Context, client netip.Addr) (store.Device, error)
	// Account returns an account, or fails with store.ErrNotFound.
	Account(ctx context.Context, id store.AccountID) (store.Account, error)
	// WithinLimits fails with a *store.LimitError if the account can't send a
	// message to so many recipients at other servers now. Nothing is counted before
	// Accept, which may fail so too.
	WithinLimits(ctx context.Context, account store.AccountID, recipients int) error
	// Full reports that the disk is below its reserve.
	Full() bool
	// Accept makes the message durable. When it returns nil, the client may be
	// told 250.
	Accept(ctx context.Context, a store.Acceptance) error
	// Secret returns the random octets, 32 of them, that are kept under a name.
	Secret(ctx context.Context, name string) ([]byte, error)
	// Refused notes what was not taken. It never blocks.
	Refused(r store.Refusal)
}

// A Server serves SMTP on the listeners it is given. Its fields are set before
// the first Serve and stay as they are.
type Server struct {
	Name       string // "smtp", "submission" or "submissions": for logs and the trace
	Hostname   string // EHLO name, Received, Authentication-Results
	Submission bool   // serve our own users: nothing without AUTH
	Mail       Mail
	Auth       *auth.Authenticator // nil: no AUTH
	RequireTLS bool                // AUTH only over TLS
	SCRAM      bool                // offer SCRAM-SHA-256 too
	Rules      policy.Rules

	TLS         *tls.Config // nil: no TLS
	ImplicitTLS bool        // TLS from the first byte

	Unknown *policy.Tally // networks that asked for unknown recipients; nil: not remembered

	Limits       Limits
	BackupExpire time.Duration  // how long mail for backup domains is kept; zero: 21 days
	ProxyTrusted []netip.Prefix // their connections must open with a PROXY header, nobody else's may
	SpoolDir     string         // for messages too large for memory; empty: the system's folder

	// Replied is told the code of each reply. It must be quick. Nil: nobody is told.
	Replied func(code int)

	Log *slog.Logger     // nil: nothing is logged
	Now func() time.Time // nil: time.Now

	admission  admission
	sessions   atomic.Int64 // ever, to number them
	memory     buffers
	forwarding forwarding
}

// Limits bound what one client can make the server do. A zero field means its
// default; a negative number of connections means no limit.
type Limits struct {
	MessageBytes          int64         // 50,000,000: the largest message taken
	ExcessBytes           int64         // 1 GB: how much more of one is read, and dropped, for its client to hear that it is too large
	Recipients            int           // 1,000: recipients of one message
	Connections           int           // 2,000: at once, in all
	ConnectionsPerAddress int           // 50: at once from one address; loopback is exempt
	Idle                  time.Duration // 5 minutes: no byte for so long ends the session, in DATA too
	Message               time.Duration // 60 minutes: from DATA to the final dot
	MinRate               int           // 100: octets a second, on average since DATA
	RateGrace             time.Duration // 60 seconds: how long MinRate may be missed at first
	Write                 time.Duration // 1 minute: for a client to take our reply
	Grace                 time.Duration // 10 seconds: for a DATA in progress when the server stops
}
