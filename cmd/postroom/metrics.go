package main

import (
	"context"
	_ "embed"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postroom/store"
)

// dashboard is a Grafana dashboard of the metrics.
//
//go:embed grafana.json
var dashboard []byte

type metricsCmd struct {
	Dashboard metricsDashboard `cmd:"" group:"commands" help:"Print a Grafana dashboard of the metrics, to be imported there."`
}

type metricsDashboard struct{}

// Run prints the dashboard.
func (*metricsDashboard) Run(s *shell) error {
	_, err := s.out.Write(dashboard)
	return err
}

// commits are how the writer's commits go.
type commits struct{ changes, took prometheus.Histogram }

func newCommits() *commits {
	return &commits{
		changes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "postroom_store_commit_changes", Help: "Changes that one commit has made durable together.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256},
		}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "postroom_store_commit_duration_seconds", Help: "How long a commit took, with its changes and the sync.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5},
		}),
	}
}

// note is told of each commit.
func (c *commits) note(changes int, took time.Duration) {
	c.changes.Observe(float64(changes))
	c.took.Observe(took.Seconds())
}

// watched returns a monitor of the program's parts.
func (p *program) watched() *monitor {
	m := newMonitor(p.store)
	m.registry.MustRegister(&concernsCollector{p.store.Concerns})
	m.registry.MustRegister(p.logins.collectors()...)
	m.registry.MustRegister(p.commits.changes, p.commits.took)
	return m
}

// A numbersCollector asks the store each time that somebody reads the metrics. It has
// no label that grows with what is kept.
type numbersCollector struct{ ledger ledger }

// Descriptions of the metrics that a numbersCollector sends.
var (
	messagesDesc = prometheus.NewDesc("postroom_messages_total",
		"Mail since the start: messages received and entries put into maildrops (delivered), recipients at other servers (sent, deferred, bounced) and of what was refused (rejected).",
		[]string{"event"}, nil)
	queueDesc    = prometheus.NewDesc("postroom_queue_recipients", "Recipients in the queue, by what becomes of them now.", []string{"state"}, nil)
	oldestDesc   = numberDesc("queue_oldest_age_seconds", "How long the oldest recipient of the queue has waited; 0 if it is empty.")
	failingDesc  = numberDesc("destinations_failing", "Destinations at which nobody could be reached in the last round.")
	readyDesc    = numberDesc("store_ready", "1 if the store takes changes, else 0; a full disk doesn't count.")
	databaseDesc = numberDesc("store_database_size_bytes", "The database file.")
	walDesc      = numberDesc("store_wal_size_bytes", "The write-ahead log beside the database.")
	freeDesc     = numberDesc("disk_free_bytes", "What is free where the data is.")
	sizeDesc     = numberDesc("disk_size_bytes", "The disk where the data is.")
	reserveDesc  = numberDesc("disk_reserve_bytes", "With less than this free no new mail is taken.")
)

func numberDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("postroom_"+name, help, nil, nil)
}

// Describe sends the descriptions of all metrics.
func (*numbersCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		messagesDesc, queueDesc, oldestDesc, failingDesc, readyDesc, databaseDesc, walDesc, freeDesc, sizeDesc, reserveDesc,
	} {
		out <- d
	}
}

// Collect sends the metrics as they are now. What can't be found out fails alone.
func (c *numbersCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	ready := 1.0
	if c.ledger.Ready() != nil {
		ready = 0
	}
	gauge(readyDesc, ready)
	n, err := c.ledger.Numbers(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(messagesDesc, err)
		return
	}
	for event, v := range events(n.Since) {
		out <- prometheus.MustNewConstMetric(messagesDesc, prometheus.CounterValue, float64(v), event)
	}
	gauge(failingDesc, float64(n.Failing))
	gauge(databaseDesc, float64(n.Disk.Database))
	gauge(walDesc, float64(n.Disk.WAL))
	gauge(freeDesc, float64(n.Disk.Free))
	gauge(sizeDesc, float64(n.Disk.Size))
	gauge(reserveDesc, float64(n.Disk.Reserve))
	counts, err := c.ledger.Counts(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(queueDesc, err)
		return
	}
	gauge(queueDesc, float64(n.Sending), "sending")
	gauge(queueDesc, float64(counts.Held), "held")
	gauge(queueDesc, float64(max(0, counts.Queued-counts.Held-n.Sending)), "waiting")
	age := 0.0
	if !counts.Oldest.IsZero() {
		age = max(0, time.Since(counts.Oldest).Seconds())
	}
	gauge(oldestDesc, age)
}

// events are the kinds of a Traffic, by their words.
func events(t store.Traffic) map[string]int64 {
	return map[string]int64{
		"received": t.Received, "delivered": t.Delivered, "sent": t.Sent,
		"deferred": t.Deferred, "bounced": t.Bounced, "rejected": t.Rejected,
	}
}
