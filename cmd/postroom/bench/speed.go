package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// mailboxes is how many maildrops share the mail of a cell.
const mailboxes = 20

// benchPassword is that of our own server's accounts.
const benchPassword = "benchmark-only"

// Speed measures how many messages a second get from a client into the
// maildrops, where a POP3 client sees them, with the durability that every
// installation has. It starts a server of its own with an empty store.
type Speed struct {
	Program     string
	Dir         string        // holds the server's folder; empty: a temporary one, removed afterwards
	Duration    time.Duration // of each cell, at least; zero: 10 s
	Runs        int           // of each cell, interleaved; zero: 1
	Connections []int         // empty: 1, 20, 100
	Sizes       []int         // octets of a message; empty: 4096, 102400
	Targets     []Target      // further servers that are running, driven in the same run
	Fill        int64         // octets that the store holds before it begins
	WAL         bool          // watch the WAL under full load instead
	JSON        bool          // print results as JSON, a line each
}

// A Target is a running server to drive.
type Target struct {
	Name     string
	SMTP     string // takes mail for User without TLS and AUTH
	POP3     string // where that mail is seen
	User     string // address of mailbox %d, counted from 1
	Password string
	Message  []byte // what is sent; nil: Plain text
}

// ParseTarget reads "name,smtp,pop3,user,password", such as
// "postfix,127.0.0.10:25,127.0.0.10:110,%du@local.test,secret".
func ParseTarget(s string) (Target, error) {
	f := strings.Split(s, ",")
	if len(f) != 5 || !strings.Contains(f[3], "%d") {
		return Target{}, fmt.Errorf("target %q: want name,smtp,pop3,user,password with %%d in user", s)
	}
	return Target{Name: f[0], SMTP: f[1], POP3: f[2], User: f[3], Password: f[4]}, nil
}

func (t Target) user(i int) string { return strings.ReplaceAll(t.User, "%d", strconv.Itoa(i+1)) }

// ParseSize reads a number of octets such as "4KB" or "2GB"; a KB is 1024 octets.
func ParseSize(s string) (int64, error) {
	digits := strings.TrimRight(strings.ToUpper(s), "KMGB")
	n, err := strconv.ParseInt(digits, 10, 64)
	shift, ok := map[string]int{"": 0, "B": 0, "KB": 10, "MB": 20, "GB": 30}[strings.ToUpper(s[len(digits):])]
	if err != nil || !ok || n < 0 {
		return 0, fmt.Errorf("%q is no size, such as 4KB", s)
	}
	return n << shift, nil
}

// A Result is one cell of one target.
type Result struct {
	Target      string  `json:"target"`
	Size        int     `json:"size"` // octets of a message
	Connections int     `json:"connections"`
	Messages    int     `json:"messages"`
	Seconds     float64 `json:"seconds"`    // until the last one was seen in its maildrop
	PerSecond   float64 `json:"per_second"` // end to end; the median where there are several runs
	P50         float64 `json:"accept_p50_ms"`
	P99         float64 `json:"accept_p99_ms"`
	Max         float64 `json:"accept_max_ms"`
	MaxWAL      int64   `json:"max_wal,omitempty"`           // octets
	Syncs       float64 `json:"syncs_per_message,omitempty"` // our own server only
	WALSyncs    float64 `json:"wal_syncs_per_message,omitempty"`
}

// Run measures everything and prints a table, or JSON lines. It fails if a
// server can't be driven, and in WAL mode if a bound was passed.
func (s Speed) Run(ctx context.Context, out io.Writer) (err error) {
	s = s.withDefaults()
	dir := s.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "postroom-bench-"); err != nil {
			return fmt.Errorf("temporary folder: %w", err)
		}
		defer os.RemoveAll(dir)
	}
	server, own, err := s.startOwn(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	if err := s.fill(ctx, server, own, out); err != nil {
		return err
	}
	if s.WAL {
		return s.watchWAL(ctx, server, own, out)
	}
	results, err := s.cells(ctx, server, own, out)
	return errors.Join(err, s.print(out, results)) // what was measured before a mishap counts
}

func (s Speed) withDefaults() Speed {
	if s.Duration == 0 {
		s.Duration = 10 * time.Second
	}
	if s.Runs == 0 {
		s.Runs = 1
	}
	if len(s.Connections) == 0 {
		s.Connections = []int{1, 20, 100}
	}
	if len(s.Sizes) == 0 {
		s.Sizes = []int{4096, 102400}
	}
	return s
}

// startOwn starts our server and makes its accounts.
func (s Speed) startOwn(ctx context.Context, dir string) (*Server, Target, error) {
	server, err := NewServer(s.Program, dir)
	if err != nil {
		return nil, Target{}, err
	}
	return startTarget(ctx, server)
}

// startTarget starts a server and makes its accounts.
func startTarget(ctx context.Context, server *Server) (*Server, Target, error) {
	if _, err := server.Start(ctx); err != nil {
		return nil, Target{}, err
	}
	own := Target{Name: "postroom", SMTP: server.SMTP, POP3: server.POP3, User: "%du@judge.test", Password: benchPassword}
	addresses := []string{fillAddress}
	for i := range mailboxes {
		addresses = append(addresses, own.user(i))
	}
	if err := server.AddAccounts(ctx, benchPassword, addresses...); err != nil {
		return nil, Target{}, errors.Join(err, server.Kill())
	}
	return server, own, nil
}

// cells measures every cell on every target, run by run and target by target,
// so that figures to compare are taken minutes apart at most.
func (s Speed) cells(ctx context.Context, server *Server, own Target, out io.Writer) ([]Result, error) {
	syncs, err := s.countSyncs(ctx, out)
	if err != nil {
		return nil, err
	}
	runs := make(map[string][]Result)
	var order []string
	for run := range s.Runs {
		for _, c := range s.plan(own) {
			s.say(out, "run %d: %s, %d octets, %d connections …", run+1, c.target.Name, c.size, c.connections)
			r, err := measure(ctx, c.target, c.size, c.connections, s.Duration, server)
			if err != nil {
				return medians(order, runs, own.Name, syncs), fmt.Errorf("%s: %w", c.target.Name, err)
			}
			s.say(out, " %.0f/s\n", r.PerSecond)
			key := fmt.Sprint(c.size, c.connections, c.target.Name)
			if runs[key] == nil {
				order = append(order, key)
			}
			runs[key] = append(runs[key], r)
		}
	}
	return medians(order, runs, own.Name, syncs), nil
}

// A cell is one thing to measure.
type cell struct {
	target            Target
	size, connections int
}

// plan lists the cells of one run.
func (s Speed) plan(own Target) []cell {
	var cells []cell
	for _, size := range s.Sizes {
		for _, connections := range s.Connections {
			for _, target := range append([]Target{own}, s.Targets...) {
				cells = append(cells, cell{target, size, connections})
			}
		}
	}
	return cells
}

// medians takes the middle run of each cell and adds the syncs counted apart.
func medians(order []string, runs map[string][]Result, own string, syncs map[int]syncCount) []Result {
	var results []Result
	for _, key := range order {
		rs := runs[key]
		slices.SortFunc(rs, func(a, b Result) int { return int(a.PerSecond - b.PerSecond) })
		r := rs[len(rs)/2]
		if c, ok := syncs[r.Connections]; ok && r.Target == own && r.Size == syncSize {
			r.Syncs, r.WALSyncs = c.all, c.wal
		}
		results = append(results, r)
	}
	return results
}

// say prints progress, unless a program reads along.
func (s Speed) say(out io.Writer, format string, args ...any) {
	if !s.JSON {
		fmt.Fprintf(out, format, args...)
	}
}

func (s Speed) print(out io.Writer, results []Result) error {
	if len(results) == 0 {
		return nil
	}
	if s.JSON {
		enc := json.NewEncoder(out)
		for _, r := range results {
			if err := enc.Encode(r); err != nil {
				return fmt.Errorf("print results: %w", err)
			}
		}
		return nil
	}
	own := make(map[[2]int]float64)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nserver\tsize\tconnections\tmessages\tper second\taccept p50\tp99\tmax\tlargest WAL\tsyncs a message\tpostroom is")
	for _, r := range results {
		at, ratio := [2]int{r.Size, r.Connections}, ""
		if r.Target == "postroom" {
			own[at] = r.PerSecond
		} else {
			ratio = fmt.Sprintf("%.1f times as fast", own[at]/r.PerSecond)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%.0f\t%.2f ms\t%.1f ms\t%.0f ms\t%s\t%s\t%s\n", r.Target, r.Size, r.Connections, r.Messages,
			r.PerSecond, r.P50, r.P99, r.Max, megabytes(r.MaxWAL), perMessage(r.Syncs), ratio)
	}
	return w.Flush()
}

func megabytes(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f MB", float64(n)/1e6)
}

func perMessage(n float64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", n)
}
