package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"postroom/store"
	"postroom/store/mail"
)

// A list says how a part of it is read, in SQL.
type list[T any] struct {
	from    string            // behind SELECT … FROM
	where   string            // which rows there are at all, empty for all
	args    []any             // of where
	text    []string          // what is searched, one by one
	status  map[string]string // conditions
	sorts   map[string]string // what a word orders by, with % behind each column for the direction
	order   string            // the list's own
	columns string
	scan    func(*sql.Rows, *T) error
}

// read reads the part of a list that q asks for.
func (l list[T]) read(ctx context.Context, s *Store, q store.ListQuery) (part store.ListPart[T], err error) {
	db := s.reader()
	there, asked, args := l.conditions(q)
	err = db.QueryRowContext(ctx, `SELECT COUNT(*), COUNT(CASE WHEN `+asked+` THEN 1 END) FROM `+l.from+` WHERE `+there, args...).Scan(&part.All, &part.Matching)
	if err != nil {
		return part, err
	}
	part.Offset = q.At(part.Matching)
	limit := int64(-1)
	if q.Limit > 0 {
		limit = q.Limit
	}
	rows, err := db.QueryContext(ctx, `
		SELECT `+l.columns+`
		FROM `+l.from+`
		WHERE `+asked+` AND `+there+`
		ORDER BY `+l.orderBy(q)+`
		LIMIT ? OFFSET ?`, append(args, limit, part.Offset)...)
	if err != nil {
		return part, err
	}
	part.Rows, err = collect(rows, func(row *T) error { return l.scan(rows, row) })
	return part, err
}

// conditions say which rows there are, and which of them are asked for. The
// arguments are those of the second, then of the first.
func (l list[T]) conditions(q store.ListQuery) (there, asked string, args []any) {
	there, asked = "1", "1"
	if c := l.status[q.Status]; c != "" {
		asked = c
	}
	if q.Text != "" {
		var found []string
		for _, text := range l.text {
			found, args = append(found, text+` LIKE ? ESCAPE '!'`), append(args, "%"+likely.Replace(q.Text)+"%")
		}
		asked += ` AND (` + strings.Join(found, ` OR `) + `)`
	}
	if l.where != "" {
		there, args = l.where, append(args, l.args...)
	}
	return there, asked, args
}

// likely writes a text so that LIKE finds it itself.
var likely = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

func (l list[T]) orderBy(q store.ListQuery) string {
	direction := ""
	if q.Descending {
		direction = " DESC"
	}
	if by := l.sorts[q.Sort]; by != "" {
		return strings.ReplaceAll(by, "%", direction) + `, ` + l.order
	}
	return l.order
}

// ListAccounts returns a part of all accounts, by domain and local part or by
// "name", "used", "full", "messages", "created".
func (s *Store) ListAccounts(ctx context.Context, q store.ListQuery) (store.ListPart[store.Account], error) {
	fullness := `IIF(a.quota > 0, 1.0 * a.used_bytes / a.quota, 0)`
	l := list[store.Account]{
		from: accountTables,
		text: []string{`a.local || '@' || d.name`, `a.name`},
		status: map[string]string{
			store.ListEnabled: `a.disabled = 0`, store.ListDisabled: `a.disabled = 1`, store.ListAdmins: `a.admin = 1`,
			store.ListFilling: fullness + ` >= 0.8`, store.ListFull: fullness + ` >= 1`,
			store.ListUnused: `NOT EXISTS (SELECT 1 FROM last_login WHERE account = a.id)`,
		},
		sorts: map[string]string{
			"address": `d.name%, a.local%`, "name": `lower(a.name)%`, "used": `a.used_bytes%`, "full": fullness + `%`,
			"messages": `a.used_count%`, "created": `a.created%`,
		},
		order:   `d.name, a.local`,
		columns: accountColumns,
		scan:    func(rows *sql.Rows, a *store.Account) error { return s.scanAccount(rows.Scan, a) },
	}
	part, err := l.read(ctx, s, q)
	if err != nil {
		return part, fmt.Errorf("list accounts: %w", err)
	}
	return part, nil
}

// ListDomains returns a part of all domains with how much each has, by name or by
// "accounts", "aliases", "created", "use" (backup domains last).
func (s *Store) ListDomains(ctx context.Context, q store.ListQuery) (store.ListPart[store.DomainSize], error) {
	l := list[store.DomainSize]{
		from: `domain AS d`, text: []string{`d.name`},
		sorts: map[string]string{"name": `d.name%`, "accounts": `accounts%`, "aliases": `aliases%`, "created": `d.created%`, "use": `d.backup%`},
		order: `d.name`,
		columns: `d.id, d.name, d.backup, d.listed, d.created,
			(SELECT COUNT(*) FROM account WHERE domain = d.id) AS accounts, (SELECT COUNT(*) FROM alias WHERE domain = d.id) AS aliases`,
		scan: func(rows *sql.Rows, d *store.DomainSize) error {
			var created int64
			err := rows.Scan(&d.ID, &d.Name, &d.Backup, &d.Listed, &created, &d.Accounts, &d.Aliases)
			d.Created = fromMicros(created)
			return err
		},
	}
	part, err := l.read(ctx, s, q)
	if err != nil {
		return part, fmt.Errorf("list domains: %w", err)
	}
	return part, nil
}

// ListAliases returns a part of all aliases, by domain and local part or by
// "created". The text is looked for in what they lead to as well.
func (s *Store) ListAliases(ctx context.Context, q store.ListQuery) (store.ListPart[store.Alias], error) {
	l := list[store.Alias]{
		from:  `alias AS a JOIN domain AS d ON d.id = a.domain`,
		text:  []string{`a.local || '@' || d.name`, aliasTargets},
		sorts: map[string]string{"address": `d.name%, a.local%`, "created": `a.created%`},
		order: `d.name, a.local`, columns: `a.local, d.name, a.created, ` + aliasTargets, scan: scanAlias,
	}
	part, err := l.read(ctx, s, q)
	if err != nil {
		return part, fmt.Errorf("list aliases: %w", err)
	}
	return part, nil
}

// aliasTargets are the addresses that an alias "a" leads to, with a character
// between that no address has.
const aliasTargets = `(SELECT group_concat(address, char(10)) FROM (SELECT address FROM alias_target WHERE alias = a.id ORDER BY seq))`

func scanAlias(rows *sql.Rows, a *store.Alias) error {
	var created int64
	var targets string
	if err := rows.Scan(&a.Source.Local, &a.Source.Domain, &created, &targets); err != nil {
		return err
	}
	a.Created = fromMicros(created)
	for text := range strings.SplitSeq(targets, "\n") {
		target, err := parseStored(text)
		if err != nil {
			return err
		}
		a.Targets = append(a.Targets, target)
	}
	return nil
}

// Alias returns an alias, or fails with store.ErrNotFound.
func (s *Store) Alias(_ context.Context, source mail.Address) (store.Alias, error) {
	aliases, err := s.aliasesWhere(`d.name = ? AND a.local = ?`, source.Domain, localPart(source))
	if err == nil && len(aliases) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.Alias{}, fmt.Errorf("find alias: %w", err)
	}
	return aliases[0], nil
}

// AliasesTo returns the aliases that name an address themselves, by domain and
// local part.
func (s *Store) AliasesTo(_ context.Context, address mail.Address) ([]store.Alias, error) {
	aliases, err := s.aliasesWhere(`a.id IN (SELECT alias FROM alias_target WHERE lower(address) = lower(?))`, address.String())
	if err != nil {
		return nil, fmt.Errorf("find aliases: %w", err)
	}
	return aliases, nil
}

func (s *Store) aliasesWhere(where string, args ...any) ([]store.Alias, error) {
	rows, err := s.query(`
		SELECT a.local, d.name, a.created, `+aliasTargets+`
		FROM alias AS a
		JOIN domain AS d ON d.id = a.domain
		WHERE `+where+`
		ORDER BY d.name, a.local`, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(a *store.Alias) error { return scanAlias(rows, a) })
}

// accessOrder is that of the index access_kind.
const accessOrder = `CASE WHEN instr(what, '@') THEN 2 WHEN instr(what, '/') THEN 0 ELSE 1 END, what`

// ListAccess returns a part of the admin's own lists, without what has ended:
// networks first, then domains, then addresses, or by "action", "until", "created".
func (s *Store) ListAccess(ctx context.Context, q store.ListQuery) (store.ListPart[store.AccessEntry], error) {
	l := list[store.AccessEntry]{
		from: `access`, where: `(expires = 0 OR expires > ?)`, args: []any{micros(s.now())},
		text:    []string{`what`, `note`, `IIF(action = 1, 'allowed', 'blocked')`},
		sorts:   map[string]string{"what": `what%`, "action": `action%`, "until": `IIF(expires = 0, 9e18, expires)%`, "created": `created%`},
		order:   accessOrder,
		columns: `what, action, note, created, expires`,
		scan: func(rows *sql.Rows, e *store.AccessEntry) error {
			var created, expires int64
			err := rows.Scan(&e.What, &e.Action, &e.Note, &created, &expires)
			e.Created, e.Expires = fromMicros(created), fromMicros(expires)
			return err
		},
	}
	part, err := l.read(ctx, s, q)
	if err != nil {
		return part, fmt.Errorf("list access: %w", err)
	}
	return part, nil
}
