package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"time"
)

const judgePassword = "correct horse judge"

// Crash kills a server again and again while mail goes in, out and away, and
// then judges whether every promise was kept: what was answered 250 is in every
// maildrop it was accepted for exactly once, or was collected there, and on its
// way to every remote recipient, octet for octet.
type Crash struct {
	Program  string        // the postroom executable
	Dir      string        // holds the server's folder; empty: a temporary one, removed afterwards unless something is wrong
	Rounds   int           // how often the server is killed; zero: 50
	Senders  int           // zero: 20
	MaxReady time.Duration // the longest a start after a kill may take; zero: 2 s
	Seed     uint64        // of the random choices; zero: another one each time
}

// errLost is what Crash returns when a promise was broken.
var errLost = errors.New("the judge found violations")

// Run does it all and prints a line for each round and a verdict. It fails if
// anything was lost, doubled or damaged, and if ctx ends before.
func (c Crash) Run(ctx context.Context, out io.Writer) (err error) {
	c = c.withDefaults()
	dir := c.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "postroom-crash-"); err != nil {
			return fmt.Errorf("temporary folder: %w", err)
		}
		defer func() {
			if errors.Is(err, errLost) {
				fmt.Fprintf(out, "the data is kept in %s\n", dir)
				return
			}
			os.RemoveAll(dir)
		}()
	}
	j, err := newJudge(c, dir, out)
	if err != nil {
		return err
	}
	defer j.close()
	return j.run(ctx)
}

func (c Crash) withDefaults() Crash {
	if c.Rounds == 0 {
		c.Rounds = 50
	}
	if c.Senders == 0 {
		c.Senders = 20
	}
	if c.MaxReady == 0 {
		c.MaxReady = 2 * time.Second
	}
	if c.Seed == 0 {
		c.Seed = rand.Uint64()
	}
	return c
}

// A judge is one run of Crash.
type judge struct {
	Crash
	out      io.Writer
	journal  *journal
	server   *Server
	dns      *DNS
	sink     *sink
	senders  []string             // accounts that submit mail and get the bounces
	drops    map[string]*maildrop // by account, all of them
	collect  []string             // accounts whose mail is collected and deleted while mail comes in
	keep     []string             // accounts whose mail stays to the end
	random   *rand.Rand
	quitting chan struct{} // a QUIT is on its way
	inData   chan struct{} // the sink has a message half in
	settling chan struct{} // the sink has answered 250
	slowest  time.Duration // start after a kill
}

func newJudge(c Crash, dir string, out io.Writer) (*judge, error) {
	j := &judge{
		Crash: c, out: out, journal: newJournal(), drops: make(map[string]*maildrop), random: rand.New(rand.NewPCG(c.Seed, 1)),
		quitting: make(chan struct{}, 1), inData: make(chan struct{}, 1), settling: make(chan struct{}, 1),
	}
	for i := range 4 {
		j.senders = append(j.senders, fmt.Sprintf("sender%d@judge.test", i))
		j.collect = append(j.collect, fmt.Sprintf("collect%d@judge.test", i))
		j.keep = append(j.keep, fmt.Sprintf("keep%d@judge.test", i))
	}
	for _, account := range j.accounts() {
		j.drops[account] = newMaildrop(j.journal, account)
	}
	var err error
	if j.dns, err = StartDNS("*.remote.test. 60 IN MX 10 mx.remote.test.", "mx.remote.test. 60 IN A 127.0.0.2"); err != nil {
		return nil, err
	}
	if j.sink, err = startSink(j.journal.sinkTook, func() { tell(j.inData) }, func() { tell(j.settling) }); err != nil {
		j.close()
		return nil, err
	}
	if j.server, err = NewServer(c.Program, dir); err != nil {
		j.close()
		return nil, err
	}
	_, port, _ := net.SplitHostPort(j.sink.Addr)
	j.server.Env = []string{
		"POSTROOM_DNS_SERVERS=" + j.dns.Addr, "POSTROOM_DELIVERY_PORT=" + port,
		"POSTROOM_DELIVERY_PRIVATE_DESTINATIONS=true", "POSTROOM_DELIVERY_RETRY=1s,2s",
	}
	return j, nil
}

func (j *judge) close() {
	if j.server != nil {
		_ = j.server.Kill()
	}
	if j.sink != nil {
		j.sink.Close()
	}
	j.dns.Close()
}

func (j *judge) accounts() []string {
	return append(append(append([]string{}, j.senders...), j.collect...), j.keep...)
}

// tell leaves a sign for whoever waits, and never waits itself.
func tell(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (j *judge) run(ctx context.Context) error {
	fmt.Fprintf(j.out, "%d rounds, %d senders, seed %d\n", j.Rounds, j.Senders, j.Seed)
	if err := j.firstStart(ctx); err != nil {
		return err
	}
	// On a slow machine a round may end before anybody has collected a message.
	for n := 0; n < j.Rounds || j.collected() == 0 && n < 4*j.Rounds; n++ {
		if err := j.round(ctx, n+1); err != nil {
			return err
		}
	}
	if err := j.drain(ctx); err != nil {
		return err
	}
	j.judge(ctx)
	if err := j.server.Stop(); err != nil {
		j.journal.blame("%v", err)
	}
	j.checkIntegrity(ctx)
	return j.verdict()
}

// firstStart kills the very first starts, while the database is being made, and
// then makes the accounts.
func (j *judge) firstStart(ctx context.Context) error {
	for _, after := range []time.Duration{0, 5, 15, 30, 60} {
		if err := j.server.Launch(); err != nil {
			return err
		}
		pause(ctx, after*time.Millisecond)
		if err := j.server.Kill(); err != nil {
			return err
		}
	}
	if err := j.start(ctx); err != nil {
		return err
	}
	return j.server.AddAccounts(ctx, judgePassword, j.accounts()...)
}

// start brings the server up and notes how long it took.
func (j *judge) start(ctx context.Context) error {
	ready, err := j.server.Start(ctx)
	if err != nil {
		return err
	}
	if ready > j.MaxReady {
		j.journal.blame("a start took %v", ready)
	}
	j.slowest = max(j.slowest, ready)
	return nil
}

func (j *judge) verdict() error {
	all := j.journal.tally(0)
	violations := j.journal.faults(0)
	for _, v := range violations {
		fmt.Fprintln(j.out, "VIOLATION:", v)
	}
	fmt.Fprintf(j.out, "%d messages: %v; %d recipients served at the sink; slowest start %v\n",
		all.total, all, len(j.journal.outcome().received), j.slowest.Round(time.Millisecond))
	if len(violations) > 0 {
		return fmt.Errorf("%w: %d", errLost, len(violations))
	}
	fmt.Fprintln(j.out, "nothing lost, nothing doubled, nothing damaged")
	return nil
}
