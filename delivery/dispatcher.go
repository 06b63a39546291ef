// Package delivery sends queued mail to other servers, retries what may still
// succeed and reports what cannot. It decides when, where and how often; the
// words on the wire are delivery/smtpclient's, the ways are delivery/route's.
//
// A run reads the store's news (run.go) into an agenda, which knows whose turn it
// is (agenda.go). The board starts jobs for it within all bounds (board_start.go);
// each claims a little for its destination (board_claim.go), goes from host to
// host with it (job.go, attempt.go), judges what came of it (judge.go) and hands
// it to the settler (settle.go). How many connections a destination is given is
// in pace.go, and when a sick one is tried again in board_health.go.
package delivery

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"postroom/delivery/route"
	"postroom/delivery/smtpclient"
	"postroom/store"
	"postroom/store/mail"
)

// ErrOffline is what a Resolver or a Dialer returns, wrapped or not, when it is
// not allowed to reach the host. The mail waits in the queue, with the error's
// own text as its last reply.
var ErrOffline = errors.New("nothing outside of this machine is contacted, so this waits here")

// Queue is the part of the store that sending needs.
type Queue interface {
	// NewMessageID returns the identity of a report that is to be accepted.
	NewMessageID() store.MessageID
	// OpenMessage opens the body of a queued message. The caller closes it.
	OpenMessage(ctx context.Context, id store.MessageID) (*store.Body, error)
	// Lanes returns each lane with an item that is neither held nor claimed, and
	// when the earliest of them comes due.
	Lanes(ctx context.Context) ([]store.LaneDue, error)
	// Changes returns what has changed since its last call, or since Lanes. It
	// never blocks.
	Changes() store.QueueChanges
	// ClaimLane returns items of a lane and keeps them from other claims until
	// they are settled. Claims do not survive a restart.
	ClaimLane(ctx context.Context, c store.LaneClaim) (store.Claimed, error)
	// Withdrawn returns those of some claimed items that are not to be sent any
	// more, because the admin or their account's standing wants it so.
	Withdrawn(ctx context.Context, items []store.QueueID) ([]store.QueueID, error)
	// Health returns what was settled of the destinations' health.
	Health(ctx context.Context) ([]store.Health, error)
	// Ways returns what the admin has said about how mail leaves.
	Ways(ctx context.Context) (store.Ways, error)
	// Settle records outcomes, reports and health in one step and ends the claims.
	// They stay if it fails.
	Settle(ctx context.Context, s store.Settlement) error
	// QueueChanged signals, at least once after each change, that Changes has
	// something new.
	QueueChanged() <-chan struct{}
}

// Directory is the part of the store that says where a report goes.
type Directory interface {
	Resolve(ctx context.Context, address mail.Address) (store.Resolution, error)
}

// Keys is the part of the store that says with which keys mail is signed.
type Keys interface {
	// SigningKeys returns which domain of ours answers for mail from a domain, and
	// its keys, used or not. It fails with store.ErrNotFound if none does.
	SigningKeys(ctx context.Context, domain string) (string, []store.DKIMKey, error)
}

// Resolver looks up hosts; *net.Resolver is one, delivery/resolver has a better
// one. A name that doesn't exist is a *net.DNSError with IsNotFound; a name
// without such records is an empty list or the same error; any other error is
// temporary.
type Resolver = route.Resolver

// Dialer connects to a remote host; *net.Dialer is one.
type Dialer = smtpclient.Dialer

// A Dispatcher keeps the queue moving. Its fields are not changed while it runs.
type Dispatcher struct {
	Hostname  string // our name in EHLO and in reports
	Queue     Queue
	Directory Directory
	Keys      Keys // nil: nothing is signed
	Resolver  Resolver
	Dialer    Dialer
	// DialerFrom returns the Dialer for a source address that the admin has set;
	// nil: a net.Dialer, whatever Dialer allows.
	DialerFrom func(netip.Addr) Dialer
	Schedule   Schedule

	Concurrency    int // connections in all; zero: 100
	PerDestination int // and to one destination; zero: 5

	Port                int    // of other servers; zero: 25
	PrivateDestinations bool   // may DNS name hosts on loopback and private addresses?
	Smarthost           string // "host:port": everything goes there; empty: by MX
	FallbackRelay       string // "host:port": tried when no MX of a domain can be reached
	// Listening are the addresses on which we take mail from other servers. A
	// host that is one of them is ourselves; an unspecified address stands for
	// all of this machine's.
	Listening []netip.AddrPort

	ConnectTimeout time.Duration // zero: 30 s
	CommandTimeout time.Duration // for each answer and each write; zero: 5 min
	Grace          time.Duration // for attempts under way when Run is to stop; zero: 6 s
	TLS            *tls.Config   // what client connections start from; nil: the defaults
	STS            Policies      // MTA-STS; nil: none is followed

	// Tried is told of each round of attempts for a message, and how long it took. It
	// must be quick. Nil: nobody is told.
	Tried func(time.Duration)

	Log *slog.Logger     // nil: nothing is logged
	Now func() time.Time // nil: time.Now
}
