package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postroom/store"
)

// A concernsCollector counts, each time that somebody reads the metrics, what the
// admin should know.
type concernsCollector struct {
	concerns func(context.Context) ([]store.Concern, error)
}

var concernsDesc = prometheus.NewDesc("postroom_concerns", "Things that the admin should know and can mend: postroom concerns.", nil, nil)

// Describe sends the description of the metric.
func (*concernsCollector) Describe(out chan<- *prometheus.Desc) { out <- concernsDesc }

// Collect sends the metric as it is now.
func (c *concernsCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	list, err := c.concerns(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(concernsDesc, err)
		return
	}
	out <- prometheus.MustNewConstMetric(concernsDesc, prometheus.GaugeValue, float64(len(list)))
}
