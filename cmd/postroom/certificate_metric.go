package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"postroom/store/admin"
)

// A certificateCollector tells when certificates end, each time that somebody
// reads the metrics.
type certificateCollector struct {
	desc   *prometheus.Desc
	status func() []admin.Certificate
}

func newCertificateCollector(status func() []admin.Certificate) *certificateCollector {
	return &certificateCollector{
		desc: prometheus.NewDesc("postroom_certificate_expires_seconds",
			"When the certificate for a name ends, in seconds since 1970; 0: there is none yet.", []string{"name", "source"}, nil),
		status: status,
	}
}

// Describe sends the description of the metric.
func (c *certificateCollector) Describe(out chan<- *prometheus.Desc) { out <- c.desc }

// Collect sends the metric as it is now.
func (c *certificateCollector) Collect(out chan<- prometheus.Metric) {
	for _, cert := range c.status() {
		if len(cert.Names) == 0 {
			continue
		}
		ends := 0.0
		if !cert.NotAfter.IsZero() {
			ends = float64(cert.NotAfter.Unix())
		}
		out <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, ends, cert.Names[0], cert.Source)
	}
}
