package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"postroom/pop3d"
	"postroom/store"
	"postroom/store/admin"
)

// serveCmd runs the server.
type serveCmd struct{}

// Help is shown by serve --help.
func (*serveCmd) Help() string {
	return "Without a configuration file it runs in local mode: everything on 127.0.0.1 and ports above 1024, mail in ./postroom-data, " +
		"three accounts to try it with, and nothing outside of this machine is contacted.\n\n" +
		"SIGTERM and SIGINT end it once sessions have finished, after 10 seconds at most. " +
		"SIGHUP has it read its certificate and its configuration again."
}

// stopLimit is how long all services together may take to stop. Each has 10
// seconds for its sessions; then the store is closed under whoever is left.
const stopLimit = 13 * time.Second

// Run serves until a signal ends it.
func (c *serveCmd) Run(ctx context.Context, s *shell) error {
	conf, err := s.config()
	if err != nil {
		return err
	}
	raiseFileLimit()
	sv := &server{shell: s, log: newLogger(s, conf), hangups: make(chan os.Signal, 1), door: newDoor(), renewed: make(chan struct{}, 1)}
	sv.configure(conf)
	return sv.runUntilSignal(ctx)
}

// configure has everything that is made from now on made as conf says.
func (sv *server) configure(conf *Config) {
	sv.conf.Store(conf)
	sv.network.Store(newNetwork(conf, sv.log))
}

// newLogger returns where serve writes its log. In local mode somebody reads the
// screen, who is to see what needs a person.
func newLogger(s *shell, conf *Config) *slog.Logger {
	level := slog.LevelInfo
	if conf.LocalMode {
		level = slog.LevelWarn
	}
	return slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: level}))
}

// raiseFileLimit makes room for a file for each connection. Go raises the soft
// limit to the hard one by itself; root may raise that too.
func raiseFileLimit() {
	const enough = 65536
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil || l.Cur >= enough {
		return
	}
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: enough, Max: max(l.Max, enough)})
}

// A server is one run of serve.
type server struct {
	shell *shell
	log   *slog.Logger
	conf  atomic.Pointer[Config] // what was read last

	network atomic.Pointer[network] // as conf says
	*program
	certs   *certificates
	monitor *monitor
	trials  *trials
	ports   []port
	door    *door
	gates   []*gate // of the services that follow the configuration
	locks   pop3d.Locks
	hangups chan os.Signal
	renewed chan struct{} // capacity 1: the configuration has changed
	added   chan struct{} // capacity 1: a domain has been added
	start   func(service) // runs a service until the server stops
}

// runUntilSignal runs until SIGTERM or SIGINT; a second one ends the program at
// once. Signals are heeded from the beginning: a stop during the start is a stop.
func (sv *server) runUntilSignal(ctx context.Context) error {
	signal.Notify(sv.hangups, unix.SIGHUP)
	defer signal.Stop(sv.hangups)
	ctx, unhook := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM)
	defer unhook()
	defer context.AfterFunc(ctx, unhook)()
	err := sv.run(ctx)
	if begun := sv.start != nil; !begun && ctx.Err() != nil {
		return nil // whatever was interrupted
	}
	return err
}

// run starts everything in order, and stops it in the other one. Whatever can be
// wrong with the configuration is found before the data is touched.
func (sv *server) run(ctx context.Context) error {
	conf := sv.conf.Load()
	if err := refuseSecond(ctx, conf); err != nil {
		return err
	}
	var err error
	if sv.ports, err = bindAll(conf); err != nil {
		return err
	}
	defer func() { closeAll(sv.ports) }()

	if sv.program, err = sv.open(ctx, conf); err != nil {
		return err
	}
	sv.current = sv.conf.Load // it may be read again
	sv.listening = sv.listensOn
	sv.hearOfDomains()
	sv.trials = sv.newTrials()
	sv.admin.Trials = sv.trials
	sv.admin.Checks = &checker{store: sv.store, conf: sv.current, network: sv.network.Load, log: sv.log}
	sv.preview(sv.network.Load)
	err = sv.serve(ctx, conf)
	return errors.Join(err, sv.program.close())
}

// open opens the store, and waits for a command that has it.
func (sv *server) open(ctx context.Context, conf *Config) (*program, error) {
	for waited := newPatience(); ; {
		p, err := openProgram(ctx, conf, sv.log)
		if !errors.Is(err, store.ErrLocked) {
			return p, err
		}
		if second := refuseSecond(ctx, conf); second != nil {
			return nil, second
		}
		if !waited.more(ctx) {
			return nil, err
		}
	}
}

// serve runs with the store open.
func (sv *server) serve(ctx context.Context, conf *Config) error {
	if err := sv.checkSources(ctx); err != nil {
		return err
	}
	sv.certs = newCertificates(sv.log)
	if err := sv.certs.load(conf); err != nil {
		return err
	}
	sv.admin.Shown = func(context.Context) ([]admin.Certificate, error) { return sv.certs.status(), nil }
	if err := emptySpool(conf.Data); err != nil {
		return err
	}
	sv.monitor = sv.watched()
	gateway := &gatewayWatch{trusted: conf.Listen.ProxyTrusted, log: sv.log}
	for _, p := range sv.ports {
		if isGated(p.service) {
			l := sv.monitor.watch(p)
			if p.service == "smtp" {
				l.gateway = gateway
			}
			sv.gates = append(sv.gates, &gate{service: p.service, l: l, log: sv.log})
		}
	}
	control, err := listenControl(conf.Data)
	if err != nil {
		return err
	}
	defer os.Remove(filepath.Join(conf.Data, socketName))
	defer control.Close()
	if err := sv.welcome(ctx); err != nil {
		return err
	}
	return sv.runServices(ctx, control)
}

// checkSources fails if mail is to leave from an address that isn't this
// machine's: it would wait, and nobody would know why.
func (sv *server) checkSources(ctx context.Context) error {
	sources, err := sv.admin.Sources(ctx)
	if err != nil {
		return err
	}
	for _, s := range sources {
		ip, err := netip.ParseAddr(s.IP)
		if err == nil && isOwnAddress(ip) {
			continue
		}
		flag := ""
		if s.For != "" {
			flag = " --for " + s.For
		}
		return usagef("the source address %[1]s is not an address of this machine: give it to a network interface, "+
			"or remove it: postroom source remove %[1]s%[2]s", s.IP, flag)
	}
	return nil
}

// spoolName is the folder for messages on their way in that are too large for
// memory.
const spoolName = "spool"

// emptySpool makes the spool, without what a killed server left in it.
func emptySpool(data string) error {
	dir := filepath.Join(data, spoolName)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}

// welcome tells whoever started the server that it is there.
func (sv *server) welcome(ctx context.Context) error {
	conf := sv.conf.Load()
	if conf.TLS.ACME && conf.LocalMode {
		sv.log.Warn("tls.acme is not for local mode, which asks nobody outside of this machine")
	}
	for _, name := range unknownVariables(conf, sv.shell.environ) {
		sv.log.Warn("an environment variable names no key of the configuration", "variable", name)
	}
	if conf.LocalMode {
		return sv.welcomeLocal(ctx)
	}
	if domains, err := sv.admin.Domains(ctx); err != nil {
		return err
	} else if len(domains) == 0 {
		sv.log.Warn("there are no domains yet, so no mail is taken: the web page leads through the first steps, or postroom domain add")
	}
	for _, p := range sv.ports {
		sv.log.Info("listening", "service", p.service, "address", p.Addr().String())
	}
	return sv.offerSetup(ctx)
}

// refuseSecond fails if a server has the data folder already.
func refuseSecond(ctx context.Context, conf *Config) error {
	c, err := dialControl(ctx, conf.Data)
	if err != nil {
		return nil
	}
	c.Close()
	return fmt.Errorf("postroom is running already on %s", conf.Data)
}

// A service is something that runs until its context ends.
type service struct {
	name string
	run  func(ctx context.Context) error
}

// runServices runs all services until ctx ends or one of them fails.
func (sv *server) runServices(ctx context.Context, control net.Listener) error {
	group, running := errgroup.WithContext(ctx)
	sv.start = func(s service) { group.Go(func() error { return sv.guard(running, s) }) }
	for _, s := range append(sv.services(control), sv.gatedServices()...) {
		sv.start(s)
	}
	<-running.Done()
	sv.log.Info("stopping")
	return sv.waitFor(group)
}

// guard runs a service and turns a panic into its failure.
func (sv *server) guard(ctx context.Context, s service) (err error) {
	defer func() {
		if p := recover(); p != nil {
			sv.log.Error("a service has failed by a bug", "service", s.name, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("%s: %v", s.name, p)
		}
	}()
	if err := s.run(ctx); err != nil && ctx.Err() == nil {
		sv.log.Error("a service has failed", "service", s.name, "err", err)
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return nil
}

// waitFor waits until all services have ended, stopLimit at most.
func (sv *server) waitFor(group *errgroup.Group) error {
	ended := make(chan error, 1)
	go func() { ended <- group.Wait() }()
	limit := time.NewTimer(stopLimit)
	defer limit.Stop()
	select {
	case err := <-ended:
		return err
	case <-limit.C:
		return errors.New("some sessions did not end in time")
	}
}

// onHangup reads certificate and configuration again at each SIGHUP.
func (sv *server) onHangup(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-sv.hangups:
			sv.reload()
		}
	}
}
