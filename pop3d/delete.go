package pop3d

import (
	"context"

	"postroom/store"
)

// dele is DELE: a mark in memory. QUIT makes it true.
func (s *session) dele(_ context.Context, args []string) error {
	if i, ok := s.find(args[0]); ok {
		s.drop.mark(i)
		s.ok("will be deleted at QUIT")
	}
	return nil
}

// rset is RSET.
func (s *session) rset(context.Context, []string) error {
	s.drop.reset()
	s.ok()
	return nil
}

// noop is NOOP.
func (s *session) noop(context.Context, []string) error {
	s.ok()
	return nil
}

// quit is QUIT. After login it commits the deletions, all or none, and then
// frees the maildrop before it answers: a client that hears the answer may come
// again at once.
func (s *session) quit(ctx context.Context, _ []string) error {
	if s.drop == nil {
		s.ok("good bye")
		return errQuit
	}
	// What was retrieved must at least have left us before it is deleted.
	if err := s.flush(); err != nil {
		return err
	}
	err := s.update(ctx)
	s.leave()
	switch {
	case s.conn.ended.Load():
		return errEnded
	case err != nil:
		s.trouble("cannot delete messages", err)
	default:
		s.ok("good bye")
	}
	return errQuit
}

// update is the UPDATE state (RFC 1939 section 6).
func (s *session) update(ctx context.Context) error {
	ids := s.drop.marked()
	if len(ids) == 0 {
		return nil
	}
	if s.conn.ended.Load() {
		return errEnded
	}
	err := s.server.Maildrops.RemoveEntries(ctx, store.Removal{
		Account:  s.drop.account,
		At:       s.server.now(),
		Messages: ids,
		Client:   s.client.String(),
		Protocol: s.server.Name,
	})
	if err == nil {
		s.drop.removed = len(ids)
	}
	return err
}
