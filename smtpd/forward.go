package smtpd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"postroom/smtpd/srs"
	"postroom/store"
	"postroom/store/mail"
)

// A forwarding keeps what the senders of forwarded mail are rewritten with.
type forwarding struct {
	mu       sync.Mutex
	rewriter *srs.Rewriter // nil until it is needed
}

// rewriter returns what rewrites senders in our name, with the secret that the
// store keeps for it.
func (s *Server) rewriter(ctx context.Context) (*srs.Rewriter, error) {
	f := &s.forwarding
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rewriter == nil {
		secret, err := s.Mail.Secret(ctx, "srs")
		if err != nil {
			return nil, fmt.Errorf("read the secret for forwarding: %w", err)
		}
		f.rewriter = &srs.Rewriter{Secrets: [][]byte{secret}, Now: s.Now}
	}
	return f.rewriter, nil
}

// rewriterOfForwards returns what rewrites the sender of this message where it is
// forwarded; nil if it isn't, or if nobody minds that we send in the sender's name.
func (s *session) rewriterOfForwards() (*srs.Rewriter, error) {
	sender := s.mail.envelope.Sender
	if sender.IsNull() || !s.mail.forwards() {
		return nil, nil
	}
	switch ours, err := s.isOurs(sender); {
	case err != nil:
		return nil, fmt.Errorf("judge the sender of a forward: %w", err)
	case ours:
		return nil, nil
	}
	return s.rewriter(s.ctx)
}

// isOurs reports whether the domain of an address is one of ours.
func (s *session) isOurs(address mail.Address) (bool, error) {
	to, err := s.Server.Mail.Resolve(s.ctx, address)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrRefused) {
		return true, nil
	}
	return to.Ours, err
}

// lookUp finds where mail for address goes. An address that we have made for the
// sender of a forward leads back to that sender, whoever asks: its hash proves that
// we have made it. One that we haven't, or too long ago, is nobody's, also where
// a catch-all takes everything else.
func (s *session) lookUp(address mail.Address) (store.Resolution, error) {
	to, err := s.Server.Mail.Resolve(s.ctx, address)
	switch {
	case !srs.Is(address), err != nil && !errors.Is(err, store.ErrNotFound), err == nil && (!to.Ours || to.Backup):
		return to, err
	}
	rewriter, err := s.rewriter(s.ctx)
	if err != nil {
		return to, err
	}
	original, err := rewriter.Reverse(address)
	if err != nil {
		return to, store.ErrNotFound
	}
	to, err = s.lookUp(original) // a shorter one; it may be ours again by a detour
	to.Ours = true
	return to, err
}

// defaultBackupExpire is three weeks: a server that is down for longer is gone.
const defaultBackupExpire = 21 * 24 * time.Hour

func (s *Server) backupExpire() time.Duration {
	if s.BackupExpire == 0 {
		return defaultBackupExpire
	}
	return s.BackupExpire
}
