package main

import (
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"postroom/delivery"
	"postroom/pop3d"
	"postroom/smtpd"
	"postroom/store"
	"postroom/web"
)

// services returns everything that runs from the start to the end.
func (sv *server) services(control net.Listener) []service {
	list := []service{
		{"control", func(ctx context.Context) error {
			return serveHTTP(ctx, control, operations(sv.admin, sv.store.Ready), sv.log, 0) // a backup may take long
		}},
		{"delivery", sv.deliver},
		{"notices", sv.sendNotices},
		{"answers", sv.sendAnswers},
		{"dkim", sv.tendKeys},
		{"certificate", sv.keepCertificates},
		{"hangup", sv.onHangup},
		{"trial", sv.trials.run},
	}
	if !sv.conf.Load().LocalMode {
		list = append(list, service{"dns", sv.watchDNS}, service{"lists", sv.watchLists})
	}
	if sv.shell.getenv("GOMEMLIMIT") == "" {
		list = append(list, service{"memory", limitMemory})
	}
	for _, g := range sv.gates {
		list = append(list, service{g.service, g.run})
	}
	return append(list, sv.webServices()...)
}

// gatedServices returns the services of one generation: servers of mail programs,
// other servers and the web, as the configuration is now, each with a turn at its
// gates. One server has all of a service's gates: its limits count them together.
func (sv *server) gatedServices() []service {
	var list []service
	servers := make(map[string]func(context.Context, net.Listener) error)
	for _, g := range sv.gates {
		serve := servers[g.service]
		if serve == nil {
			serve = sv.gatedServer(g.service)
			servers[g.service] = serve
		}
		l := g.next()
		list = append(list, service{g.service, func(ctx context.Context) error { return serve(ctx, l) }})
	}
	return list
}

func isGated(name string) bool {
	return slices.Contains([]string{"smtp", "submission", "submissions", "pop3", "pop3s", "http", "https"}, name)
}

// gatedServer returns the Serve of a new server for one of the services behind
// gates.
func (sv *server) gatedServer(name string) func(context.Context, net.Listener) error {
	switch name {
	case "http":
		return sv.plainWeb().serve
	case "https":
		return sv.secureWeb().serve
	case "pop3", "pop3s":
		return sv.pop3Server(name).Serve
	}
	return sv.smtpServer(name).Serve
}

func (sv *server) smtpServer(name string) *smtpd.Server {
	conf := sv.conf.Load()
	s := &smtpd.Server{
		Name:         name,
		Hostname:     conf.Name(),
		Submission:   name != "smtp",
		Mail:         sv.store,
		RequireTLS:   conf.Auth.RequireTLS,
		SCRAM:        conf.Auth.SCRAM,
		TLS:          sv.certs.config(),
		ImplicitTLS:  name == "submissions",
		ProxyTrusted: conf.Listen.ProxyTrusted,
		SpoolDir:     filepath.Join(conf.Data, spoolName),
		BackupExpire: conf.Delivery.BackupExpire,
		Rules:        sv.rules(name, conf),
		Unknown:      &sv.door.unknown,
		Limits: smtpd.Limits{
			MessageBytes:          conf.SMTP.MaxMessageSize,
			Recipients:            conf.SMTP.MaxRecipients,
			Connections:           conf.SMTP.MaxConnections,
			ConnectionsPerAddress: conf.SMTP.MaxConnectionsPerAddress,
			Idle:                  conf.SMTP.IdleTimeout,
			Grace:                 9 * time.Second, // the store closes after that: 10 s in all
		},
		Replied: sv.monitor.replying(name),
		Log:     sv.log.With("service", name),
		Now:     time.Now,
	}
	if s.Submission || conf.SMTP.Auth {
		s.Auth = sv.auth
	}
	return s
}

func (sv *server) pop3Server(name string) *pop3d.Server {
	conf := sv.conf.Load()
	return &pop3d.Server{
		Name:         name,
		Hostname:     conf.Name(),
		Maildrops:    sv.store,
		Auth:         sv.auth,
		RequireTLS:   conf.Auth.RequireTLS,
		SCRAM:        conf.Auth.SCRAM,
		TLS:          sv.certs.config(),
		ImplicitTLS:  name == "pop3s",
		Locks:        &sv.locks,
		ProxyTrusted: conf.Listen.ProxyTrusted,
		Log:          sv.log.With("service", name),
		Now:          time.Now,
	}
}

// newTrials returns what sends test mails, through the services as they are at the
// time.
func (sv *server) newTrials() *trials {
	return &trials{
		auth:      sv.auth,
		hostname:  func() string { return sv.conf.Load().Name() },
		listening: sv.listensOn,
		heralded: func(ip netip.Addr) bool {
			return slices.ContainsFunc(sv.conf.Load().Listen.ProxyTrusted, func(n netip.Prefix) bool { return n.Contains(ip) })
		},
		now:    time.Now,
		wanted: make(chan store.Account, 1),
	}
}

// pages returns the web page.
func (sv *server) pages() *web.Server {
	conf := sv.conf.Load()
	return &web.Server{
		Admin:          sv.admin,
		Auth:           sv.auth,
		Accounts:       sv.store,
		Sessions:       sv.store.WebSessions(),
		Hostname:       conf.Name(),
		Version:        version().Version,
		TrustedProxies: conf.Web.TrustedProxies,
		Log:            sv.log.With("service", "web"),
		Now:            time.Now,
	}
}

func (sv *server) webServices() []service {
	var list []service
	handler := sv.pages().Handler()
	for _, p := range byService(sv.ports, "web") {
		l := sv.monitor.watch(p)
		list = append(list, service{"web", func(ctx context.Context) error { return serveHTTP(ctx, l, handler, sv.log, time.Minute) }})
	}
	for _, p := range byService(sv.ports, "metrics") {
		list = append(list, service{"metrics", func(ctx context.Context) error {
			return serveHTTP(ctx, p, sv.monitor.handler(), sv.log, time.Minute)
		}})
	}
	return list
}

func (sv *server) dispatcher() *delivery.Dispatcher {
	net := sv.network.Load()
	d := sv.planner(sv.conf.Load(), net)
	d.Queue = sv.monitor.settling(sv.store)
	d.Tried = sv.monitor.tried
	d.Dialer = sv.monitor.dialing(net.dialer)
	d.DialerFrom = func(ip netip.Addr) delivery.Dialer { return sv.monitor.dialing(net.dialerFrom(ip)) }
	return d
}

// deliver keeps the queue moving, with a new dispatcher whenever the
// configuration has changed.
func (sv *server) deliver(ctx context.Context) error {
	for {
		round, cancel := context.WithCancel(ctx)
		go func() {
			select {
			case <-sv.renewed:
				cancel()
			case <-round.Done():
			}
		}()
		err := sv.dispatcher().Run(round)
		again := round.Err() != nil && ctx.Err() == nil
		cancel()
		if !again {
			return err
		}
	}
}

// noticePause is the least time between two looks at who is to be told: each of
// them reads all accounts that have a quota.
const noticePause = 2 * time.Second

// sendAnswers writes the vacation notices that are owed, as soon as they are.
func (sv *server) sendAnswers(ctx context.Context) error {
	for {
		if err := sv.admin.SendAnswers(ctx); err != nil && ctx.Err() == nil {
			sv.log.Error("cannot send the vacation notices", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-sv.store.AnswersChanged():
		case <-time.After(time.Minute): // what could not be written is tried again
		}
	}
}

// sendNotices tells the owners of filling maildrops, soon after what they hold
// has changed.
func (sv *server) sendNotices(ctx context.Context) error {
	ticker := time.NewTicker(noticePause)
	defer ticker.Stop()
	for {
		if err := sv.admin.SendNotices(ctx); err != nil && ctx.Err() == nil {
			sv.log.Error("cannot send the quota notices", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-sv.store.UsageChanged():
		case <-time.After(time.Minute): // what could not be written is tried again
		}
	}
}
