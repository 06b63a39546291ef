package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Backlog measures a server whose queue is very long: how long it takes to
// start, how much memory it needs, how quickly its queue can be listed, and
// whether fresh mail gets through while the backlog drains.
type Backlog struct {
	Program      string
	Dir          string // holds the server's folder; empty: a temporary one
	Messages     int    // zero: 50,000
	Recipients   int    // of each; zero: 20
	Destinations int    // zero: 20,000
	JSON         bool
}

// A BacklogReport is what was measured. Memory is the largest resident size.
type BacklogReport struct {
	Queued       int     `json:"queued"` // recipients
	FillSeconds  float64 `json:"fill_seconds"`
	StartSeconds float64 `json:"start_seconds"` // until it answers on every port
	ListSeconds  float64 `json:"list_seconds"`  // queue list --domain, the slowest of three
	Memory       int64   `json:"memory"`        // octets, from the start until it has drained
	FreshSent    int     `json:"fresh_sent"`    // while the backlog drained
	FreshMedian  float64 `json:"fresh_median_seconds"`
	FreshSlowest float64 `json:"fresh_slowest_seconds"` // from the client's DATA to the destination
	DrainSeconds float64 `json:"drain_seconds"`
	DrainRate    float64 `json:"drain_per_second"` // recipients
}

// What must hold.
const (
	maxBacklogStart  = 5 * time.Second
	maxBacklogList   = time.Second
	maxBacklogFresh  = time.Second
	maxBacklogMemory = 300 << 20
)

// Run measures and prints. It fails if anything isn't delivered, or if a bound
// was passed.
func (b Backlog) Run(ctx context.Context, out io.Writer) (err error) {
	if b.Messages == 0 {
		b.Messages, b.Recipients, b.Destinations = 50_000, 20, 20_000
	}
	if b.Dir == "" {
		if b.Dir, err = os.MkdirTemp("", "postroom-bench-"); err != nil {
			return fmt.Errorf("temporary folder: %w", err)
		}
		defer os.RemoveAll(b.Dir)
	}
	remote, server, stop, err := startOutbound(ctx, b.Program, b.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	report, err := b.measure(ctx, remote, server, out)
	if err != nil {
		return err
	}
	return errors.Join(report.print(out, b.JSON), report.judge())
}

func (b Backlog) measure(ctx context.Context, remote *receiver, server *Server, out io.Writer) (r BacklogReport, err error) {
	r.Queued = b.Messages * b.Recipients
	b.say(out, "filling the queue with %d recipients …\n", r.Queued)
	begin := time.Now()
	if err := b.fill(ctx, server); err != nil {
		return r, err
	}
	r.FillSeconds = time.Since(begin).Seconds()
	b.say(out, "  %.0f s\nstarting again …\n", r.FillSeconds)
	if err := errors.Join(server.Kill(), b.connect(server)); err != nil {
		return r, err
	}
	took, err := server.Start(ctx)
	if err != nil {
		return r, err
	}
	r.StartSeconds = took.Seconds()
	begin = time.Now()
	watching, stopWatch := context.WithCancel(ctx)
	defer stopWatch()
	var watch sync.WaitGroup
	watch.Go(func() {
		for pause(watching, 50*time.Millisecond) {
			r.Memory = max(r.Memory, residentSize(server.PID()))
		}
	})
	if r.ListSeconds, err = b.list(ctx, server); err != nil {
		return r, err
	}
	b.say(out, "  %.1f s, list %.2f s\ndraining …\n", r.StartSeconds, r.ListSeconds)
	if err := b.fresh(ctx, remote, server, &r); err != nil {
		return r, err
	}
	if err := b.drained(ctx, remote, server, r.Queued); err != nil {
		return r, err
	}
	_, _, last := remote.state(func(string) bool { return false })
	r.DrainSeconds = last.Sub(begin).Seconds()
	r.DrainRate = float64(r.Queued) / r.DrainSeconds
	stopWatch()
	watch.Wait()
	return r, nil
}

const backlogZone = "backlog.test"

// fill submits everything while no destination can be reached.
func (b Backlog) fill(ctx context.Context, server *Server) error {
	if _, err := server.Command(ctx, "", "route", "add", "*", "127.0.0.4:1"); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var senders sync.WaitGroup
	const connections = 20
	for k := range connections {
		senders.Go(func() {
			if err := b.fillSome(ctx, server, k, connections); err != nil {
				cancel(fmt.Errorf("fill: %w", err))
			}
		})
	}
	senders.Wait()
	return context.Cause(ctx)
}

func (b Backlog) fillSome(ctx context.Context, server *Server, first, step int) error {
	c, err := DialSMTP(ctx, server.Submission)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Login(outboundSender, benchPassword); err != nil {
		return err
	}
	for m := first; m < b.Messages && ctx.Err() == nil; m += step {
		to := make([]string, b.Recipients)
		for k := range to {
			to[k] = fmt.Sprintf("r%d@d%d.%s", m, (m*b.Recipients+k)%b.Destinations, backlogZone)
		}
		if err := submitOne(c, to...); err != nil {
			return err
		}
	}
	c.Quit()
	return nil
}

// connect lets the destinations be reached from the next start on.
func (b Backlog) connect(server *Server) error {
	_, err := server.Command(context.Background(), "", "route", "remove", "*")
	return err
}

// list asks for one domain's part of the queue.
func (b Backlog) list(ctx context.Context, server *Server) (slowest float64, err error) {
	for i := range 3 {
		begin := time.Now()
		domain := fmt.Sprintf("d%d.%s", b.Destinations-1-i, backlogZone)
		text, err := server.Command(ctx, "", "queue", "list", "--json", "--domain", domain)
		if err != nil {
			return 0, err
		}
		slowest = max(slowest, time.Since(begin).Seconds())
		if i == 0 && !bytes.Contains(text, []byte(domain)) {
			return 0, fmt.Errorf("the queue of %s is not listed", domain)
		}
	}
	return slowest, nil
}

// fresh sends mail to other destinations, one a time, as long as the backlog
// drains, at most twenty.
func (b Backlog) fresh(ctx context.Context, remote *receiver, server *Server, r *BacklogReport) error {
	c, err := DialSMTP(ctx, server.Submission)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Login(freshSender, benchPassword); err != nil {
		return err
	}
	var waits []float64
	backlog := func(recipient string) bool { return strings.HasSuffix(recipient, backlogZone) }
	for i := range 20 {
		if taken, _, _ := remote.state(backlog); taken >= r.Queued {
			break
		}
		to := fmt.Sprintf("fresh@d%d.%s", i, healthyZone)
		begin := time.Now()
		if err := submitFrom(c, freshSender, to); err != nil {
			return err
		}
		err := until(ctx, time.Minute, time.Millisecond, func() (bool, error) { return remote.has(to), nil })
		if err != nil {
			return fmt.Errorf("fresh mail: %w", err)
		}
		waits = append(waits, time.Since(begin).Seconds())
		pause(ctx, 500*time.Millisecond)
	}
	if len(waits) == 0 {
		return errors.New("the backlog had drained before fresh mail could be sent")
	}
	slices.Sort(waits)
	r.FreshSent, r.FreshMedian, r.FreshSlowest = len(waits), waits[len(waits)/2], waits[len(waits)-1]
	return nil
}

// drained waits until everything has arrived, however long it takes as long as
// there is progress.
func (b Backlog) drained(ctx context.Context, remote *receiver, server *Server, want int) error {
	backlog := func(recipient string) bool { return strings.HasSuffix(recipient, backlogZone) }
	for before := -1; ; {
		taken, _, _ := remote.state(backlog)
		switch {
		case taken == want:
			return nil
		case taken == before:
			return fmt.Errorf("the backlog stands at %d of %d: %s", taken, want, server.LogTail())
		}
		before = taken
		err := until(ctx, time.Minute, 100*time.Millisecond, func() (bool, error) {
			taken, _, _ := remote.state(backlog)
			return taken == want, nil
		})
		if err != nil && ctx.Err() != nil {
			return err
		}
	}
}

func (b Backlog) say(out io.Writer, format string, args ...any) {
	if !b.JSON {
		fmt.Fprintf(out, format, args...)
	}
}

func (r BacklogReport) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	_, err := fmt.Fprintf(out, "%d recipients queued: start %.1f s, memory %.0f MB, list of one domain %.2f s;\n"+
		"fresh mail %.0f ms (median of %d; slowest %.0f ms) while %.0f a second drained, %.0f s in all\n",
		r.Queued, r.StartSeconds, float64(r.Memory)/(1<<20), r.ListSeconds,
		1000*r.FreshMedian, r.FreshSent, 1000*r.FreshSlowest, r.DrainRate, r.DrainSeconds)
	return err
}

// judge fails if a bound was passed.
func (r BacklogReport) judge() error {
	var failures []error
	for _, bound := range []struct {
		what      string
		got, most float64
	}{
		{"start, in seconds", r.StartSeconds, maxBacklogStart.Seconds()},
		{"list, in seconds", r.ListSeconds, maxBacklogList.Seconds()},
		{"fresh mail, in seconds", r.FreshSlowest, maxBacklogFresh.Seconds()},
		{"memory, in octets", float64(r.Memory), maxBacklogMemory},
	} {
		if bound.got > bound.most {
			failures = append(failures, fmt.Errorf("%s: %.2f, more than %.0f", bound.what, bound.got, bound.most))
		}
	}
	return errors.Join(failures...)
}

// residentSize returns the memory of a process in octets, 0 if it can't be read.
func residentSize(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
