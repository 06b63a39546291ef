package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// What must hold in walLoad of full load.
const (
	walLoad      = 60 * time.Second
	maxWAL       = 256 << 20
	maxAccept    = 500 * time.Millisecond
	fillAddress  = "fill@judge.test"
	fillSessions = 20
)

// A walWatch samples the size of a server's WAL.
type walWatch struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	max    int64
}

func startWALWatch(s *Server) *walWatch {
	ctx, cancel := context.WithCancel(context.Background())
	w := &walWatch{cancel: cancel, max: s.WALSize()}
	w.done.Go(func() {
		for pause(ctx, 5*time.Millisecond) {
			w.max = max(w.max, s.WALSize())
		}
	})
	return w
}

// stop returns the largest size seen, in octets.
func (w *walWatch) stop() int64 {
	w.cancel()
	w.done.Wait()
	return w.max
}

// A WALReport says how the WAL and the accepts fared under full load.
type WALReport struct {
	Seconds   float64 `json:"seconds"`
	Messages  int     `json:"messages"`
	PerSecond float64 `json:"per_second"`
	MaxWAL    int64   `json:"max_wal"` // octets
	MaxAccept float64 `json:"max_accept_ms"`
	P99       float64 `json:"accept_p99_ms"`
}

// watchWAL loads the server with small and large messages at once.
func (s Speed) watchWAL(ctx context.Context, server *Server, own Target, out io.Writer) error {
	d := max(walLoad, s.Duration)
	s.say(out, "full load for %v …\n", d)
	watch := startWALWatch(server)
	begin := time.Now()
	more := func(int) bool { return time.Since(begin) < d }
	latencies := make([][]time.Duration, 2)
	errs := make([]error, 2)
	var both sync.WaitGroup
	for i, size := range []int{4096, 102400} {
		both.Go(func() {
			var by [][]time.Duration
			by, errs[i] = load(ctx, own, size, 50, more)
			latencies[i] = slices.Concat(by...)
		})
	}
	both.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	r := summarize(slices.Concat(latencies...), time.Since(begin))
	return s.judgeWAL(out, WALReport{r.Seconds, r.Messages, r.PerSecond, watch.stop(), r.Max, r.P99})
}

func (s Speed) judgeWAL(out io.Writer, r WALReport) error {
	if s.JSON {
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return fmt.Errorf("print report: %w", err)
		}
	}
	s.say(out, "%d messages in %.0f s (%.0f/s): largest WAL %s, slowest accept %.0f ms (p99 %.0f ms)\n",
		r.Messages, r.Seconds, r.PerSecond, megabytes(r.MaxWAL), r.MaxAccept, r.P99)
	if r.MaxWAL >= maxWAL {
		return fmt.Errorf("the WAL grew to %d MB, the bound is %d MB", r.MaxWAL>>20, maxWAL>>20)
	}
	if slowest := time.Duration(r.MaxAccept * float64(time.Millisecond)); slowest > maxAccept {
		return fmt.Errorf("an accept took %v, the bound is %v", slowest, maxAccept)
	}
	return nil
}

// fill sends mail to an account of its own until the database holds s.Fill octets.
func (s Speed) fill(ctx context.Context, server *Server, own Target, out io.Writer) error {
	if s.Fill == 0 {
		return nil
	}
	s.say(out, "filling the store to %s …\n", megabytes(s.Fill))
	target := own
	target.User = fillAddress // one for all connections
	_, err := load(ctx, target, 32<<10, fillSessions, func(int) bool { return server.DBSize() < s.Fill })
	if err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	return nil
}
