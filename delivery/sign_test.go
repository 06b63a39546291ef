package delivery

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"postroom/delivery/dkim"
	"postroom/delivery/smtpclient/smtptest"
	"postroom/store"
	"postroom/store/mail"
)

// newSigningSite is a site whose domain has two keys: selectors r and e.
func newSigningSite(t testing.TB) *site {
	t.Helper()
	s := newSite(t)
	text, err := os.ReadFile("dkim/testdata/rsa.pem")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	s.addKey("r", "rsa", block.Bytes)
	s.addKey("e", "ed25519", edKey(t))
	s.Keys = s.store
	return s
}

func edKey(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (s *site) addKey(selector, algorithm string, private []byte) {
	s.t.Helper()
	err := s.store.AddDKIMKeys(s.t.Context(), store.DKIMKey{
		Domain: "our.test", Selector: selector, Algorithm: algorithm, Private: private, Created: s.now(), Since: s.now(),
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// submit queues a message that alice has submitted.
func (s *site) submit(text string, to ...string) store.MessageID {
	a := store.Acceptance{Envelope: mail.Envelope{Sender: s.alice.Address}, Account: s.alice.ID, Origin: store.FromAccount}
	for _, one := range to {
		a.Outbound = append(a.Outbound, store.Outbound{Recipient: mail.Recipient{Address: address(s.t, one)}})
	}
	return s.accept(a, text)
}

// signatures returns the domains and selectors of the signatures that verify.
func (s *site) signatures(message string) string {
	s.t.Helper()
	results, err := msgauth.VerifyWithOptions(strings.NewReader(message), &msgauth.VerifyOptions{LookupTXT: s.lookupKey})
	if err != nil {
		s.t.Fatal(err)
	}
	var words []string
	for i, r := range results {
		selector := strings.Split(strings.Split(message, "\ts=")[i+1], ";")[0]
		if r.Err != nil {
			selector += " " + r.Err.Error()
		}
		words = append(words, r.Domain+"/"+selector)
	}
	return strings.Join(words, " ")
}

// lookupKey is a DNS that has the records of all keys.
func (s *site) lookupKey(name string) ([]string, error) {
	keys, err := s.store.DKIMKeys(context.Background(), "")
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if k.Selector+"._domainkey."+k.Domain != name {
			continue
		}
		signer, err := dkim.ParseKey(k.Private)
		if err != nil {
			return nil, err
		}
		if public, ok := signer.Public().(ed25519.PublicKey); ok {
			return []string{"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)}, nil
		}
		der, err := x509.MarshalPKIXPublicKey(signer.Public())
		return []string{"v=DKIM1; p=" + base64.StdEncoding.EncodeToString(der)}, err
	}
	return nil, &net.DNSError{Name: name, IsNotFound: true}
}

func TestSignsWhatOurUsersSend(t *testing.T) {
	large := letter + strings.Repeat(strings.Repeat("y", 70)+"\r\n", 2000)
	for name, text := range map[string]string{"small": letter, "large": large} {
		t.Run(name, func(t *testing.T) {
			s, remote := newSigningSite(t), &smtptest.Server{}
			s.mx("there.test", remote.Start(t, "127.0.0.5"))
			s.run()
			id := s.submit(text, "bob@there.test")
			s.await(id, store.Relayed, 1)
			got := remote.Messages()[0]
			if !strings.HasSuffix(got.Data, text) {
				t.Errorf("the message is changed: %.300q", got.Data)
			}
			if signed := s.signatures(got.Data); signed != "our.test/r our.test/e" {
				t.Errorf("signed by %q:\n%.2000s", signed, got.Data)
			}
			if want := fmt.Sprintf(" SIZE=%d", len(got.Data)); !strings.Contains(got.Mail, want) {
				t.Errorf("MAIL is %q, want %q", got.Mail, want)
			}
			if e := s.await(id, store.Attempt, 1); e.Signed != "our.test r, e" {
				t.Errorf("the trace says %q", e.Signed)
			}
		})
	}
}

// What needs a larger server than the message alone is refused before it is sent.
func TestSignaturesCountForSize(t *testing.T) {
	s, remote := newSigningSite(t), &smtptest.Server{Extensions: []string{fmt.Sprintf("SIZE %d", len(letter)+100), "8BITMIME"}}
	s.mx("there.test", remote.Start(t, "127.0.0.5"))
	s.run()
	if e := s.await(s.submit(letter, "bob@there.test"), store.Bounced, 1); !strings.Contains(e.Reply, "larger than the server takes") {
		t.Errorf("it bounces with %q", e.Reply)
	}
}

func TestWhoseMailIsSigned(t *testing.T) {
	stranger := strings.Replace(letter, "alice@our.test", "eve@strange.test", 1)
	reportFrom := strings.Replace(letter, "alice@our.test", "MAILER-DAEMON@mail.our.test", 1)
	for name, test := range map[string]struct {
		text   string
		change func(*store.Acceptance, *site)
		want   string
		words  string
	}{
		"a user's":             {letter, func(a *store.Acceptance, s *site) { a.Account = s.alice.ID }, "our.test/r our.test/e", "our.test r, e"},
		"our own report":       {reportFrom, func(a *store.Acceptance, _ *site) { a.Origin, a.Envelope.Sender = store.FromUs, mail.Address{} }, "our.test/r our.test/e", "our.test r, e"},
		"a user's strange one": {stranger, func(a *store.Acceptance, s *site) { a.Account = s.alice.ID }, "", ""},
		"one without From":     {"To: x\r\n\r\nx\r\n", func(a *store.Acceptance, s *site) { a.Account = s.alice.ID }, "", "not signed: there isn't exactly one From field"},
		"a stranger's":         {stranger, func(*store.Acceptance, *site) {}, "", ""},
		"a stranger's in ours": {letter, func(*store.Acceptance, *site) {}, "", ""},
		"a stranger's report":  {reportFrom, func(a *store.Acceptance, _ *site) { a.Envelope.Sender = mail.Address{} }, "", ""},
		"a user's, by no From": {strings.Replace(letter, "alice@our.test", "a@b@c", 1), func(a *store.Acceptance, s *site) { a.Account = s.alice.ID }, "our.test/r our.test/e", "our.test r, e"},
		"what a user's alias is": {letter, func(a *store.Acceptance, s *site) {
			a.Account, a.Outbound[0].Via = s.alice.ID, s.alice.Address
		}, "our.test/r our.test/e", "our.test r, e"},
	} {
		t.Run(name, func(t *testing.T) {
			s, remote := newSigningSite(t), &smtptest.Server{}
			s.mx("there.test", remote.Start(t, "127.0.0.5"))
			s.run()
			a := store.Acceptance{Envelope: mail.Envelope{Sender: s.alice.Address}}
			a.Outbound = []store.Outbound{{Recipient: mail.Recipient{Address: address(t, "bob@there.test")}}}
			test.change(&a, s)
			id := s.accept(a, test.text)
			s.await(id, store.Relayed, 1)
			if got := s.signatures(remote.Messages()[0].Data); got != test.want {
				t.Errorf("signed by %q, want %q", got, test.want)
			}
			if e := s.await(id, store.Attempt, 1); e.Signed != test.words {
				t.Errorf("the trace says %q, want %q", e.Signed, test.words)
			}
		})
	}
}

// A reading counts how often bodies are opened.
type reading struct {
	Queue
	opened atomic.Int32
}

func (r *reading) OpenMessage(ctx context.Context, id store.MessageID) (*store.Body, error) {
	r.opened.Add(1)
	return r.Queue.OpenMessage(ctx, id)
}

// One message to many destinations has one signature, and its body is read for
// it once.
func TestManyDestinationsShareASignature(t *testing.T) {
	s, remote := newSigningSite(t), &smtptest.Server{}
	queue := &reading{Queue: s.store}
	s.Queue = queue
	at := remote.Start(t, "127.0.0.5")
	const n = 40
	var to []string
	for i := range n {
		domain := fmt.Sprintf("d%d.test", i)
		s.mx(domain, at)
		to = append(to, "bob@"+domain)
	}
	s.run()
	s.await(s.submit(letter, to...), store.Relayed, n)
	signatures := make(map[string]bool)
	for _, m := range remote.Messages() {
		head, _, _ := strings.Cut(m.Data, "From:")
		signatures[head] = true
		if signed := s.signatures(m.Data); signed != "our.test/r our.test/e" {
			t.Errorf("signed by %q", signed)
		}
	}
	if len(signatures) != 1 {
		t.Errorf("%d different signatures, want one", len(signatures))
	}
	if got := queue.opened.Load(); got != n {
		t.Errorf("the body was opened %d times for %d destinations", got, n)
	}
}

func TestRetriesSignAfresh(t *testing.T) {
	s, remote := newSigningSite(t), &smtptest.Server{}
	var first sync.Once
	remote.Script = func(_ int, line string) (step *smtptest.Step) {
		if line == smtptest.EndOfData {
			first.Do(func() { step = smtptest.Say("451 4.3.0 not now") })
		}
		return step
	}
	s.mx("there.test", remote.Start(t, "127.0.0.5"))
	s.run()
	id := s.submit(letter, "bob@there.test")
	s.await(id, store.Postponed, 1)
	if err := s.store.StartDKIMKey(t.Context(), "our.test", "e", s.now()); err != nil {
		t.Fatal(err)
	}
	s.addKey("new", "rsa", s.privateKey("r"))
	if err := s.store.StartDKIMKey(t.Context(), "our.test", "new", s.now()); err != nil {
		t.Fatal(err)
	}
	s.advance(2 * time.Minute)
	if _, err := s.store.RetryQueue(t.Context(), store.QueueFilter{}); err != nil {
		t.Fatal(err)
	}
	s.await(id, store.Relayed, 1)
	if signed := s.signatures(remote.Messages()[0].Data); signed != "our.test/new our.test/e" {
		t.Errorf("the retry is signed by %q", signed)
	}
}

func (s *site) privateKey(selector string) []byte {
	s.t.Helper()
	keys, err := s.store.DKIMKeys(s.t.Context(), "our.test")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, k := range keys {
		if k.Selector == selector {
			return k.Private
		}
	}
	s.t.Fatalf("no key %s", selector)
	return nil
}

// keyless is a store whose keys can't be had.
type keyless struct{}

func (keyless) SigningKeys(context.Context, string) (string, []store.DKIMKey, error) {
	return "", nil, errors.New("disk I/O error")
}

// Mail goes out unsigned rather than not at all.
func TestNoKeyStopsNoMail(t *testing.T) {
	for name, test := range map[string]struct {
		change      func(*site)
		want, words string
	}{
		"keys that can't be read": {func(s *site) { s.Keys = keyless{} }, "", "not signed: internal error, see the log"},
		"no key that signs": {func(s *site) {
			for _, selector := range []string{"r", "e"} {
				if err := s.store.RemoveDKIMKey(t.Context(), "our.test", selector); err != nil {
					t.Fatal(err)
				}
			}
		}, "", "not signed: the domain has no key that signs"},
		"a key that is broken": {func(s *site) {
			s.addKey("broken", "rsa", []byte("no key"))
			if err := s.store.StartDKIMKey(t.Context(), "our.test", "broken", s.now()); err != nil {
				t.Fatal(err)
			}
		}, "our.test/e", "our.test e"},
		"signing turned off": {func(s *site) { s.Keys = nil }, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, remote := newSigningSite(t), &smtptest.Server{}
			test.change(s)
			s.mx("there.test", remote.Start(t, "127.0.0.5"))
			s.run()
			id := s.submit(letter, "bob@there.test")
			s.await(id, store.Relayed, 1)
			if got := s.signatures(remote.Messages()[0].Data); got != test.want {
				t.Errorf("signed by %q, want %q", got, test.want)
			}
			if e := s.await(id, store.Attempt, 1); e.Signed != test.words {
				t.Errorf("the trace says %q, want %q", e.Signed, test.words)
			}
		})
	}
}

// Whoever waits for another's signature makes it when that one is stopped.
func TestSealIsTakenOver(t *testing.T) {
	s := newSigningSite(t)
	id := s.submit(letter, "bob@there.test")
	item := s.queue()[0]
	full := s.withDefaults()
	slow := &waiting{Queue: s.store, asked: make(chan struct{}, 2), goOn: make(chan struct{})}
	full.Queue = slow
	signer := newSigner(&full)
	stopped, stop := context.WithCancel(t.Context())
	first, second := make(chan sealed, 1), make(chan sealed, 1)
	go func() { first <- signer.seal(stopped, item) }()
	<-slow.asked
	go func() { second <- signer.seal(t.Context(), item) }()
	stop()
	close(slow.goOn)
	if got := <-first; got.fields != "" {
		t.Errorf("who was stopped has signed: %q", got.fields)
	}
	if got := <-second; got.words != "our.test r, e" {
		t.Errorf("the other one has %q for %v", got.words, id)
	}
}

// waiting is a queue whose bodies take a while.
type waiting struct {
	Queue
	asked, goOn chan struct{}
}

func (w *waiting) OpenMessage(ctx context.Context, id store.MessageID) (*store.Body, error) {
	w.asked <- struct{}{}
	<-w.goOn
	return w.Queue.OpenMessage(ctx, id)
}

func TestRecent(t *testing.T) {
	r := recent[int, string]{max: 2}
	for i, v := range []string{"a", "b", "c"} {
		r.put(i, v)
	}
	r.put(2, "d")
	_, old := r.get(0)
	if v, ok := r.get(2); old || !ok || v != "d" || len(r.by) != 2 || len(r.order) != 2 {
		t.Errorf("it holds %v in the order %v", r.by, r.order)
	}
}
