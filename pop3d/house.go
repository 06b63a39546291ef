package pop3d

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// refusal is how long a client may take to hear that there is no room for it.
const refusal = 5 * time.Second

// serve is the life of one connection. ctx ends when even the command that runs
// must stop.
func (h *house) serve(ctx context.Context, nc net.Conn) {
	doors := &h.server.doors
	room := doors.enter(h.limits.Connections)
	defer doors.leave()
	defer nc.Close()
	if !room {
		h.refuse(ctx, nc)
		return
	}
	nc, client, err := h.identify(nc)
	if err != nil {
		h.server.Log.Warn("connection refused", "protocol", h.server.Name, "remote", nc.RemoteAddr(), "err", err)
		return
	}
	if !doors.admit(client, h.limits.PerAddress) {
		h.refuse(ctx, nc)
		return
	}
	defer doors.dismiss(client)
	s := h.newSession(nc, client)
	defer h.remove(s)
	if h.add(s) {
		s.run(ctx)
	}
}

// refuse answers a client for whom there is no room.
func (h *house) refuse(ctx context.Context, nc net.Conn) {
	if !h.server.doors.turn() {
		return
	}
	defer h.server.doors.turned()
	s := h.newSession(nc, netip.Addr{})
	s.limits.LoginTimeout, s.limits.WriteTimeout = refusal, refusal
	defer h.remove(s)
	if !h.add(s) {
		return
	}
	s.turnAway(ctx)
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
