package smtpd

import (
	"context"
	"net"
	"testing"

	"postroom/store"
	"postroom/store/auth"
)

// rehearse opens a session of h that is rehearsed.
func (h *harness) rehearse(t *testing.T, as store.Account) *client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := h.Rehearse(ctx, l, as); err != nil {
			t.Errorf("Rehearse: %v", err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return (&harness{addr: l.Addr().String()}).open(t)
}

// Who rehearses is let in without a password, as far as its owner would be, and
// nobody else is.
func TestRehearsedLogin(t *testing.T) {
	h := serve(t, submission, func(s *Server) { s.RequireTLS = false })
	account, err := h.mail.AccountByLogin(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("it lets the account in", func(t *testing.T) {
		c := h.rehearse(t, account)
		c.do("MAIL FROM:<alice@example.test>", "530 5.7.0")
		c.do("AUTH EXTERNAL =", "235 2.7.0")
		c.do("AUTH EXTERNAL =", "503")
		c.do("MAIL FROM:<bob@example.test>", "550 5.7.1 You may not send as <bob@example.test>")
		c.do("MAIL FROM:<alice@example.test>", "250 2.1.0")
	})
	t.Run("it lets nobody in whose password has changed", func(t *testing.T) {
		stale := account
		stale.Secret = store.Secret{Hash: "another"}
		h.rehearse(t, stale).do("AUTH EXTERNAL =", "535 5.7.8")
	})
	t.Run("it lets nobody in who isn't there", func(t *testing.T) {
		h.rehearse(t, store.Account{ID: 77, Address: address("nobody@example.test")}).do("AUTH EXTERNAL =", "535 5.7.8")
	})
	t.Run("it lets nobody in without an account", func(t *testing.T) {
		h.rehearse(t, store.Account{}).do("AUTH EXTERNAL =", "504 5.5.4")
	})
	t.Run("it knows nothing of it on the network", func(t *testing.T) {
		c := h.open(t)
		c.do("AUTH EXTERNAL =", "504 5.5.4")
		c.do("AUTH EXTERNAL YWxpY2VAZXhhbXBsZS50ZXN0", "504 5.5.4")
		c.do("MAIL FROM:<alice@example.test>", "530 5.7.0")
	})
	t.Run("it tells who is blocked", func(t *testing.T) {
		guard := auth.NewGuard(auth.GuardOptions{Access: func() *store.AccessList {
			return store.NewAccessList([]store.AccessEntry{{What: "127.0.0.0/8", Action: store.Block}})
		}})
		blocked := serve(t, submission, func(s *Server) { s.RequireTLS = false })
		blocked.Server.Auth = auth.New(blocked.mail, auth.Options{Guard: guard})
		blocked.rehearse(t, account).do("AUTH EXTERNAL =", "454 4.7.0 Your address may not log in here")
	})
}
