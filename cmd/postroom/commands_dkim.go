package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"postroom/store/admin"
)

type dkimCmd struct {
	List   dkimList   `cmd:"" group:"commands" help:"List the keys that sign what leaves."`
	Rotate dkimRotate `cmd:"" group:"commands" help:"Make new keys for a domain; the old ones stay valid for mail that is on its way."`
	Remove dkimRemove `cmd:"" group:"commands" help:"Remove a key."`
}

type dkimList struct {
	listing
	Domain string `arg:"" optional:"" help:"Only those of this domain."`
}

// Run lists the keys.
func (c *dkimList) Run(ctx context.Context, s *shell) error {
	list, err := ask[[]admin.DKIMKey](ctx, s, "dkim/list", nameRequest{c.Domain})
	if err != nil {
		return err
	}
	return showList(s, c.listing, list, "No keys: each local domain gets them (postroom domain add example.org).", func(w io.Writer, list []admin.DKIMKey) {
		t := newTable(w, "DOMAIN", "SELECTOR", "ALGORITHM", "", "RECORD")
		for _, k := range list {
			t.row(k.Domain, k.Selector, k.Algorithm, keyState(k), k.Record)
		}
		t.flush()
		fmt.Fprintln(w, "What the records must say: postroom check dns DOMAIN")
	})
}

// keyState says what a key does.
func keyState(k admin.DKIMKey) string {
	switch k.State {
	case admin.DKIMNext:
		return "signs once the DNS has its record"
	case admin.DKIMRetired:
		return "signs no more; its record must stay until " + date(k.Remove)
	}
	return "signs since " + date(k.Since)
}

type dkimRotate struct {
	Domain string `arg:"" help:"The domain."`
	Now    bool   `help:"Sign with them at once, whatever the DNS says: for keys that somebody may have got hold of."`
}

// Help is shown by dkim rotate --help.
func (*dkimRotate) Help() string {
	return "New keys sign once the DNS has their records, which is looked at daily and by “postroom check dns”. The records of the old ones " +
		"must stay for 7 days after that, since mail may be on its way."
}

// Run makes new keys.
func (c *dkimRotate) Run(ctx context.Context, s *shell) error {
	keys, err := ask[[]admin.DKIMKey](ctx, s, "dkim/rotate", admin.RotateDKIM{Domain: c.Domain, Now: c.Now})
	if err != nil {
		return err
	}
	var next, sign []string
	for _, k := range keys {
		switch k.State {
		case admin.DKIMNext:
			next = append(next, k.Selector)
		case admin.DKIMSigns:
			sign = append(sign, k.Selector)
		}
	}
	domain := keys[0].Domain
	if len(next) > 0 {
		fmt.Fprintf(s.out, "The new keys %s sign once the DNS has their records: postroom check dns %s\n", strings.Join(next, " and "), domain)
		return nil
	}
	fmt.Fprintf(s.out, "Mail of %s is signed with %s now. What the DNS must say: postroom check dns %s\n", domain, strings.Join(sign, " and "), domain)
	return nil
}

type dkimRemove struct {
	Domain   string `arg:"" help:"The domain."`
	Selector string `arg:"" help:"The key, as it is listed."`
}

// Run removes a key.
func (c *dkimRemove) Run(ctx context.Context, s *shell) error {
	keys, err := ask[[]admin.DKIMKey](ctx, s, "dkim/list", nameRequest{c.Domain})
	if err != nil {
		return err
	}
	if _, err := ask[nothing](ctx, s, "dkim/remove", admin.RemoveDKIMKey{Domain: c.Domain, Selector: c.Selector}); err != nil {
		return err
	}
	when := "once the mail that it has signed has arrived: give it a week"
	if slices.ContainsFunc(keys, func(k admin.DKIMKey) bool { return k.Selector == c.Selector && k.State == admin.DKIMNext }) {
		when = "too"
	}
	fmt.Fprintf(s.out, "Removed the key %s of %s. Its record %s._domainkey.%s can go %s.\n", c.Selector, c.Domain, c.Selector, c.Domain, when)
	return nil
}

// The DKIM keys are looked after soon after the start and after a domain was
// added, when nothing more urgent is going on; a key that is needed earlier is made
// then.
const (
	keysSoon  = time.Second
	keysAgain = 24 * time.Hour
	keysRetry = time.Hour // after what went wrong
)

// tendKeys looks after the DKIM keys.
func (sv *server) tendKeys(ctx context.Context) error {
	timer := time.NewTimer(keysSoon)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-sv.added:
			timer.Reset(keysSoon)
			continue
		case <-timer.C:
		}
		timer.Reset(keysAgain)
		if err := sv.admin.TendDKIM(ctx, sv.network.Load().names); err != nil && ctx.Err() == nil {
			sv.log.WarnContext(ctx, "DKIM keys not all looked after", "err", err)
			timer.Reset(keysRetry)
		}
	}
}

// hearOfDomains has tendKeys hear of new domains.
func (sv *server) hearOfDomains() {
	sv.added = make(chan struct{}, 1)
	sv.admin.DomainAdded = func() {
		select {
		case sv.added <- struct{}{}:
		default:
		}
	}
}
