package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"postroom/store"
	"postroom/store/mail"
)

// maxAliasDepth bounds how long a chain of aliases may be.
const maxAliasDepth = 20

// Resolve says where mail for an address goes. It fails with store.ErrNotFound if
// the domain is ours and the address is nobody's, as far as we know, and with store.ErrRefused if it
// leads to nobody but accounts whose mail is refused.
//
// An account comes first, then an alias, first exactly and then without the tag;
// then the roles postmaster and abuse; then the catch-all.
func (s *Store) Resolve(_ context.Context, address mail.Address) (store.Resolution, error) {
	key := address.Key()
	r, ok, generation := s.directory.resolution(key)
	if !ok {
		var err error
		if r, err = s.resolve(address); err != nil {
			return store.Resolution{}, fmt.Errorf("resolve address: %w", err)
		}
		// Somebody who tries many names must not push the good ones out.
		if r.known() {
			s.directory.keepResolution(generation, key, r)
		}
	}
	return s.answer(r, address)
}

// answer adds to what was found out about an address what changes with every mail.
func (s *Store) answer(r resolved, address mail.Address) (store.Resolution, error) {
	switch {
	case r.refused:
		return store.Resolution{}, fmt.Errorf("resolve address: %w", store.ErrRefused)
	case !r.itself && len(r.resolution.Destinations) == 0:
		return store.Resolution{}, fmt.Errorf("resolve address: %w", store.ErrNotFound)
	}
	answer := r.resolution
	answer.Room = store.Unlimited
	if r.quota > 0 {
		answer.Room = r.quota - s.usage.get(answer.Direct).Bytes
	}
	if r.itself {
		answer.Destinations = []store.Destination{{Remote: address}} // in the case that was given
	}
	return answer, nil
}

// known reports whether the answer is worth keeping.
func (r resolved) known() bool {
	return r.refused || len(r.resolution.Destinations) > 0
}

func (s *Store) resolve(address mail.Address) (r resolved, err error) {
	err = s.snapshot(func(n names) error {
		r, err = n.resolve(address)
		return err
	})
	return r, err
}

// snapshot has f look names up in one unchanging view of the directory.
func (s *Store) snapshot(f func(names) error) error {
	readers := s.readers.Load()
	var missed []string
	err := readers.within(func(tx *sql.Tx) error { return f(names{querier: view{readers, tx, &missed}}) })
	for _, query := range missed {
		if _, err := readers.stmt(query); err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
	}
	return err
}

// within gives f a connection that sees one state of the database.
func (r *readers) within(f func(*sql.Tx) error) error {
	tx, err := r.db.BeginTx(context.Background(), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("begin reading: %w", err)
	}
	defer tx.Rollback()
	return f(tx)
}

// A view is a querier that sees one state of the database.
type view struct {
	readers *readers
	tx      *sql.Tx
	missed  *[]string // queries to prepare once the view is closed
}

// query runs a query on the view's own connection. To prepare one for the pool
// would take a second connection: with every view waiting for one, none would
// ever be free.
func (v view) query(query string, args ...any) (*sql.Rows, error) {
	if stmt := v.readers.known(query); stmt != nil {
		return v.tx.Stmt(stmt).Query(args...)
	}
	*v.missed = append(*v.missed, query)
	return v.tx.Query(query, args...)
}

// resolve works out where mail for an address goes. The answer has no
// destinations if the address is nobody's.
func (n names) resolve(address mail.Address) (resolved, error) {
	if address.Domain == "" {
		return n.resolveRole(address, 0)
	}
	d, ours, err := n.domain(address.Domain)
	if err != nil {
		return resolved{}, err
	}
	switch {
	case !ours:
		n.note(store.Hop{Address: address, Kind: store.HopRemote})
		return resolved{itself: true}, nil
	case d.backup:
		return n.resolveBackup(d, address)
	}
	r, err := n.resolveOurs(d, address)
	if err != nil || !isRole(address) || len(r.resolution.Destinations) > 0 && !r.refused {
		return r, err
	}
	return n.resolveRole(address, d.id)
}

// resolveBackup is resolve within a domain whose mail we only hold.
func (n names) resolveBackup(d knownDomain, address mail.Address) (resolved, error) {
	taken, err := n.takes(d, localPart(address))
	kind := store.HopNobody
	if taken {
		kind = store.HopBackup
	}
	n.note(store.Hop{Address: address, Kind: kind})
	return resolved{itself: taken, resolution: store.Resolution{Ours: true, Backup: true}}, err
}

// resolveOurs is resolve within a domain whose mail ends here.
func (n names) resolveOurs(d knownDomain, address mail.Address) (resolved, error) {
	h, _, err := n.explicit(d, address)
	if err != nil {
		return resolved{}, err
	}
	x := newExpansion(n)
	if h.id != 0 {
		n.note(h.hop(address, 0), h.id)
		return x.resolveHolder(h)
	}
	if _, err := x.follow(address, 0); err != nil {
		return resolved{}, err
	}
	r := x.resolved()
	r.refused = len(x.found) == 0 && x.refused
	return r, nil
}

func (n names) resolveRole(address mail.Address, domain store.DomainID) (resolved, error) {
	x := newExpansion(n)
	_, err := x.role(domain, store.Hop{Address: address, Kind: store.HopRole})
	return x.resolved(), err
}

// An expansion follows aliases and forwards, and collects the destinations, each
// once.
type expansion struct {
	names      names
	rights     bool // it is asked who an address is: neither catch-alls nor forwards say so
	aliases    map[int64]bool
	has        map[store.Destination]bool
	found      []store.Destination
	refused    bool                     // an account was left out because its mail is refused
	underWay   map[store.AccountID]bool // accounts that forward: false once all their targets were followed
	forwarders []store.AccountID        // of those, who keep no copy
}

func newExpansion(n names) *expansion {
	return &expansion{
		names: n, aliases: make(map[int64]bool),
		has: make(map[store.Destination]bool), underWay: make(map[store.AccountID]bool),
	}
}

func (x *expansion) resolved() resolved {
	return resolved{resolution: store.Resolution{Ours: true, Destinations: x.found, Forwarders: x.forwarders}}
}

// resolveHolder is the answer about an account that was addressed itself.
func (x *expansion) resolveHolder(h holder) (resolved, error) {
	if _, err := x.account(h, 0); err != nil {
		return resolved{}, err
	}
	r := x.resolved()
	r.refused = h.refuses
	if x.has[store.Destination{Account: h.id}] {
		r.resolution.Direct, r.quota = h.id, h.quota
	}
	return r, nil
}

func (x *expansion) add(d store.Destination) {
	if !x.has[d] {
		x.has[d] = true
		x.found = append(x.found, d)
	}
}

// follow adds where an address leads, and reports whether that is anywhere. An
// alias that has been passed before, as in a loop, adds nothing more; an address
// that is nobody's adds nothing.
func (x *expansion) follow(a mail.Address, depth int) (arrives bool, err error) {
	d, ours, err := x.names.domain(a.Domain)
	if err != nil {
		return false, err
	}
	if !ours || d.backup {
		x.names.note(store.Hop{Depth: depth, Address: a, Kind: store.HopRemote})
		x.add(store.Destination{Remote: a})
		return true, nil
	}
	h, f, err := x.names.explicit(d, a)
	switch {
	case err != nil:
		return false, err
	case h.id != 0:
		x.names.note(h.hop(a, depth), h.id)
		return x.account(h, depth)
	case f.id != 0:
		return x.through(f, store.Hop{Depth: depth, Address: a, Kind: store.HopAlias, Tagged: f.tagged})
	case isRole(a):
		return x.role(d.id, store.Hop{Depth: depth, Address: a, Kind: store.HopRole})
	case x.rights:
		x.names.note(store.Hop{Depth: depth, Address: a, Kind: store.HopNobody})
		return false, nil
	}
	f, ok, err := x.names.alias(d.id, "")
	if err != nil || !ok {
		x.names.note(store.Hop{Depth: depth, Address: a, Kind: store.HopNobody})
		return false, err
	}
	return x.through(f, store.Hop{Depth: depth, Address: a, Kind: store.HopCatchAll})
}

// through follows an alias, to which hop is the step. One that is being followed
// already leads nowhere new.
func (x *expansion) through(f alias, hop store.Hop) (arrives bool, err error) {
	arrives, passed := x.aliases[f.id]
	switch {
	case passed:
		hop.Kind = store.HopLoop
	case hop.Depth >= maxAliasDepth:
		hop.Kind = store.HopDeep
	}
	hop.To = f.targets
	x.names.note(hop)
	if hop.Kind == store.HopLoop || hop.Kind == store.HopDeep {
		return arrives, nil
	}
	x.aliases[f.id] = false
	arrives, err = x.all(f.targets, hop.Depth+1)
	x.aliases[f.id] = arrives
	return arrives, err
}

func (x *expansion) all(targets []mail.Address, depth int) (arrives bool, err error) {
	for _, target := range targets {
		found, err := x.follow(target, depth)
		if err != nil {
			return false, err
		}
		arrives = arrives || found
	}
	return arrives, nil
}

// account adds an account, or where its mail is forwarded. What comes back to it
// on the way stays with it, and so does what leads nowhere.
func (x *expansion) account(h holder, depth int) (arrives bool, err error) {
	own := store.Destination{Account: h.id}
	underWay, passed := x.underWay[h.id]
	switch {
	case h.refuses:
		x.refused = true
		return false, nil
	case passed && !underWay:
		return true, nil
	case passed, !h.forwards, x.rights, depth >= maxAliasDepth:
		x.add(own)
		return true, nil
	}
	x.underWay[h.id] = true
	defer func() { x.underWay[h.id] = false }()
	if h.keeps {
		x.add(own)
	}
	targets, err := x.names.forwardTargets(h.id)
	if err != nil {
		return false, err
	}
	x.names.noteForward(h, targets, depth)
	switch arrives, err := x.all(targets, depth+1); {
	case err != nil:
		return false, err
	case !arrives:
		x.add(own)
	}
	if !x.has[own] {
		x.forwarders = append(x.forwarders, h.id)
	}
	return true, nil
}

func (x *expansion) role(domain store.DomainID, hop store.Hop) (arrives bool, err error) {
	readers, err := x.names.role(domain)
	if err != nil {
		return false, err
	}
	ids := make([]store.AccountID, len(readers))
	for i, h := range readers {
		ids[i] = h.id
	}
	x.names.note(hop, ids...)
	for _, h := range readers {
		found, err := x.account(h, hop.Depth)
		if err != nil {
			return false, err
		}
		arrives = arrives || found
	}
	return arrives, nil
}
