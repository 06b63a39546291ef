package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"postroom/store"
	"postroom/store/zone"
)

// maxDomains is how many domains are looked up at the same time.
const maxDomains = 8

// DNS says what the DNS must say about a domain, and how what it says stands to
// that. It takes about ten seconds at most. Keys that wait for their records sign
// from then on, if these are there, and a Concern comes or goes with what is wrong.
func (a *Admin) DNS(ctx context.Context, domain string) (zone.Report, error) {
	name, err := parseDomain(domain)
	if err != nil {
		return zone.Report{}, err
	}
	domains, err := a.Store.Domains(ctx)
	if err != nil {
		return zone.Report{}, err
	}
	i := slices.IndexFunc(domains, func(d store.Domain) bool { return d.Name == name })
	if i < 0 {
		return zone.Report{}, noDomain(name)
	}
	return a.reportDNS(ctx, domains[i])
}

// AllDNS is DNS for all domains, by name.
func (a *Admin) AllDNS(ctx context.Context) ([]zone.Report, error) {
	domains, err := a.Store.Domains(ctx)
	if err != nil {
		return nil, err
	}
	reports := make([]zone.Report, len(domains))
	group, asking := errgroup.WithContext(ctx)
	group.SetLimit(maxDomains)
	for i, d := range domains {
		group.Go(func() (err error) {
			reports[i], err = a.reportDNS(asking, d)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return reports, a.forgetDNS(ctx, domains)
}

func (a *Admin) reportDNS(ctx context.Context, d store.Domain) (zone.Report, error) {
	if a.Server == nil || a.Lookups == nil {
		return zone.Report{}, errors.ErrUnsupported
	}
	f, err := a.dnsFacts(ctx, d)
	if err != nil {
		return zone.Report{}, fmt.Errorf("what the DNS of %s must say: %w", d.Name, err)
	}
	dns, err := a.Lookups()
	if err != nil {
		r := zone.NotAsked(f, err.Error())
		a.rememberDNS(r)
		return r, nil
	}
	found := zone.Look(ctx, f, dns)
	r := zone.Judge(f, found)
	if nextIsSeen(f, r) {
		a.activateSeen(ctx, d.Name, dns)
		if f, err = a.dnsFacts(ctx, d); err != nil {
			return zone.Report{}, fmt.Errorf("what the DNS of %s must say: %w", d.Name, err)
		}
		r = zone.Judge(f, found)
	}
	a.rememberDNS(r)
	return r, a.noteDNS(ctx, r)
}

// nextIsSeen reports whether a key waits for a record that is there.
func nextIsSeen(f zone.Facts, r zone.Report) bool {
	return slices.ContainsFunc(f.Keys, func(k zone.Key) bool {
		return k.State == zone.KeyNext && slices.ContainsFunc(r.Records, func(rec zone.Record) bool {
			return rec.Purpose == zone.DKIM && rec.Name == k.Name && (rec.State == zone.Right || rec.State == zone.Fine)
		})
	})
}

// activatePatience bounds another look at the records of keys: they have just been
// looked up.
const activatePatience = 3 * time.Second

// activateSeen lets keys sign whose records have come up. What is in the way of that
// stands in the report, too.
func (a *Admin) activateSeen(ctx context.Context, domain string, dns zone.Lookups) {
	ctx, cancel := context.WithTimeout(ctx, activatePatience)
	defer cancel()
	if _, err := a.ActivateDKIM(ctx, domain, dns); err != nil {
		a.Log.DebugContext(ctx, "can't see whether new DKIM keys are published", "domain", domain, "err", err)
	}
}

// dnsFacts gathers what is to be known of a domain.
func (a *Admin) dnsFacts(ctx context.Context, d store.Domain) (zone.Facts, error) {
	f := zone.Facts{Server: a.Server(), Domain: d.Name, Backup: d.Backup}
	if d.Backup {
		return f, nil
	}
	ways, err := a.Store.Ways(ctx)
	if err != nil {
		return f, err
	}
	f.Sources, f.AllChosen = sourcesOf(ways.Sources, d.Name)
	for _, r := range ways.Routes {
		if r.Domain == store.AnyDomain && r.Host != "" && (r.For == store.For{} || r.For.Domain == d.Name) {
			f.Relay = r.Host
		}
	}
	if err := a.certifiedNames(ctx, &f); err != nil {
		return f, err
	}
	keys, err := a.DKIMKeys(ctx, d.Name)
	for _, k := range keys {
		f.Keys = append(f.Keys, zone.Key{Name: k.Record, Value: k.Value, State: keyState(k.State)})
	}
	return f, err
}

// certifiedNames adds the names for which others trust us.
func (a *Admin) certifiedNames(ctx context.Context, f *zone.Facts) error {
	certificates, err := a.Certificates(ctx)
	for _, c := range certificates {
		if c.Source != CertificateSelfSigned && a.Now().Before(c.NotAfter) {
			f.Certified = append(f.Certified, c.Names...)
		}
	}
	f.Certificates = len(certificates) > 0
	return err
}

// keyState says what the state of a key means to its record.
func keyState(s DKIMState) zone.KeyState {
	switch s {
	case DKIMNext:
		return zone.KeyNext
	case DKIMRetired:
		return zone.KeyRetired
	}
	return zone.KeySigns
}

// sourcesOf returns the addresses that mail of a domain's senders may leave from: its
// accounts' own ones, besides the domain's, or else everybody's. all says that there
// are such for everybody in it.
func sourcesOf(sources []store.Source, domain string) (list []zone.Source, all bool) {
	var own, everybody []zone.Source
	for _, s := range sources {
		source := zone.Source{IP: s.IP, Name: s.Name}
		switch {
		case s.For == store.For{}:
			everybody = append(everybody, source)
		case s.For.Account != 0 && isIn(s.For.Address, domain):
			list = append(list, source)
		case s.For.Account == 0 && s.For.Domain == domain:
			own = append(own, source)
		}
	}
	if len(own) == 0 {
		own = everybody
	}
	return append(list, own...), len(own) > 0
}

func isIn(address, domain string) bool {
	a, err := parseAddress(address)
	return err == nil && a.Domain == domain
}
