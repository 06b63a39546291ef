package bench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// seenLimit is how long the last message may take to appear in its maildrop.
const seenLimit = 5 * time.Minute

// measure drives one target for at least d and waits until everything that it
// accepted is seen in the maildrops.
func measure(ctx context.Context, target Target, size, connections int, d time.Duration, own *Server) (Result, error) {
	boxes := min(connections, mailboxes)
	before, err := countAll(ctx, target, boxes)
	if err != nil {
		return Result{}, err
	}
	watch := startWALWatch(own)
	begin := time.Now()
	latencies, err := load(ctx, target, size, connections, func(int) bool { return time.Since(begin) < d })
	maxWAL := watch.stop()
	if err != nil {
		return Result{}, err
	}
	if err := awaitAll(ctx, target, before, latencies, connections); err != nil {
		return Result{}, err
	}
	r := summarize(slices.Concat(latencies...), time.Since(begin))
	r.Target, r.Size, r.Connections = target.Name, size, connections
	if target.SMTP == own.SMTP {
		r.MaxWAL = maxWAL
	}
	return r, nil
}

// load sends on several connections at once, each to a mailbox of its own (the
// first ones again where there are more than mailboxes), while more says so.
// It returns the accept latencies by connection.
func load(ctx context.Context, target Target, size, connections int, more func(sent int) bool) ([][]time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	message := target.Message
	if message == nil {
		message = Plain(size)
	}
	message = DotStuff(message)
	latencies := make([][]time.Duration, connections)
	var senders sync.WaitGroup
	for i := range connections {
		senders.Go(func() {
			var err error
			if latencies[i], err = sendMany(ctx, target.SMTP, target.user(i%mailboxes), message, more); err != nil {
				cancel(fmt.Errorf("connection %d: %w", i+1, err))
			}
		})
	}
	senders.Wait()
	return latencies, context.Cause(ctx)
}

// sendMany sends one message after the other on one connection.
func sendMany(ctx context.Context, addr, to string, message []byte, more func(sent int) bool) ([]time.Duration, error) {
	c, err := DialSMTP(ctx, addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var latencies []time.Duration
	for ctx.Err() == nil && more(len(latencies)) {
		if _, err := c.Begin("sender@elsewhere.test", to); err != nil {
			return latencies, err
		}
		_, took, err := c.Data(message)
		if err != nil {
			return latencies, err
		}
		latencies = append(latencies, took)
	}
	c.Quit()
	return latencies, nil
}

// countAll returns how many messages each mailbox holds.
func countAll(ctx context.Context, target Target, boxes int) ([]int, error) {
	counts := make([]int, boxes)
	for i := range counts {
		var err error
		if counts[i], err = countOne(ctx, target, i); err != nil {
			return nil, err
		}
	}
	return counts, nil
}

func countOne(ctx context.Context, target Target, box int) (int, error) {
	c, err := OpenMaildrop(ctx, target.POP3, target.user(box), target.Password)
	if err != nil {
		return 0, err
	}
	n, err := c.Count()
	if err != nil {
		return 0, err
	}
	return n, c.Quit()
}

// awaitAll waits until every mailbox holds what was accepted for it, and fails
// if one ever holds more.
func awaitAll(ctx context.Context, target Target, before []int, latencies [][]time.Duration, connections int) error {
	want := slices.Clone(before)
	for i := range connections {
		want[i%mailboxes] += len(latencies[i])
	}
	for box := range want {
		err := until(ctx, seenLimit, 20*time.Millisecond, func() (bool, error) {
			n, err := countOne(ctx, target, box)
			if n > want[box] {
				return false, fmt.Errorf("%d messages instead of %d", n, want[box])
			}
			return n == want[box], err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", target.user(box), err)
		}
	}
	return nil
}

func summarize(latencies []time.Duration, took time.Duration) Result {
	slices.Sort(latencies)
	r := Result{Messages: len(latencies), Seconds: took.Seconds()}
	if len(latencies) == 0 {
		return r
	}
	r.PerSecond = float64(len(latencies)) / took.Seconds()
	ms := func(q float64) float64 {
		return float64(latencies[int(q*float64(len(latencies)-1))].Microseconds()) / 1000
	}
	r.P50, r.P99, r.Max = ms(.5), ms(.99), ms(1)
	return r
}
