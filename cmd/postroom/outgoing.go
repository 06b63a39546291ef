package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"postroom/delivery"
	"postroom/delivery/sts"
	"postroom/store"
)

// planner returns a dispatcher as it runs with a configuration, but that it may not
// connect to mail servers.
func (p *program) planner(conf *Config, net *network) *delivery.Dispatcher {
	log := p.log.With("service", "delivery")
	d := &delivery.Dispatcher{
		Hostname:            conf.Name(),
		Queue:               p.store,
		Directory:           p.store,
		Resolver:            net.names,
		Dialer:              noDialer{},
		DialerFrom:          func(netip.Addr) delivery.Dialer { return noDialer{} },
		STS:                 &sts.Policies{Store: p.store, Resolver: net.names, HTTP: net.web, Log: log},
		Schedule:            delivery.Schedule{Waits: conf.Delivery.Retry, DelayNotice: conf.Delivery.DelayNotice},
		Concurrency:         conf.Delivery.Concurrency,
		PerDestination:      conf.Delivery.PerDestination,
		Port:                conf.Delivery.Port,
		PrivateDestinations: conf.Delivery.PrivateDestinations,
		Smarthost:           conf.Delivery.Smarthost,
		FallbackRelay:       conf.Delivery.FallbackRelay,
		ConnectTimeout:      conf.Delivery.ConnectTimeout,
		CommandTimeout:      conf.Delivery.CommandTimeout,
		Log:                 log,
		Now:                 time.Now,
	}
	if conf.Delivery.DKIM {
		d.Keys = p.admin
	}
	for _, address := range p.listening("smtp") {
		if ap, err := netip.ParseAddrPort(address); err == nil {
			d.Listening = append(d.Listening, ap)
		}
	}
	return d
}

// A noDialer is of who only plans.
type noDialer struct{}

// DialContext fails.
func (noDialer) DialContext(context.Context, string, string) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}

// dialing returns d with its connections counted.
func (m *monitor) dialing(d delivery.Dialer) delivery.Dialer { return &countedDialer{d, m} }

type countedDialer struct {
	delivery.Dialer
	monitor *monitor
}

// DialContext connects.
func (d *countedDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d.Dialer.DialContext(ctx, network, address)
	if err != nil {
		d.monitor.dialed.WithLabelValues("failed").Inc()
		return nil, err
	}
	d.monitor.dialed.WithLabelValues("connected").Inc()
	d.monitor.outgoing.Inc()
	return &watchedConn{Conn: c, open: d.monitor.outgoing}, nil
}

// settling returns q with its outcomes counted.
func (m *monitor) settling(q delivery.Queue) delivery.Queue { return &countedQueue{q, m} }

type countedQueue struct {
	delivery.Queue
	monitor *monitor
}

// outcomes are the words for what may come of a delivery.
func outcomes() map[store.Result]string {
	return map[store.Result]string{
		store.Sent: "sent", store.Deferred: "deferred", store.Failed: "bounced", store.Interrupted: "interrupted", store.Told: "reported",
	}
}

// Settle records outcomes.
func (q *countedQueue) Settle(ctx context.Context, s store.Settlement) error {
	if err := q.Queue.Settle(ctx, s); err != nil {
		return err
	}
	words := outcomes()
	for _, o := range s.Outcomes {
		q.monitor.settled.WithLabelValues(words[o.Result]).Inc()
		for _, e := range o.Events {
			if e.Kind == store.Attempt {
				q.monitor.attempts.WithLabelValues(e.Outcome).Inc()
			}
		}
	}
	return nil
}
