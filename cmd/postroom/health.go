package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sys/unix"

	"postroom/store"
)

// healthCmd asks a running server how it is, through the control socket: it
// needs no port and starts nothing.
type healthCmd struct{}

// Run fails unless a server runs on the configured data and takes changes.
func (*healthCmd) Run(ctx context.Context, s *shell) error {
	conf, err := s.config()
	if err != nil {
		return err
	}
	c, err := dialControl(ctx, conf.Data)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		return fmt.Errorf("no postroom is running on %s", conf.Data)
	}
	if err != nil {
		return fmt.Errorf("reach the server on %s: %w", conf.Data, err)
	}
	conn := overSocket(c)
	defer conn.close()
	if _, err := call[nothing](ctx, conn.client, "ready", nothing{}); err != nil {
		return err
	}
	fmt.Fprintln(s.out, "ready")
	return nil
}

// A ledger is what health and metrics ask the store.
type ledger interface {
	Ready() error
	Counts(ctx context.Context) (store.Counts, error)
	Numbers(ctx context.Context) (store.Numbers, error)
}

// A monitor is what the world may know of how the server is doing.
type monitor struct {
	registry *prometheus.Registry
	open     *prometheus.GaugeVec
	accepted *prometheus.CounterVec
	outgoing prometheus.Gauge
	dialed   *prometheus.CounterVec
	settled  *prometheus.CounterVec
	attempts *prometheus.CounterVec
	rounds   prometheus.Histogram
	replies  *prometheus.CounterVec
	ledger   ledger
}

func newMonitor(l ledger) *monitor {
	m := &monitor{
		registry: prometheus.NewRegistry(),
		ledger:   l,
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "postroom_connections", Help: "Connections that are open, by service.",
		}, []string{"service"}),
		accepted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postroom_connections_total", Help: "Connections taken since the start, by service.",
		}, []string{"service"}),
		outgoing: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "postroom_delivery_connections", Help: "Connections to other servers that are open.",
		}),
		dialed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postroom_delivery_dials_total", Help: "Connections to other servers that were tried since the start, by whether they were made.",
		}, []string{"result"}),
		settled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postroom_deliveries_total", Help: "Recipients of mail to other servers since the start, by what a round of attempts came to.",
		}, []string{"outcome"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postroom_delivery_attempts_total", Help: "Hosts that were tried for a recipient since the start, by what came of it.",
		}, []string{"outcome"}),
		rounds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "postroom_delivery_attempt_duration_seconds", Help: "How long a round of attempts for a message took, from its first host to the last answer.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900},
		}),
		replies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postroom_smtp_replies_total", Help: "Replies to SMTP clients since the start, by service and by their first digit.",
		}, []string{"service", "class"}),
	}
	for _, outcome := range attemptOutcomes {
		m.attempts.WithLabelValues(outcome)
	}
	for _, outcome := range outcomes() {
		m.settled.WithLabelValues(outcome)
	}
	v := version()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "postroom_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": v.Version, "revision": v.Revision, "go": v.Go},
	})
	build.Set(1)
	m.registry.MustRegister(m.open, m.accepted, m.outgoing, m.dialed, m.settled, m.attempts, m.rounds, m.replies, build, &countsCollector{l}, &numbersCollector{l},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// watch returns p with its connections counted.
func (m *monitor) watch(p port) *watched {
	return &watched{
		Listener: p.Listener,
		open:     m.open.WithLabelValues(p.service),
		accepted: m.accepted.WithLabelValues(p.service),
	}
}

// attemptOutcomes are the words that a trace has for what came of an attempt.
var attemptOutcomes = []string{"sent", "deferred", "failed"}

// tried is told of a round of attempts.
func (m *monitor) tried(took time.Duration) { m.rounds.Observe(took.Seconds()) }

// replying returns who counts the replies of an SMTP service.
func (m *monitor) replying(service string) func(code int) {
	var classes [6]prometheus.Counter // looked up once: sessions are many
	for i := 2; i < len(classes); i++ {
		classes[i] = m.replies.WithLabelValues(service, strconv.Itoa(i)+"xx")
	}
	return func(code int) {
		if class := code / 100; class >= 2 && class < len(classes) {
			classes[class].Inc()
		}
	}
}

// handler serves /healthz, /readyz, /metrics, and the dashboard that shows these.
func (m *monitor) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := m.ledger.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.HandleFunc("GET /grafana.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(dashboard) // fails only if the client has gone
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	return mux
}

// A countsCollector asks the store each time that somebody reads the metrics.
type countsCollector struct{ ledger ledger }

type countDesc struct {
	desc *prometheus.Desc
	get  func(store.Counts) float64
}

func countDescs() []countDesc {
	gauge := func(name, help string, get func(store.Counts) float64) countDesc {
		return countDesc{prometheus.NewDesc("postroom_"+name, help, nil, nil), get}
	}
	return []countDesc{
		gauge("queue_length", "Recipients waiting in the queue.", func(c store.Counts) float64 { return float64(c.Queued) }),
		gauge("queue_held", "Recipients in the queue that are held.", func(c store.Counts) float64 { return float64(c.Held) }),
		gauge("accounts", "Accounts.", func(c store.Counts) float64 { return float64(c.Accounts) }),
		gauge("domains", "Domains.", func(c store.Counts) float64 { return float64(c.Domains) }),
		gauge("queue_oldest_timestamp_seconds", "When the oldest of the queue came in; 0 if it is empty.", func(c store.Counts) float64 {
			if c.Oldest.IsZero() {
				return 0
			}
			return float64(c.Oldest.Unix())
		}),
	}
}

// Describe sends the descriptions of all metrics.
func (*countsCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range countDescs() {
		out <- d.desc
	}
}

// Collect sends the metrics as they are now.
func (c *countsCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	counts, err := c.ledger.Counts(ctx)
	for _, d := range countDescs() {
		if err != nil {
			out <- prometheus.NewInvalidMetric(d.desc, err)
			continue
		}
		out <- prometheus.MustNewConstMetric(d.desc, prometheus.GaugeValue, d.get(counts))
	}
}
