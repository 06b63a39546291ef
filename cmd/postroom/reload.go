package main

import (
	"slices"
	"strings"
)

// atNextStart are the keys that a running server can't change.
func atNextStart(path string) bool {
	section, _, _ := strings.Cut(path, ".")
	return slices.Contains([]string{"listen", "web", "trace"}, section) && path != "listen.proxy_trusted" ||
		slices.Contains([]string{"data", "reserve", "delivery.expire", "auth.scram"}, path)
}

// reload reads the configuration and the certificate again. What is wrong with
// either is logged, and it stays as it was.
func (sv *server) reload() {
	old := sv.conf.Load()
	conf, err := loadConfig(old.File, sv.shell.environ)
	if err != nil {
		sv.log.Error("the configuration stays as it was", "err", err)
		return
	}
	now, later := changedKeys(old, conf)
	conf.Data = old.Data
	if err := sv.certs.load(conf); err != nil {
		sv.log.Error("the certificate stays as it was", "err", err)
	}
	sv.configure(conf)
	sv.door.lookAgain()
	sv.store.SetAllowances(allowances(conf))
	sv.certs.tryAgain()
	if len(later) > 0 {
		sv.log.Warn("some keys take effect at the next start", "keys", later)
	}
	if len(now) > 0 {
		sv.renew()
	}
	sv.log.Info("read the configuration and the certificate again", "changed", now)
}

// renew has everything that comes from now on served as the configuration says;
// sessions that are open stay as they are.
func (sv *server) renew() {
	for _, s := range sv.gatedServices() {
		sv.start(s)
	}
	select {
	case sv.renewed <- struct{}{}:
	default: // it has been told already
	}
}

// changedKeys returns the paths of the keys that differ: those that take effect
// at once, and those that need a start.
func changedKeys(old, conf *Config) (now, later []string) {
	before := sections(old)
	for i, s := range sections(conf) {
		for j, k := range s.keys {
			switch {
			case k.String() == before[i].keys[j].String():
			case atNextStart(k.path):
				later = append(later, k.path)
			default:
				now = append(now, k.path)
			}
		}
	}
	return now, later
}
