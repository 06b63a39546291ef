package smtpd

import (
	"context"
	"net"

	"postroom/store"
)

// rehearsedLogin is the mechanism by which a rehearsed session logs in: whoever
// rehearses has said as whom (RFC 4422 appendix A). Nobody else is offered it, and
// no other session knows it.
const rehearsedLogin = "EXTERNAL"

// Rehearse is Serve for somebody who wants to hear what would be said to a client.
// The command "AUTH EXTERNAL =" logs in as the account as, without its password,
// as far as it could log in with it. A connection of l comes from nobody but who
// rehearses; nothing that listens on a network is to be rehearsed on.
func (s *Server) Rehearse(ctx context.Context, l net.Listener, as store.Account) error {
	return s.serve(ctx, l, as)
}

// A rehearsedMechanism logs in as the account of a rehearsal.
type rehearsedMechanism struct{ s *session }

func (m *rehearsedMechanism) Next([]byte) (challenge []byte, done bool, err error) {
	s := m.s
	if err := s.Server.Auth.Admits(s.client, s.rehearsed.ID); err != nil {
		return nil, false, err
	}
	return nil, true, s.welcome(s.rehearsed)
}
