package main

import (
	"context"
	"errors"

	"postroom/smtpd/policy"
	"postroom/store"
	"postroom/store/mail"
	"postroom/store/sqlite"
)

// authentication finds out whether mail comes from whom it says.
func authentication(conf *Config, s *sqlite.Store, names names) *policy.Authentication {
	in := conf.Inbound
	return &policy.Authentication{
		DNS:        names,
		SPF:        policy.ParseMode(in.SPF),
		DKIM:       policy.ParseMode(in.DKIM),
		DMARC:      policy.ParseMode(in.DMARC),
		OwnDomains: in.OwnDomains == "enforce",
		Forwards:   !conf.LocalMode,
		Ours:       func(ctx context.Context, domain string) (bool, error) { return isOurs(ctx, s, domain) },
	}
}

// isOurs reports whether mail of a domain ends here. What a backup domain sends
// comes from its own server.
func isOurs(ctx context.Context, s *sqlite.Store, domain string) (bool, error) {
	to, err := s.Resolve(ctx, mail.Address{Local: "postmaster", Domain: domain})
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrRefused) {
		return true, nil
	}
	return to.Ours && !to.Backup, err
}
