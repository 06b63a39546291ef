package delivery

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postroom/delivery/smtpclient/smtptest"
	"postroom/store"
	"postroom/store/mail"
	"postroom/store/sqlite"
)

var modelSeeds = flag.Uint64("model.seeds", 3, "random walks through the life of a queue")

// TestQueueLosesNothing walks at random through everything that may happen to a
// queue, with the real store: mail comes, servers fail in each manner, the admin
// pauses, leads elsewhere, retries, holds, cancels, accounts are disabled, the
// store fails, messages can't be read, the dispatcher is started again. Now and
// then all of that ends for a while. Then nothing may stay claimed, and all that
// can be delivered must have been, once.
func TestQueueLosesNothing(t *testing.T) {
	for seed := range *modelSeeds {
		synctest.Test(t, func(t *testing.T) { newWorld(t, seed).live() })
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
}

// How a place treats who connects to it.
const (
	well = iota
	refuses
	hangs
	silent   // it takes connections, and never greets
	busy     // 421 instead of a greeting
	few      // one connection at a time
	restless // the connection ends after each message
	grey     // recipients are postponed
	moods
)

// A place is a domain's server.
type place struct {
	*smtptest.Server
	mu   sync.Mutex
	mood int
	open int
}

func (p *place) set(mood int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mood = mood
}

func (p *place) script(_ int, line string) *smtptest.Step {
	p.mu.Lock()
	mood, open := p.mood, p.open
	p.mu.Unlock()
	switch {
	case line == smtptest.Connected && (mood == busy || mood == few && open > 1):
		return &smtptest.Step{Say: "421 4.3.2 too many", Hangup: true}
	case line == smtptest.Connected && mood == silent:
		return &smtptest.Step{}
	case mood == grey && strings.HasPrefix(line, "RCPT"):
		return smtptest.Say("451 4.7.1 later")
	case mood == restless && strings.HasPrefix(line, "MAIL") && rand.IntN(2) == 0:
		return &smtptest.Step{Say: "421 4.3.2 enough", Hangup: true}
	case line == smtptest.EndOfData:
		time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
		if mood == restless {
			return &smtptest.Step{Say: "250 2.0.0 taken, goodbye", Hangup: true}
		}
	}
	return nil
}

// A world has a store, a dispatcher, and places to send to. It is the Queue,
// Dialer and Resolver of its dispatcher.
type world struct {
	*sqlite.Store
	t        *testing.T
	random   *rand.Rand
	seed     uint64
	places   []*place
	accounts []store.AccountID
	stop     func()
	put      int

	mu       sync.Mutex
	unruly   bool // the store fails now and then
	failing  bool // Settle fails
	claimed  map[store.QueueID]store.QueueItem
	sent     map[string]bool
	open     int
	mistakes []string
}

const modelConcurrency, modelPerDestination = 6, 3

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 7)), claimed: make(map[store.QueueID]store.QueueItem), sent: make(map[string]bool)}
	var err error
	if w.Store, err = sqlite.Open(t.Context(), sqlite.Options{Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	w.must(w.AddDomain(t.Context(), store.Domain{Name: "our.test"}))
	for i := range 3 {
		a, err := w.AddAccount(t.Context(), store.Account{Address: mail.Address{Local: fmt.Sprint("user", i), Domain: "our.test"}})
		w.must(nil, err)
		w.accounts = append(w.accounts, a.ID)
	}
	for range 8 {
		p := &place{}
		p.Server = &smtptest.Server{Script: p.script}
		w.places = append(w.places, p)
	}
	return w
}

func (w *world) must(_ any, err error) {
	w.t.Helper()
	if err != nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound) {
		w.t.Error(err)
	}
}

func (w *world) mistake(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mistakes = append(w.mistakes, fmt.Sprintf(format, args...))
}

func (w *world) start() {
	d := &Dispatcher{
		Hostname: "mail.our.test", Queue: w, Directory: w.Store, Resolver: w, Dialer: w, PrivateDestinations: true,
		Schedule:    Schedule{Waits: []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute}, DelayNotice: 20 * time.Minute},
		Concurrency: modelConcurrency, PerDestination: modelPerDestination,
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); d.Run(ctx) }()
	w.stop = func() {
		start := time.Now()
		cancel()
		<-done
		if took := time.Since(start); took > 15*time.Second {
			w.mistake("it took %v to stop", took)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if n := len(w.claimed); n > 0 {
			w.mistakes = append(w.mistakes, fmt.Sprintf("%d items are claimed after the end", n))
		}
	}
}

// live goes through several times of trouble, each followed by peace.
func (w *world) live() {
	w.start()
	for range 4 {
		for range 60 {
			w.step()
			w.pass()
		}
		w.peace()
		time.Sleep(45 * time.Minute)
		synctest.Wait()
		w.judge()
		if w.t.Failed() {
			break
		}
	}
	w.stop()
	w.must(nil, w.Close())
	for _, m := range w.mistakes {
		w.t.Error(m)
	}
}

// pass lets time go by.
func (w *world) pass() {
	switch w.random.IntN(6) {
	case 0:
		time.Sleep(linger)
	case 1, 2:
		time.Sleep(time.Duration(w.random.IntN(300)) * time.Millisecond)
	case 3:
		time.Sleep(time.Duration(w.random.IntN(10)) * time.Second)
	case 4:
		time.Sleep(time.Duration(w.random.IntN(180)) * time.Second)
	}
}

func domainOf(i int) string { return fmt.Sprintf("d%d.test", i) }

// step has something happen.
func (w *world) step() {
	ctx, r := w.t.Context(), w.random
	i := r.IntN(len(w.places))
	domain := domainOf(i)
	switch r.IntN(24) {
	case 0, 1, 2, 3, 4, 5, 6:
		for range 1 + r.IntN(12) {
			w.post()
		}
	case 7, 8, 9, 10:
		w.places[i].set(r.IntN(moods))
	case 11:
		w.places[i].set(well)
	case 12:
		w.must(nil, w.PauseDomain(ctx, domain))
	case 13:
		w.must(nil, w.ResumeDomain(ctx, domain))
	case 14:
		if !w.routes() {
			break
		}
		w.must(w.AddRoute(ctx, store.Route{Domain: domain, Host: domainOf(r.IntN(len(w.places))), Port: 25}))
	case 15:
		w.must(nil, w.RemoveRoute(ctx, domain, store.For{}))
	case 16, 17:
		w.must(w.RetryQueue(ctx, store.QueueFilter{Domain: domain}))
	case 18:
		w.must(w.HoldQueue(ctx, store.QueueFilter{Domain: domain}))
	case 19:
		w.must(w.ReleaseQueue(ctx, store.QueueFilter{Domain: domain}))
	case 20:
		w.must(nil, w.SetStanding(ctx, w.accounts[r.IntN(2)], store.Standing(r.IntN(2))))
	case 21:
		w.set(r.IntN(2) == 0, r.IntN(3) == 0)
	case 22:
		if w.set(w.unruly, false); r.IntN(3) == 0 {
			w.stop()
			w.start()
		}
	case 23:
		if r.IntN(3) == 0 {
			w.must(w.ReturnQueue(ctx, store.QueueFilter{Domain: domain}))
		}
	}
}

// routes reports whether several ways may lead to one place.
func (w *world) routes() bool { return w.seed%2 == 1 }

func (w *world) set(unruly, failing bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unruly, w.failing = unruly, failing
}

// post queues one message to some recipients.
func (w *world) post() {
	r := w.random
	a := store.Acceptance{ID: w.NewMessageID(), At: time.Now(), Body: strings.NewReader(letter), Size: int64(len(letter))}
	if k := r.IntN(4); k < len(w.accounts) {
		a.Account = w.accounts[k]
		a.Envelope.Sender = mail.Address{Local: fmt.Sprint("user", k), Domain: "our.test"}
	}
	for range 1 + r.IntN(3) {
		w.put++
		to := mail.Address{Local: fmt.Sprint("n", w.put), Domain: domainOf(r.IntN(len(w.places)))}
		a.Outbound = append(a.Outbound, store.Outbound{Sender: a.Envelope.Sender, Recipient: mail.Recipient{Address: to}})
	}
	if err := w.Accept(w.t.Context(), a); err != nil && !errors.Is(err, store.ErrDisabled) {
		w.t.Error(err)
	}
}

// peace ends all that is in the way of mail, but tells nobody to hurry.
func (w *world) peace() {
	ctx := w.t.Context()
	w.set(false, false)
	for i, p := range w.places {
		p.set(well)
		w.must(nil, w.ResumeDomain(ctx, domainOf(i)))
	}
	for _, id := range w.accounts {
		w.must(nil, w.SetStanding(ctx, id, store.Enabled))
	}
	w.must(w.ReleaseQueue(ctx, store.QueueFilter{}))
}

// judge says what is wrong after a time of peace.
func (w *world) judge() {
	items, err := w.Queue(w.t.Context(), store.QueueFilter{})
	w.must(nil, err)
	for _, item := range items {
		w.mistake("%s is still here: due in %v, sending %v, held %v, %d attempts, %q",
			item.Recipient.Address, time.Until(item.Due), item.Sending, item.Hold, item.Attempts, item.LastReply)
	}
	w.mu.Lock()
	for id := range w.claimed {
		w.mistakes = append(w.mistakes, fmt.Sprintf("item %d is claimed", id))
	}
	w.mu.Unlock()
	got := make(map[string]int)
	for _, p := range w.places {
		for _, m := range p.Messages() {
			for _, to := range m.Rcpt {
				to, _, _ = strings.Cut(strings.TrimPrefix(to, "RCPT TO:<"), ">")
				got[to]++
			}
		}
	}
	if len(got) != len(w.sent) {
		w.mistake("%d recipients got something, and %d are settled as sent", len(got), len(w.sent))
	}
	for to, n := range got {
		if n > 1 || !w.sent[to] {
			w.mistake("%s got it %d times, sent %v", to, n, w.sent[to])
		}
	}
	if len(w.mistakes) > 0 {
		w.t.Errorf("seed %d, after a time of peace:\n%s", w.seed, strings.Join(w.mistakes, "\n"))
		w.mistakes = nil
	}
}

func (w *world) trouble() (unruly, failing bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.unruly && rand.IntN(8) == 0, w.failing
}

func (w *world) ClaimLane(ctx context.Context, c store.LaneClaim) (store.Claimed, error) {
	if unruly, _ := w.trouble(); unruly {
		return store.Claimed{}, errors.New("disk gone")
	}
	w.dawdle()
	claimed, err := w.Store.ClaimLane(ctx, c)
	defer w.dawdle()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, item := range claimed.Items {
		if _, ok := w.claimed[item.ID]; ok {
			w.mistakes = append(w.mistakes, fmt.Sprintf("item %d was claimed twice", item.ID))
		}
		w.claimed[item.ID] = item
	}
	return claimed, err
}

func (w *world) Settle(ctx context.Context, s store.Settlement) error {
	if _, failing := w.trouble(); failing {
		return store.ErrDiskFull
	}
	w.mu.Lock()
	for _, o := range s.Outcomes {
		switch item, ok := w.claimed[o.Item]; {
		case !ok:
			w.mistakes = append(w.mistakes, fmt.Sprintf("item %d was settled by who hasn't claimed it", o.Item))
		case o.Result == store.Sent:
			w.sent[o.Recipient.String()] = true
		case o.Result == store.Failed && !item.Cancel:
			w.mistakes = append(w.mistakes, fmt.Sprintf("%s failed: %s", o.Recipient, o.Reply))
		}
		delete(w.claimed, o.Item)
	}
	w.mu.Unlock()
	w.dawdle()
	err := w.Store.Settle(ctx, s)
	if err != nil {
		w.mistake("settle: %v", err)
	}
	return err
}

func (w *world) OpenMessage(ctx context.Context, id store.MessageID) (*store.Body, error) {
	if unruly, _ := w.trouble(); unruly {
		if rand.IntN(2) == 0 {
			panic("a bug")
		}
		return nil, errors.New("disk gone")
	}
	return w.Store.OpenMessage(ctx, id)
}

func (w *world) Withdrawn(ctx context.Context, ids []store.QueueID) ([]store.QueueID, error) {
	w.dawdle()
	return w.Store.Withdrawn(ctx, ids)
}

// dawdle takes a while now and then, as a busy disk does.
func (w *world) dawdle() {
	if rand.IntN(4) == 0 {
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond)
	}
}

func (w *world) LookupMX(context.Context, string) ([]*net.MX, error) { return nil, nil }

func (w *world) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	var i byte
	if _, err := fmt.Sscanf(host, "d%d.test", &i); err != nil {
		return nil, &net.DNSError{Err: "no such domain", Name: host, IsNotFound: true}
	}
	return []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, i})}, nil
}

func (w *world) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	p := w.places[netip.MustParseAddrPort(address).Addr().As4()[3]]
	p.mu.Lock()
	mood := p.mood
	p.mu.Unlock()
	switch mood {
	case refuses:
		return nil, errors.New("connection refused")
	case hangs:
		<-ctx.Done()
		return nil, ctx.Err()
	}
	here, there := net.Pipe()
	w.count(p, 1)
	go p.ServeConn(there)
	return &lastingConn{Conn: here, closed: func() { w.count(p, -1) }}, nil
}

// count keeps the number of connections.
func (w *world) count(p *place, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	w.open += n
	p.open += n
	if w.open > modelConcurrency {
		w.mistakes = append(w.mistakes, fmt.Sprintf("%d connections at once", w.open))
	}
	if p.open > modelPerDestination && !w.routes() {
		w.mistakes = append(w.mistakes, fmt.Sprintf("%d connections to one destination", p.open))
	}
}

// A lastingConn tells when it is closed.
type lastingConn struct {
	net.Conn
	once   sync.Once
	closed func()
}

func (c *lastingConn) Close() error {
	c.once.Do(c.closed)
	return c.Conn.Close()
}
