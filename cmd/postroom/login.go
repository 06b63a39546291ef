package main

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"postroom/store/auth"
	"postroom/store/sqlite"
)

// logins is who watches over failed logins, and how many there were.
type logins struct {
	guard  *auth.Guard
	failed *prometheus.CounterVec
	tried  *prometheus.CounterVec
}

// loginProtocols are the services that people log in to.
var loginProtocols = []string{"smtp", "submission", "submissions", "pop3", "pop3s", "web"}

// newLogins returns a watch whose blocks are kept in s. conf is asked each time:
// what is remembered outlives the configuration.
func newLogins(s *sqlite.Store, conf func() *Config, log *slog.Logger) *logins {
	l := &logins{failed: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "postroom_logins_failed_total", Help: "Logins with a wrong name or password since the start, by service.",
	}, []string{"protocol"}), tried: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "postroom_logins_total", Help: "Logins that were tried since the start, by service and by what came of them; blocked ones weren't looked at.",
	}, []string{"protocol", "result"})}
	for _, protocol := range loginProtocols {
		for _, result := range []string{"ok", "failed", "blocked"} {
			l.tried.WithLabelValues(protocol, result)
		}
	}
	l.guard = auth.NewGuard(auth.GuardOptions{
		Blocks:  s,
		Access:  s.Access,
		Enabled: func() bool { return conf().Auth.BlockGuessers },
		Failed: func(protocol string) {
			l.failed.WithLabelValues(protocol).Inc()
			l.tried.WithLabelValues(protocol, "failed").Inc()
		},
		Blocked: func(protocol string) { l.tried.WithLabelValues(protocol, "blocked").Inc() },
		Passed:  func(protocol string) { l.tried.WithLabelValues(protocol, "ok").Inc() },
		Log:     log,
	})
	return l
}

// collectors are the metrics of logins.
func (l *logins) collectors() []prometheus.Collector {
	return []prometheus.Collector{l.failed, l.tried, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "postroom_login_blocks", Help: "Networks that may not log in for a while because they guessed passwords.",
	}, func() float64 { return float64(len(l.guard.Blocks())) })}
}
