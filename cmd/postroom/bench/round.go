package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// perRound bounds what one sender sends in a round, so that a run stays within
// minutes and a few gigabytes.
const perRound = 60

// A moment is when to kill.
type moment struct {
	name string
	wait func(ctx context.Context)
}

// round sends and collects until the server is killed, and starts it again.
func (j *judge) round(ctx context.Context, n int) error {
	moments := j.moments()
	m := moments[(n-1)%len(moments)]
	first := j.journal.tally(0).total
	faults := len(j.journal.faults(0))
	begin := time.Now()
	killed, err := j.loadAndKill(ctx, m)
	if err != nil {
		return err
	}
	if n%4 == 0 { // a start after a kill is killed too
		if err := j.killStart(ctx); err != nil {
			return err
		}
	}
	if n%10 == 0 {
		j.checkIntegrity(ctx)
	}
	if err := j.start(ctx); err != nil {
		return err
	}
	fmt.Fprintf(j.out, "round %2d: killed %s after %v; %v; %s\n", n, m.name,
		killed.Sub(begin).Round(time.Millisecond), j.journal.tally(first), verdictOf(j.journal.faults(faults)))
	return ctx.Err()
}

func verdictOf(faults []string) string {
	if len(faults) == 0 {
		return "ok so far"
	}
	return fmt.Sprintf("%d violations: %s", len(faults), faults[0])
}

// moments are the kinds of kill, one a round in turn.
func (j *judge) moments() []moment {
	return []moment{
		{"at random", func(ctx context.Context) { pause(ctx, j.between(100, 1500)) }},
		{"within QUIT", j.soonAfter(j.quitting)},
		{"within outbound DATA", j.soonAfter(j.inData)},
		{"while settling", j.soonAfter(j.settling)},
		{"within a checkpoint", j.atCheckpoint},
		{"at random, early", func(ctx context.Context) { pause(ctx, j.between(0, 150)) }},
	}
}

// between returns a random time of low to high milliseconds.
func (j *judge) between(low, high int) time.Duration {
	return time.Duration(low*1000+j.random.IntN((high-low)*1000)) * time.Microsecond
}

// soonAfter lets the load run for a while and then waits for a sign and a
// moment more.
func (j *judge) soonAfter(sign chan struct{}) func(context.Context) {
	return func(ctx context.Context) {
		if !pause(ctx, j.between(200, 1000)) {
			return
		}
		select { // an old one
		case <-sign:
		default:
		}
		select {
		case <-sign:
		case <-time.After(3 * time.Second):
		case <-ctx.Done():
		}
		pause(ctx, time.Duration(j.random.IntN(2000))*time.Microsecond)
	}
}

// atCheckpoint waits until the database file itself is written to: only a
// checkpoint does that.
func (j *judge) atCheckpoint(ctx context.Context) {
	pause(ctx, j.between(200, 600))
	file := filepath.Join(j.server.Data(), "postroom.db")
	before := modified(file)
	_ = until(ctx, 3*time.Second, 200*time.Microsecond, func() (bool, error) { return modified(file) != before, nil })
}

func modified(file string) time.Time {
	info, err := os.Stat(file)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// loadAndKill runs senders and collectors, kills the server at the moment and
// returns when that was.
func (j *judge) loadAndKill(ctx context.Context, m moment) (time.Time, error) {
	loadCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	var load sync.WaitGroup
	for i := range j.Senders {
		random := rand.New(rand.NewPCG(j.random.Uint64(), 2))
		load.Go(func() { j.send(loadCtx, i, random) })
	}
	for _, account := range j.collect {
		load.Go(func() { j.collectFrom(loadCtx, j.drops[account]) })
	}
	m.wait(ctx)
	killed := time.Now()
	err := j.server.Kill()
	cancel() // after the kill: until then everybody works
	load.Wait()
	return killed, errors.Join(err, ctx.Err())
}

// killStart starts the server and kills it before it is ready.
func (j *judge) killStart(ctx context.Context) error {
	if err := j.server.Launch(); err != nil {
		return err
	}
	pause(ctx, j.between(0, 80))
	return j.server.Kill()
}

// collectFrom visits a maildrop until the server is gone.
func (j *judge) collectFrom(ctx context.Context, m *maildrop) {
	for ctx.Err() == nil {
		n, err := m.visit(ctx, j.server, 40, true, func() { tell(j.quitting) })
		if err != nil {
			return
		}
		if n == 0 && !pause(ctx, 20*time.Millisecond) {
			return
		}
	}
}

// send sends messages until the server is gone or the sender has sent its part.
// Every second sender is another server that hands mail in, the others submit.
func (j *judge) send(ctx context.Context, i int, random *rand.Rand) {
	var c *SMTPClient
	defer func() {
		if c != nil {
			c.Close()
		}
	}()
	from, addr := "somebody@elsewhere.test", j.server.SMTP
	submit := i%2 == 1
	if submit {
		from, addr = j.senders[i/2%len(j.senders)], j.server.Submission
	}
	for range perRound {
		var err error
		if c == nil {
			if c, err = DialSMTP(ctx, addr); err != nil {
				return
			}
			if submit {
				if err = loginPatiently(ctx, c, from); err != nil {
					return
				}
			}
		}
		if err = j.sendOne(c, from, submit, random); err != nil || ctx.Err() != nil {
			return
		}
		if random.IntN(20) == 0 {
			c.Quit()
			c = nil
		}
	}
}

// loginPatiently tries again while the server is too busy to check passwords.
func loginPatiently(ctx context.Context, c *SMTPClient, user string) error {
	for {
		err := c.Login(user, judgePassword)
		var busy *SMTPError
		if err == nil || !errors.As(err, &busy) || busy.Code != 454 {
			return err
		}
		if !pause(ctx, 20*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// sendOne sends one message. It fails only if the connection can't be used any more.
func (j *judge) sendOne(c *SMTPClient, from string, submit bool, random *rand.Rand) error {
	r, content := j.journal.compose(from, randomSize(random))
	recipients := j.recipients(r.number, submit, random)
	taken, err := c.Begin(from, recipients...)
	if err != nil {
		if unlessRefused(err) == nil {
			j.journal.answered(r, refused, err.Error(), 0)
		}
		return unlessRefused(err)
	}
	for i, recipient := range recipients {
		if taken[i] {
			j.journal.taken(r, recipient, strings.HasSuffix(recipient, ".remote.test"))
		}
	}
	j.journal.answered(r, inDoubt, "", 0)
	reply, took, err := c.Data(DotStuff(content))
	switch refusal := (*SMTPError)(nil); {
	case err == nil:
		j.journal.answered(r, accepted, reply, took)
	case errors.As(err, &refusal):
		j.journal.answered(r, refused, refusal.Text, took)
	default:
		j.journal.answered(r, inDoubt, err.Error(), 0)
	}
	return unlessRefused(err)
}

func unlessRefused(err error) error {
	if refusal := (*SMTPError)(nil); errors.As(err, &refusal) && refusal.Code != 421 {
		return nil
	}
	return err
}

// randomSize is mostly a few KB and at most 1 MB.
func randomSize(random *rand.Rand) int {
	high := []int{4 << 10, 4 << 10, 8 << 10, 8 << 10, 8 << 10, 32 << 10, 32 << 10, 64 << 10, 256 << 10, 1 << 20}[random.IntN(10)]
	return 1<<10 + random.IntN(high-1<<10+1)
}

// recipients chooses one to three; those of a submission may be remote.
func (j *judge) recipients(number int, submit bool, random *rand.Rand) []string {
	local := slices.Concat(j.collect, j.keep, j.senders[:1])
	var chosen []string
	for i := range 1 + random.IntN(3) {
		next := local[random.IntN(len(local))]
		if submit && random.IntN(2) == 0 {
			kind := []string{"take", "take", "take", "defer", "reject"}[random.IntN(5)]
			next = fmt.Sprintf("%s-%d-%d@d%d.remote.test", kind, number, i, random.IntN(5))
		}
		if !slices.Contains(chosen, next) {
			chosen = append(chosen, next)
		}
	}
	return chosen
}
