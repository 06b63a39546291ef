package sts_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"postroom/delivery/smtpclient/smtptest"
	"postroom/delivery/sts"
	"postroom/store"
)

const domain = "example.test"

// shelf is a store of policies.
type shelf struct {
	mu   sync.Mutex
	list map[string]store.STSPolicy
	err  error
}

func (s *shelf) STSPolicy(_ context.Context, domain string) (store.STSPolicy, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.list[domain]
	if !ok && s.err == nil {
		return p, fmt.Errorf("policy of %s: %w", domain, store.ErrNotFound)
	}
	return p, s.err
}

func (s *shelf) KeepSTSPolicy(_ context.Context, p store.STSPolicy) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list[p.Domain] = p
	return nil
}

func (s *shelf) ForgetSTSPolicy(_ context.Context, domain string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.list, domain)
	return nil
}

// A site is a domain with its TXT record and its policy host, and us.
type site struct {
	*sts.Policies
	t     *testing.T
	shelf *shelf

	mu      sync.Mutex
	txt     []string
	dnsErr  error
	serve   http.HandlerFunc
	fetches int
	now     time.Time
}

func (s *site) LookupTXT(_ context.Context, name string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name != "_mta-sts."+domain {
		return nil, &net.DNSError{IsNotFound: true}
	}
	return s.txt, s.dnsErr
}

// newSite starts a policy host with a certificate for the given names.
func newSite(t *testing.T, names ...string) *site {
	t.Helper()
	s := &site{t: t, shelf: &shelf{list: map[string]store.STSPolicy{}}, now: time.Now()}
	s.announce("1")
	s.publish(policy("enforce", 604800))
	authority := smtptest.NewAuthority(t, "CA")
	server := httptest.NewUnstartedServer(http.HandlerFunc(s.answer))
	server.TLS = authority.Issue(t, smtptest.Leaf{Names: names})
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: authority.Pool()},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address != "mta-sts."+domain+":443" {
				return nil, fmt.Errorf("no route to %s", address)
			}
			return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	s.Policies = &sts.Policies{Store: s.shelf, Resolver: s, HTTP: &http.Client{Transport: transport}, Now: s.clock}
	return s
}

func (s *site) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *site) advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (s *site) announce(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.txt, s.dnsErr = []string{"v=STSv1; id=" + id}, nil
}

func (s *site) publish(text string) {
	s.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Write([]byte(text))
	})
}

func (s *site) answers(f http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serve = f
}

func (s *site) answer(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.fetches++
	serve := s.serve
	s.mu.Unlock()
	if r.URL.Path != "/.well-known/mta-sts.txt" || r.Host != "mta-sts."+domain {
		http.NotFound(w, r)
		return
	}
	serve(w, r)
}

// expect looks for the policy, and compares its mode, and how often it has been
// fetched so far.
func (s *site) expect(mode string, fetches int) {
	s.t.Helper()
	p, err := s.For(s.t.Context(), domain)
	if err != nil || p.Mode != mode || s.fetches != fetches {
		s.t.Errorf("%+v after %d fetches, %v", p, s.fetches, err)
	}
}

func policy(mode string, maxAge int) string {
	return fmt.Sprintf("version: STSv1\r\nmode: %s\r\nmx: *.%s\r\nmax_age: %d\r\n", mode, domain, maxAge)
}

const host = "mta-sts." + domain

func TestPolicyIsKept(t *testing.T) {
	s := newSite(t, host)
	s.expect("enforce", 1)
	s.expect("enforce", 1)
	p, err := s.For(t.Context(), domain)
	if err != nil || !p.Enforced() || !p.Matches("mx."+domain) || p.Matches("mx.other.test") {
		t.Errorf("%+v, %v", p, err)
	}
	kept := s.shelf.list[domain]
	if kept.ID != "1" || !kept.Fetched.Equal(s.now) || !kept.Expires.Equal(s.now.Add(7*24*time.Hour)) {
		t.Errorf("kept is %+v", kept)
	}
	if p, err := s.For(t.Context(), "other.test"); err != nil || p.Mode != "" {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := s.For(t.Context(), "[192.0.2.1]"); err != nil || p.Mode != "" {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestPolicyIsRefreshed(t *testing.T) {
	s := newSite(t, host)
	s.expect("enforce", 1)
	s.publish(policy("testing", 604800))
	s.advance(23 * time.Hour)
	s.expect("enforce", 1) // the same id, and not yet old
	s.announce("2")
	s.expect("testing", 2)
	s.advance(25 * time.Hour)
	s.expect("testing", 3) // the same id, but old
	s.publish(policy("none", 0))
	s.announce("3")
	s.expect("none", 4)
	s.expect("none", 4) // what expires at once isn't fetched for each message
	s.advance(time.Hour)
	s.expect("none", 5)
}

func TestPolicyOutlivesItsHost(t *testing.T) {
	s := newSite(t, host)
	s.expect("enforce", 1)
	s.answers(http.NotFound)
	s.announce("2")
	s.expect("enforce", 2)
	s.expect("enforce", 2) // not at once
	s.advance(6 * time.Minute)
	s.expect("enforce", 3)
	s.txt = nil
	s.advance(time.Hour)
	s.expect("enforce", 3) // DNS can't take it back
	s.dnsErr = &net.DNSError{IsTemporary: true}
	s.expect("enforce", 3)
	s.advance(8 * 24 * time.Hour)
	s.expect("", 3)
	if len(s.shelf.list) != 0 {
		t.Errorf("kept are %+v", s.shelf.list)
	}
	s.announce("2")
	s.expect("", 4)
	s.publish(policy("enforce", 604800))
	s.advance(6 * time.Minute)
	s.expect("enforce", 5)
}

func TestPoliciesThatAreNone(t *testing.T) {
	plain := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Write([]byte(text))
		}
	}
	for _, test := range []struct {
		name  string
		cert  string
		serve http.HandlerFunc
	}{
		{"a certificate for another name", domain, plain(policy("enforce", 1000))},
		{"a redirect", host, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://mta-sts."+domain+"/.well-known/mta-sts.txt?2", http.StatusFound)
		}},
		{"not found", host, http.NotFound},
		{"another success", host, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusAccepted)
			w.Write([]byte(policy("enforce", 1000)))
		}},
		{"HTML", host, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Write([]byte(policy("enforce", 1000)))
		}},
		{"too much", host, plain(policy("enforce", 1000) + strings.Repeat("x: y\r\n", 20000))},
		{"what isn't a policy", host, plain("hello")},
		{"a broken connection", host, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t, test.cert)
			s.answers(test.serve)
			p, err := s.For(t.Context(), domain)
			if err != nil || p.Mode != "" || len(s.shelf.list) != 0 || s.fetches > 1 {
				t.Errorf("%+v after %d fetches, %v", p, s.fetches, err)
			}
			before := s.fetches
			s.publish(policy("enforce", 1000))
			s.expect("", before) // it waits for a while
		})
	}
}

func TestOneFetchForAll(t *testing.T) {
	s := newSite(t, host)
	begun, release := make(chan struct{}), make(chan struct{})
	s.answers(func(w http.ResponseWriter, _ *http.Request) {
		close(begun) // a second fetch would panic
		<-release
		w.Header().Set("Content-Type", "text/plain")
		w.Write([]byte(policy("enforce", 604800)))
	})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if p, err := s.For(context.Background(), domain); err != nil || !p.Enforced() {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
	<-begun
	close(release)
	all.Wait()
	if s.fetches != 1 {
		t.Errorf("%d fetches", s.fetches)
	}
}

func TestRefreshDelaysOneAlone(t *testing.T) {
	s := newSite(t, host)
	s.expect("enforce", 1)
	s.advance(25 * time.Hour)
	begun, release := make(chan struct{}), make(chan struct{})
	s.answers(func(http.ResponseWriter, *http.Request) { close(begun); <-release })
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.For(context.Background(), domain)
	}()
	<-begun
	p, err := s.For(t.Context(), domain)
	if err != nil || !p.Enforced() {
		t.Errorf("%+v, %v", p, err)
	}
	close(release)
	<-done
}

func TestWaitEndsWithItsContext(t *testing.T) {
	s := newSite(t, host)
	begun, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.answers(func(http.ResponseWriter, *http.Request) { once.Do(func() { close(begun) }); <-release })
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	for range 2 {
		go func() {
			_, err := s.For(ctx, domain)
			failed <- err
		}()
	}
	<-begun
	cancel()
	for range 2 {
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

func TestStoreInTrouble(t *testing.T) {
	s := newSite(t, host)
	s.shelf.err = errors.New("disk gone")
	if p, err := s.For(t.Context(), domain); !errors.Is(err, s.shelf.err) || p.Mode != "" {
		t.Errorf("%+v, %v", p, err)
	}
}
