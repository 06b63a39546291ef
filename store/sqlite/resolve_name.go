package sqlite

import (
	"database/sql"
	"strings"

	"postroom/store"
	"postroom/store/mail"
)

// A querier gives rows: a change, or a snapshot.
type querier interface {
	query(query string, args ...any) (*sql.Rows, error)
}

// A names looks addresses up in one view of the directory.
type names struct {
	querier
	heard *[]namedHop // the steps that were taken; nil: nobody asks
}

// A namedHop is a step that may lead to accounts, or be one's.
type namedHop struct {
	store.Hop
	accounts []store.AccountID
	owner    store.AccountID // whose address the step is about; zero: it is known
}

// note tells a step to who asks for them.
func (n names) note(h store.Hop, accounts ...store.AccountID) {
	if n.heard != nil {
		*n.heard = append(*n.heard, namedHop{Hop: h, accounts: accounts})
	}
}

// noteForward tells that an account sends its mail on.
func (n names) noteForward(h holder, targets []mail.Address, depth int) {
	if n.heard != nil {
		hop := store.Hop{Depth: depth, Kind: store.HopForward, To: targets, Keeps: h.keeps}
		*n.heard = append(*n.heard, namedHop{Hop: hop, owner: h.id})
	}
}

// A knownDomain is a domain of ours.
type knownDomain struct {
	id     store.DomainID
	backup bool // we only hold its mail
	listed bool // and only for the recipients that the admin has named
}

// A holder is the account that an address names.
type holder struct {
	id       store.AccountID
	quota    int64
	disabled bool
	refuses  bool // disabled, and mail for it is refused
	forwards bool // to other addresses
	keeps    bool // a copy of what it forwards
	tagged   bool // the address names it but for its tag
}

// hop is the step to the account.
func (h holder) hop(a mail.Address, depth int) store.Hop {
	kind := store.HopAccount
	if h.refuses {
		kind = store.HopRefuses
	}
	return store.Hop{Depth: depth, Address: a, Kind: kind, Tagged: h.tagged}
}

// selectHolder is what scanHolder reads. A disabled account forwards nothing: who
// has broken into it must not go on reading its mail.
const selectHolder = `
	SELECT a.id, a.quota, a.disabled, a.disabled AND a.refuse, f.account IS NOT NULL, COALESCE(f.keep, 0)
	FROM account AS a
	LEFT JOIN forward AS f ON f.account = a.id AND NOT a.disabled`

func scanHolder(rows *sql.Rows) func(*holder) error {
	return func(h *holder) error {
		return rows.Scan(&h.id, &h.quota, &h.disabled, &h.refuses, &h.forwards, &h.keeps)
	}
}

// An alias is one that an address names.
type alias struct {
	id      int64
	targets []mail.Address
	tagged  bool // the address names it but for its tag
}

// first returns the first of some rows, and whether there was one.
func first[T any](all []T, err error) (T, bool, error) {
	if err != nil || len(all) == 0 {
		var none T
		return none, false, err
	}
	return all[0], true, nil
}

func (n names) domain(name string) (knownDomain, bool, error) {
	rows, err := n.query(`SELECT id, backup, listed FROM domain WHERE name = ?`, name)
	if err != nil {
		return knownDomain{}, false, err
	}
	return first(collect(rows, func(d *knownDomain) error { return rows.Scan(&d.id, &d.backup, &d.listed) }))
}

func (n names) holder(domain store.DomainID, local string) (holder, bool, error) {
	rows, err := n.query(selectHolder+`
		WHERE a.domain = ? AND a.local = ?`, domain, local)
	if err != nil {
		return holder{}, false, err
	}
	return first(collect(rows, scanHolder(rows)))
}

// forwardTargets returns where the mail of an account goes on to.
func (n names) forwardTargets(account store.AccountID) ([]mail.Address, error) {
	rows, err := n.query(`
		SELECT address
		FROM forward_target
		WHERE account = ?
		ORDER BY seq`, account)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(a *mail.Address) error { return scanAddress(rows, a) })
}

// aliasTargets returns where an alias leads.
func (n names) aliasTargets(id int64) ([]mail.Address, error) {
	rows, err := n.query(`
		SELECT address
		FROM alias_target
		WHERE alias = ?
		ORDER BY seq`, id)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(a *mail.Address) error { return scanAddress(rows, a) })
}

// scanAddress reads an address, the only column of a row.
func scanAddress(rows *sql.Rows, a *mail.Address) (err error) {
	var text string
	if err := rows.Scan(&text); err != nil {
		return err
	}
	*a, err = mail.ParseAddress(text)
	return err
}

func (n names) alias(domain store.DomainID, local string) (alias, bool, error) {
	rows, err := n.query(`
		SELECT a.id, t.address
		FROM alias AS a
		JOIN alias_target AS t ON t.alias = a.id
		WHERE a.domain = ? AND a.local = ?
		ORDER BY t.seq`, domain, local)
	if err != nil {
		return alias{}, false, err
	}
	var f alias
	_, err = collect(rows, func(*struct{}) error {
		var text string
		if err := rows.Scan(&f.id, &text); err != nil {
			return err
		}
		target, err := mail.ParseAddress(text)
		f.targets = append(f.targets, target)
		return err
	})
	return f, len(f.targets) > 0, err
}

// explicit returns what an address of a domain of ours names itself, exactly or
// without its tag: an account or an alias. What exists with a "+" in it wins over
// the tag.
func (n names) explicit(d knownDomain, a mail.Address) (h holder, f alias, err error) {
	locals := []string{localPart(a)}
	if base := localPart(a.Base()); base != locals[0] {
		locals = append(locals, base)
	}
	for _, local := range locals {
		if local == "" { // "" is how a catch-all is kept; nobody may name it
			continue
		}
		h, ok, err := n.holder(d.id, local)
		if ok || err != nil {
			h.tagged = local != locals[0]
			return h, alias{}, err
		}
		f, ok, err := n.alias(d.id, local)
		if ok || err != nil {
			f.tagged = local != locals[0]
			return holder{}, f, err
		}
	}
	return holder{}, alias{}, nil
}

// isRole reports whether an address always has to arrive (RFC 5321 4.5.1,
// RFC 2142 4): postmaster and abuse.
func isRole(a mail.Address) bool {
	local := strings.ToLower(a.Base().Local)
	return local == "postmaster" || local == "abuse"
}

// role returns who reads the mail of a role: the admins who are enabled, else the
// oldest enabled account, of the domain if it has one. If everybody is disabled it
// is the oldest whose mail isn't refused.
func (n names) role(domain store.DomainID) ([]holder, error) {
	rows, err := n.query(selectHolder + `
		WHERE a.admin = 1 AND a.disabled = 0
		ORDER BY a.id`)
	if err != nil {
		return nil, err
	}
	if admins, err := collect(rows, scanHolder(rows)); err != nil || len(admins) > 0 {
		return admins, err
	}
	rows, err = n.query(selectHolder+`
		WHERE NOT (a.disabled AND a.refuse)
		ORDER BY a.disabled, a.domain <> ?, a.id
		LIMIT 1`, domain)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanHolder(rows))
}
