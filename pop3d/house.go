package pop3d

import (
	"context"
	"net"
	"time"
)

// serve is the life of one connection. ctx ends when even the command that runs
// must stop.
func (h *house) serve(ctx context.Context, nc net.Conn) {
	defer nc.Close()
	nc, client, err := h.identify(nc)
	if err != nil {
		h.server.Log.Warn("connection refused", "protocol", h.server.Name, "remote", client, "err", err)
		return
	}
	s := h.newSession(nc, client)
	defer h.remove(s)
	if !h.add(s) {
		return
	}
	doors := &h.server.doors
	if !doors.admit(client, h.limits) {
		s.turnAway(ctx)
		return
	}
	defer doors.dismiss(client)
	s.run(ctx)
}

// add takes the session into the list of those that stop will stop. It returns
// false if that has happened already.
func (h *house) add(s *session) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopping.Err() != nil {
		return false
	}
	if h.sessions == nil {
		h.sessions = make(map[*session]struct{})
	}
	h.sessions[s] = struct{}{}
	return true
}

func (h *house) remove(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sessions, s)
}

// each calls f for every session.
func (h *house) each(f func(*session)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.sessions {
		f(s)
	}
}

// stop ends all sessions: those that wait at once, those in the middle of a
// command when it is done or the time of grace is over. Then it calls cancel.
// It returns when all are gone.
func (h *house) stop(cancel context.CancelFunc) {
	h.noMore()
	h.each((*session).stop)
	late := time.AfterFunc(grace, func() {
		h.each(func(s *session) { s.conn.end() })
		cancel()
	})
	defer late.Stop()
	h.wg.Wait()
}
