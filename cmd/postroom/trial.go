package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"postroom/store"
	"postroom/store/admin"
	"postroom/store/auth"
)

// Bounds of a test mail: of the whole way, and of waiting for one answer.
const (
	trialLimit    = time.Minute
	trialPatience = 15 * time.Second
)

// trials sends test mails through the server's own services, over real connections,
// one after the other.
type trials struct {
	auth     *auth.Authenticator
	hostname func() string
	// listening returns the addresses that a service listens on.
	listening func(service string) []string
	// heralded reports whether connections from an address must open with a PROXY
	// header.
	heralded func(netip.Addr) bool
	now      func() time.Time

	wanted chan store.Account // capacity 1: Start has put the account into it

	mu   sync.Mutex
	last *admin.Trial
	stop context.CancelFunc // of the one that is under way
}

// Start begins a test mail; false if another one is under way.
func (t *trials) Start(account store.Account) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last != nil && t.last.Running() {
		return false
	}
	t.last = &admin.Trial{Address: account.Address.String(), Begun: t.now(), Stages: []admin.TrialStage{}}
	t.wanted <- account
	return true
}

// Last returns a copy of the latest test mail.
func (t *trials) Last() (admin.Trial, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last == nil {
		return admin.Trial{}, false
	}
	trial := *t.last
	trial.Stages = slices.Clone(t.last.Stages)
	for i := range trial.Stages {
		trial.Stages[i].Said = slices.Clone(trial.Stages[i].Said)
	}
	return trial, true
}

// Stop ends the test mail that is under way.
func (t *trials) Stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last != nil && t.last.Running() {
		t.last.Stopped = true
		if t.stop != nil {
			t.stop()
		}
	}
}

// run is a service: it sends the test mails that are asked for until ctx ends.
func (t *trials) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case account := <-t.wanted:
			t.send(ctx, account)
		}
	}
}

// send sends one.
func (t *trials) send(ctx context.Context, account store.Account) {
	ctx, cancel := context.WithTimeout(ctx, trialLimit)
	defer cancel()
	t.change(func(trial *admin.Trial) {
		t.stop = cancel
		if trial.Stopped { // before it began
			cancel()
		}
	})
	password, giveBack := t.auth.Lend(account.ID)
	defer giveBack()
	m := &trialMail{trials: t, address: account.Address, password: password}
	defer m.hangUp()
	for _, stage := range m.stages() {
		if !t.pass(ctx, stage) {
			break
		}
	}
	t.change(func(trial *admin.Trial) { trial.Ended, t.stop = t.now(), nil })
}

// change changes the test mail that is under way.
func (t *trials) change(f func(*admin.Trial)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(t.last)
}

// changeStage changes the stage that is under way.
func (t *trials) changeStage(f func(*admin.TrialStage)) {
	t.change(func(trial *admin.Trial) { f(&trial.Stages[len(trial.Stages)-1]) })
}

// A trialStage is one part of the way.
type trialStage struct {
	kind admin.TrialKind
	pass func(context.Context) error
}

// pass goes through one stage, and reports whether it was passed.
func (t *trials) pass(ctx context.Context, stage trialStage) bool {
	begun := t.now()
	t.change(func(trial *admin.Trial) {
		trial.Stages = append(trial.Stages, admin.TrialStage{Kind: stage.kind, State: admin.TrialRunning, Said: []admin.TrialLine{}})
	})
	err := stage.pass(ctx)
	if err == nil {
		err = ctx.Err()
	}
	t.changeStage(func(s *admin.TrialStage) {
		s.State, s.Took = admin.TrialDone, t.now().Sub(begun)
		if err != nil {
			s.State, s.Problem = admin.TrialFailed, trialProblem(ctx, err)
		}
	})
	return err == nil
}

// trialProblem says in words why a stage failed.
func trialProblem(ctx context.Context, err error) string {
	var timeout net.Error
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return "It was stopped."
	case ctx.Err() != nil:
		return fmt.Sprintf("It took longer than %.0f seconds.", trialLimit.Seconds())
	case errors.As(err, &timeout) && timeout.Timeout():
		return "No answer came in time."
	}
	return err.Error()
}

// A trialError is a sentence about what is wrong.
type trialError string

// Error returns the sentence.
func (e trialError) Error() string { return string(e) }

// reach connects to the first of the services that is there. implicit says that TLS
// begins with the first byte.
func (t *trials) reach(ctx context.Context, secure, plain string) (conn net.Conn, implicit bool, err error) {
	for _, service := range []string{secure, plain} {
		for _, addr := range t.listening(service) {
			conn, err := t.dial(ctx, nearest(addr))
			return conn, service == secure, err
		}
	}
	return nil, false, trialError("listen." + secure + " and listen." + plain + " are empty, so there is no such service.")
}

// dial connects, and says who it is where that is wanted.
func (t *trials) dial(ctx context.Context, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, trialPatience)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	own, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err == nil && t.heralded(own.Addr().Unmap()) {
		_, err = conn.Write([]byte(proxyHeader(conn)))
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// proxyHeader names a connection's own ends in version 1 of the PROXY protocol.
func proxyHeader(conn net.Conn) string {
	from, to := netip.MustParseAddrPort(conn.LocalAddr().String()), netip.MustParseAddrPort(conn.RemoteAddr().String())
	family := "TCP4"
	if !from.Addr().Unmap().Is4() {
		family = "TCP6"
	}
	return fmt.Sprintf("PROXY %s %s %s %d %d\r\n", family, from.Addr().Unmap().WithZone(""), to.Addr().Unmap().WithZone(""), from.Port(), to.Port())
}

// nearest returns where this machine itself reaches an address that is listened on.
func nearest(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	switch ip, err := netip.ParseAddr(host); {
	case host == "", err == nil && ip == netip.IPv4Unspecified():
		host = "127.0.0.1"
	case err == nil && ip == netip.IPv6Unspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}

// secure begins TLS as a mail program does, but for asking whether to trust the
// certificate: what a program would ask its user is noted.
func (t *trials) secure(ctx context.Context, conn net.Conn) (net.Conn, error) {
	hostname := t.hostname()
	secured := tls.Client(conn, &tls.Config{ServerName: hostname, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) // verified below
	ctx, cancel := context.WithTimeout(ctx, trialPatience)
	defer cancel()
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	state := secured.ConnectionState()
	t.changeStage(func(s *admin.TrialStage) {
		s.TLS, s.Distrust = tls.VersionName(state.Version), distrust(state.PeerCertificates, hostname)
	})
	return secured, nil
}

// distrust says why a program wouldn't trust a certificate; nothing if it would.
func distrust(chain []*x509.Certificate, hostname string) string {
	between := x509.NewCertPool()
	for _, cert := range chain[1:] {
		between.AddCert(cert)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{DNSName: hostname, Intermediates: between})
	if err == nil {
		return ""
	}
	return strings.TrimPrefix(err.Error(), "x509: ")
}
