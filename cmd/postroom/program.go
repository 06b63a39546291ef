package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"postroom/delivery"
	"postroom/store"
	"postroom/store/admin"
	"postroom/store/auth"
	"postroom/store/sqlite"
)

// A program is the parts that serve and the command line both have: what is
// kept, who may log in, and the operations.
type program struct {
	conf  *Config
	log   *slog.Logger
	store *sqlite.Store
	auth  *auth.Authenticator
	admin *admin.Admin

	logins  *logins
	commits *commits
	// listening returns the addresses of a service: what is configured, or once they are
	// bound those.
	listening func(service string) []string
	current   func() *Config // what the configuration says now; a running server reads it again
}

// openProgram opens the store in the data folder of conf, which it makes if
// there is none.
func openProgram(ctx context.Context, conf *Config, log *slog.Logger) (*program, error) {
	options, err := storeOptions(conf, log)
	if err != nil {
		return nil, err
	}
	commits := newCommits()
	options.Committed = commits.note
	s, err := sqlite.Open(ctx, options)
	if err != nil {
		return nil, openError(conf, err)
	}
	s.SetAllowances(allowances(conf))
	p := &program{conf: conf, log: log, store: s, commits: commits, current: func() *Config { return conf }}
	p.listening = p.configured
	p.logins = newLogins(s, func() *Config { return p.current() }, log)
	if err := p.logins.guard.Load(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	p.auth = auth.New(s, auth.Options{
		SCRAM: conf.Auth.SCRAM, Log: log, Guard: p.logins.guard, Factors: s, Noted: s.NoteLogin, Denied: s.NoteFailedLogin,
	})
	p.admin = &admin.Admin{Store: s, Auth: p.auth, Now: time.Now, Log: log, OwnAddress: isOwnAddress}
	names := sync.OnceValue(func() *network { return newNetwork(conf, log) })
	p.admin.Checks = &checker{store: s, conf: p.current, network: names, log: log}
	p.preview(names)
	p.admin.Leading = func(ways store.Ways) func(store.Lane) string {
		return delivery.Destinations(ways, p.current().Delivery.Smarthost)
	}
	p.knowDNS()
	p.admin.Shown = func(context.Context) ([]admin.Certificate, error) { return statusOnDisk(conf, time.Now()), nil }
	return p, nil
}

// storeOptions says how the store of conf is opened.
func storeOptions(conf *Config, log *slog.Logger) (sqlite.Options, error) {
	if err := os.MkdirAll(conf.Data, 0o700); err != nil {
		return sqlite.Options{}, fmt.Errorf("data folder: %s", osReason(err))
	}
	return sqlite.Options{
		Dir:          conf.Data,
		Expire:       conf.Delivery.Expire,
		Reserve:      conf.Reserve,
		KeepTrace:    conf.Trace.Keep,
		KeepRefused:  conf.Trace.RejectedKeep,
		MostRefusals: int64(conf.Trace.RejectedMax),
		Log:          log,
	}, nil
}

// openError says in words why the data can't be had.
func openError(conf *Config, err error) error {
	dir, absErr := filepath.Abs(conf.Data)
	if absErr != nil {
		dir = conf.Data
	}
	switch {
	case errors.Is(err, store.ErrLocked):
		return fmt.Errorf("%s is in use by another postroom that doesn't answer: it is starting or stopping, or a command is running; "+
			"try again in a moment (%w)", dir, store.ErrLocked)
	case errors.Is(err, store.ErrNewer):
		return fmt.Errorf("%s: %w; start the newer version, or restore a backup into another folder", dir, err)
	}
	return err
}

// preview has the admin's questions about mail that might be sent answered.
func (p *program) preview(network func() *network) {
	p.admin.Previews = &previewer{
		checker:  checker{store: p.store, conf: func() *Config { return p.current() }, network: network, log: p.log},
		auth:     p.auth,
		dispatch: func() *delivery.Dispatcher { return p.planner(p.current(), network()) },
	}
}

// close ends the use of the store.
func (p *program) close() error {
	p.admin.EndWork()
	return p.store.Close()
}
