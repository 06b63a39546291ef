package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// sickOf is how many destinations of each sick kind are among the others.
const sickOf = 10

// Outbound measures what sick destinations cost the others: the same mail to
// the same healthy destinations, with and without some that hang, refuse
// connections or put everybody off, in turns.
type Outbound struct {
	Program      string
	Dir          string // holds the servers' folders; empty: a temporary one
	Destinations int    // in all; zero: 1000
	Messages     int    // to each destination; zero: 6
	Pairs        int    // zero: 5
	JSON         bool
}

// An OutboundResult is one cell.
type OutboundResult struct {
	Pair      int     `json:"pair"`
	Sick      bool    `json:"sick"`
	Delivered int     `json:"delivered"`  // to healthy destinations
	PerSecond float64 `json:"per_second"` // of them
	P50       float64 `json:"p50_ms"`     // from the client's DATA to the destination
	P99       float64 `json:"p99_ms"`
	Late      int     `json:"late"` // delivered to those that put everybody off
}

// Run measures the pairs and prints each cell, and the median ratio. It fails if
// anything deliverable isn't delivered, or is delivered twice.
func (o Outbound) Run(ctx context.Context, out io.Writer) (err error) {
	if o.Destinations == 0 {
		o.Destinations = 1000
	}
	if o.Messages == 0 {
		o.Messages = 6
	}
	if o.Pairs == 0 {
		o.Pairs = 5
	}
	if o.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "postroom-bench-"); err != nil {
			return fmt.Errorf("temporary folder: %w", err)
		}
		defer os.RemoveAll(o.Dir)
	}
	var ratios []float64
	for pair := range o.Pairs {
		var rate [2]float64
		for turn := range 2 {
			sick := (turn+pair)%2 == 0 // now the one goes first, now the other
			r, err := o.cell(ctx, pair+1, sick)
			if err != nil {
				return err
			}
			if sick {
				rate[1] = r.PerSecond
			} else {
				rate[0] = r.PerSecond
			}
			if err := o.print(out, r); err != nil {
				return err
			}
		}
		ratios = append(ratios, rate[1]/rate[0])
	}
	slices.Sort(ratios)
	_, err = fmt.Fprintf(out, "with sick destinations: %.2f of the throughput without (median of %d pairs, %.2f to %.2f)\n",
		ratios[len(ratios)/2], len(ratios), ratios[0], ratios[len(ratios)-1])
	return err
}

func (o Outbound) print(out io.Writer, r OutboundResult) error {
	if o.JSON {
		return json.NewEncoder(out).Encode(r)
	}
	word := "healthy alone"
	if r.Sick {
		word = "with sick ones"
	}
	_, err := fmt.Fprintf(out, "pair %d, %-14s: %d delivered, %.0f a second, p50 %.0f ms, p99 %.0f ms, %d late ones\n",
		r.Pair, word, r.Delivered, r.PerSecond, r.P50, r.P99, r.Late)
	return err
}

// The kinds of destinations, as their domains say.
const (
	healthyZone = "healthy.test"
	hangingZone = "hanging.test"
	refusedZone = "refused.test"
	greyZone    = "grey.test"
)

// cell runs a new server over the work once.
func (o Outbound) cell(ctx context.Context, pair int, sick bool) (result OutboundResult, err error) {
	dir, err := os.MkdirTemp(o.Dir, "cell-")
	if err != nil {
		return result, fmt.Errorf("folder of a cell: %w", err)
	}
	defer os.RemoveAll(dir)
	remote, server, stop, err := startOutbound(ctx, o.Program, dir)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, stop()) }()

	work := o.work(sick)
	begin := time.Now()
	if err := submitAll(ctx, server, work); err != nil {
		return result, err
	}
	healthy := o.Destinations - 3*sickOf
	want := healthy * o.Messages
	if err := remote.await(ctx, healthyZone, want); err != nil {
		return result, err
	}
	remote.mu.Lock()
	end, all := remote.last, slices.Clone(remote.latencies)
	remote.mu.Unlock()
	timing := summarize(all, end.Sub(begin))
	result.Pair, result.Sick, result.Delivered = pair, sick, want
	result.PerSecond, result.P50, result.P99 = float64(want)/end.Sub(begin).Seconds(), timing.P50, timing.P99
	if sick {
		result.Late = sickOf * o.Messages
		return result, remote.await(ctx, greyZone, result.Late)
	}
	return result, nil
}

// await waits until every recipient in a zone has got its message.
func (r *receiver) await(ctx context.Context, zone string, want int) error {
	in := func(recipient string) bool { return strings.HasSuffix(recipient, zone) }
	var taken, doubled int
	err := until(ctx, 5*time.Minute, 5*time.Millisecond, func() (bool, error) {
		taken, doubled, _ = r.state(in)
		return taken >= want, nil
	})
	switch {
	case err != nil:
		return fmt.Errorf("%s: %d of %d delivered: %w", zone, taken, want, err)
	case doubled > 0:
		return fmt.Errorf("%s: %d delivered twice", zone, doubled)
	}
	return nil
}

// work lists the recipients in the order in which they are sent to: every
// destination in turn.
func (o Outbound) work(sick bool) []string {
	var list []string
	for n := range o.Messages {
		for d := range o.Destinations {
			zone := healthyZone
			if kind := d % (o.Destinations / sickOf); kind < 3 && d/(o.Destinations/sickOf) < sickOf {
				if !sick {
					continue
				}
				zone = []string{hangingZone, refusedZone, greyZone}[kind]
			}
			list = append(list, fmt.Sprintf("r%d@d%d.%s", n, d, zone))
		}
	}
	return list
}

// Who submits.
const (
	outboundSender = "sender@judge.test"
	freshSender    = "fresh@judge.test"
)

// startOutbound starts a receiver, a name server that knows all zones, and a
// postroom that may send to them.
func startOutbound(ctx context.Context, program, dir string) (remote *receiver, server *Server, stop func() error, err error) {
	if remote, err = startReceiver(); err != nil {
		return nil, nil, nil, err
	}
	names, err := StartDNS(
		"*.backlog.test. 300 IN MX 10 mx.quick.test.",
		"*.healthy.test. 300 IN MX 10 mx.quick.test.", "mx.quick.test. 300 IN A "+quickIP,
		"*.hanging.test. 300 IN MX 10 mx.slow.test.", "mx.slow.test. 300 IN A "+hangingIP,
		"*.refused.test. 300 IN MX 10 mx.down.test.", "mx.down.test. 300 IN A "+refusedIP,
		"*.grey.test. 300 IN MX 10 mx.grey.test.", "mx.grey.test. 300 IN A "+greyIP,
	)
	if err != nil {
		remote.Close()
		return nil, nil, nil, err
	}
	stop = func() error {
		var err error
		if server != nil {
			err = server.Kill() // what hangs would hold up an orderly stop
		}
		names.Close()
		remote.Close()
		return err
	}
	if server, err = NewServer(program, dir); err != nil {
		return nil, nil, nil, errors.Join(err, stop())
	}
	server.Env = []string{
		"POSTROOM_DNS_SERVERS=" + names.Addr, "POSTROOM_DELIVERY_PORT=" + remote.port,
		"POSTROOM_DELIVERY_PRIVATE_DESTINATIONS=true", "POSTROOM_DELIVERY_RETRY=2s,5s,1m", "POSTROOM_DELIVERY_PER_DESTINATION=20",
	}
	if _, err = server.Start(ctx); err == nil {
		err = server.AddAccounts(ctx, benchPassword, outboundSender, freshSender)
	}
	if err != nil {
		return nil, nil, nil, errors.Join(err, stop())
	}
	return remote, server, stop, nil
}

// submitAll submits a message to each recipient, on 20 connections.
func submitAll(ctx context.Context, server *Server, work []string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var senders sync.WaitGroup
	const connections = 20
	for k := range connections {
		senders.Go(func() {
			if err := submitSome(ctx, server, work, k, connections); err != nil {
				cancel(fmt.Errorf("submit: %w", err))
			}
		})
	}
	senders.Wait()
	return context.Cause(ctx)
}

func submitSome(ctx context.Context, server *Server, work []string, first, step int) error {
	c, err := DialSMTP(ctx, server.Submission)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Login(outboundSender, benchPassword); err != nil {
		return err
	}
	for i := first; i < len(work) && ctx.Err() == nil; i += step {
		if err := submitOne(c, work[i]); err != nil {
			return err
		}
	}
	c.Quit()
	return nil
}

var outboundText = DotStuff(Plain(4096))

// submitOne sends one message on a connection that has logged in.
func submitOne(c *SMTPClient, to ...string) error { return submitFrom(c, outboundSender, to...) }

func submitFrom(c *SMTPClient, from string, to ...string) error {
	if _, err := c.Begin(from, to...); err != nil {
		return err
	}
	text := fmt.Appendf(nil, "%s%d\r\nFrom: <%s>\r\n", sentField, time.Now().UnixNano(), from)
	_, body, _ := strings.Cut(string(outboundText), "\r\n") // its own From
	_, _, err := c.Data(append(text, body...))
	return err
}
