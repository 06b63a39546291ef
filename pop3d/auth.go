package pop3d

import (
	"bufio"
	"context"
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"postroom/store"
	"postroom/store/auth"
)

// An Authenticator checks who logs in; *auth.Authenticator does.
type Authenticator interface {
	// Login fails with auth.ErrDenied, with auth.ErrBlocked, with auth.ErrBusy, or
	// with our own trouble.
	Login(ctx context.Context, a auth.Attempt) (store.Account, error)
	// StartSCRAM begins an exchange that lasts no longer than ctx.
	StartSCRAM(ctx context.Context, client netip.Addr, protocol string) *auth.SCRAM
	// Track registers a live session of an account. end is called, from any
	// goroutine, when the account may not be used any more.
	Track(account store.AccountID, end func()) (untrack func())
	// Confirm fails with auth.ErrDenied if what Track would have told happened
	// between login and Track.
	Confirm(ctx context.Context, account store.Account) error
}

// name is USER. It says yes to every name: only PASS may tell, and even that
// doesn't tell which of the two was wrong.
func (s *session) name(_ context.Context, args []string) error {
	if !s.mayLogIn() {
		return s.reject(useSTLS)
	}
	s.user = &args[0]
	s.ok("now send PASS")
	return nil
}

const useSTLS = "use STLS first: nobody logs in here without TLS"

// mayLogIn reports whether passwords may be sent on this connection.
func (s *session) mayLogIn() bool { return s.secure || !s.server.RequireTLS }

// pass is PASS.
func (s *session) pass(ctx context.Context, args []string) error {
	switch {
	case !s.mayLogIn():
		return s.reject(useSTLS)
	case s.user == nil:
		return s.reject("send USER first")
	}
	user := *s.user
	s.user = nil
	return s.login(ctx, user, args[0])
}

// login checks a name and a password, and opens the maildrop.
func (s *session) login(ctx context.Context, user, password string) error {
	account, err := s.server.Auth.Login(s.stopping, auth.Attempt{
		Login:    user,
		Password: password,
		Client:   s.client,
		Protocol: s.server.Name,
	})
	if err != nil {
		return s.deny(err)
	}
	return s.enter(ctx, account)
}

// deny answers a failed login. Every wrong one reads the same, so that nobody can
// find out which names exist, or which accounts are disabled.
func (s *session) deny(err error) error {
	blocked, isBlocked := errors.AsType[*auth.BlockedError](err)
	switch {
	case isBlocked:
		return s.turnBack(blocked)
	case errors.Is(err, auth.ErrDenied):
		return s.reject("[AUTH] wrong name or password")
	case errors.Is(err, errInUse):
		s.fail("[IN-USE] another session has this maildrop open")
	case errors.Is(err, auth.ErrBusy):
		s.fail("[SYS/TEMP] too many logins at the moment, try again later")
	case s.stopping.Err() != nil:
		s.fail("[SYS/TEMP] the server is about to stop")
	default:
		s.trouble("cannot log in", err)
	}
	return nil
}

// turnBack answers who may not log in for a while. One who doesn't listen is ended.
func (s *session) turnBack(blocked *auth.BlockedError) error {
	s.fail("[SYS/TEMP] ", blocked.Advice())
	if s.blocked++; s.blocked < maxBlocked {
		return nil
	}
	return errDismiss
}

// trouble answers a command that failed through our own fault.
func (s *session) trouble(what string, err error) {
	s.log.Error(what, "err", err)
	s.fail("[SYS/TEMP] local error, try again later")
}

// enter opens account's maildrop: it locks it, and takes the snapshot that the
// session shows from now on.
func (s *session) enter(ctx context.Context, account store.Account) error {
	d := &maildrop{account: account.ID}
	defer func() {
		if s.drop == nil { // after a panic too
			s.conn.lease.Store(nil)
			d.close()
		}
	}()
	if err := s.open(ctx, d, account); err != nil {
		return s.deny(err)
	}
	s.drop = d
	return s.welcome(account)
}

// open acquires what d needs. Also if it fails, d must be closed.
func (s *session) open(ctx context.Context, d *maildrop, account store.Account) (err error) {
	d.untrack = s.server.Auth.Track(account.ID, s.conn.end)
	if err := s.server.Auth.Confirm(s.stopping, account); err != nil {
		return err
	}
	if d.lease, err = s.server.Locks.take(s.stopping, account.ID, s.conn.end); err != nil {
		return err
	}
	s.conn.lease.Store(d.lease)
	entries, err := s.server.Maildrops.Entries(ctx, account.ID)
	if err != nil {
		return err
	}
	d.fill(entries)
	return nil
}

func (s *session) welcome(account store.Account) error {
	if err := s.w.Flush(); err != nil {
		return err
	}
	s.log = s.log.With("account", account.Address.String())
	s.w = bufio.NewWriterSize(s.stream, dropBuffer)
	s.ok(strconv.Itoa(s.drop.left), " messages (", strconv.FormatInt(s.drop.octets, 10), " octets)")
	return nil
}

// leave gives the maildrop back, so that the next session can open it. What was
// marked as deleted stays, unless it has been removed.
func (s *session) leave() {
	s.conn.lease.Store(nil)
	if s.drop != nil {
		s.drop.close()
	}
}

// mechanisms are the SASL mechanisms that may be used now.
func (s *session) mechanisms() []string {
	switch {
	case !s.mayLogIn():
		return nil
	case s.server.SCRAM:
		return []string{"PLAIN", "LOGIN", "SCRAM-SHA-256"}
	}
	return []string{"PLAIN", "LOGIN"}
}

// auth is AUTH (RFC 5034).
func (s *session) auth(ctx context.Context, args []string) error {
	if !s.mayLogIn() {
		return s.reject(useSTLS)
	}
	mechanism := strings.ToUpper(args[0])
	if mechanism == "SCRAM-SHA-256" && !s.server.SCRAM {
		mechanism = ""
	}
	x := exchange{session: s, initial: args[1:]}
	switch mechanism {
	case "PLAIN":
		return x.plain(ctx)
	case "LOGIN":
		return x.login(ctx)
	case "SCRAM-SHA-256":
		return x.scram(ctx)
	}
	return s.reject("no such mechanism")
}
