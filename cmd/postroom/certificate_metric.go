package main

import (
	"slices"

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

// mostCertificates bounds how many are told of: those that end first. There may be
// some for each domain.
const mostCertificates = 50

// Collect sends the metric as it is now.
func (c *certificateCollector) Collect(out chan<- prometheus.Metric) {
	list := c.status()
	if len(list) > mostCertificates {
		list = slices.Clone(list)
		slices.SortStableFunc(list, func(a, b admin.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
		list = list[:mostCertificates]
	}
	for _, cert := range list {
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
