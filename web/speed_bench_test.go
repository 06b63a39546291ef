package web

import (
	"database/sql"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postroom/store/sqlite"
)

// What a page may cost on a large server.
const (
	mostServerTime = 100 * time.Millisecond // in the median
	mostHTML       = 100_000                // octets
)

// BenchmarkEveryPage shows every page of the route table on a server with 10,000
// accounts, 1,000,000 events in the trace, 100,000 recipients in the queue and as many
// entries in the journal, and
// some pages at places where they have more to do. It fails if a page takes too long
// or is too large.
func BenchmarkEveryPage(b *testing.B) {
	s := newLargeSite(b)
	s.exemplary()
	type page struct {
		path string
		by   *browser
	}
	chief, stranger := s.signedIn(), s.browser()
	var pages []page
	for _, path := range []string{
		"/?over=hour", "/?over=month",
		"/messages?q=user7@example.org", "/messages?q=user7@example.org+bounced", "/messages?outcome=bounced&since=2026-10-01&until=2026-10-02",
		"/messages?ip=192.0.2.0/24", "/messages?ip=192.0.2.7&outcome=sent", "/messages?host=elsewhere.example&outcome=refused", "/messages?outcome=waiting", "/messages?outcome=held",
		"/messages?host=mx1.d7.example&since=monday", "/messages?outcome=waiting&q=user7@example.org", "/messages?outcome=waiting&ip=192.0.2.0/24&host=d7.example",
		"/queue?domain=big.example", "/queue?sender=user7@example.org", "/queue?held=yes", "/queue/return?scope=all",
		"/destinations?q=failing", "/accounts?sort=full", "/accounts?q=user77", "/accounts?page=100", "/aliases?page=50",
		"/journal?about=user77@", "/journal?about=nothing", "/journal?who=nobody", "/journal?action=limit&who=nobody&since=2026-01-01", "/journal?below=100", accountURL("user7@example.org"),
	} {
		pages = append(pages, page{path, chief})
	}
	for _, r := range newPages(s.server).routes() {
		switch {
		case r.method != http.MethodGet:
		case r.needs.who() == needNobody:
			pages = append(pages, page{r.example(s), stranger})
		default:
			pages = append(pages, page{r.example(s), chief})
		}
	}
	older := chief.get("/messages").link("Older")
	pages = append(pages, page{older, chief}, page{chief.get(older).link("Newer"), chief})
	for _, p := range pages {
		b.Run(p.path, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				began, cpu := time.Now(), processorTime(b)
				a := p.by.get(p.path)
				// The lesser, because others may keep the machine busy.
				took = append(took, min(time.Since(began), processorTime(b)-cpu))
				if a.code >= http.StatusBadRequest || len(a.body) > mostHTML {
					b.Fatalf("answered %d with %d octets", a.code, len(a.body))
				}
			}
			slices.Sort(took)
			median := took[len(took)/2]
			b.ReportMetric(float64(median.Microseconds())/1000, "ms/page")
			if median > mostServerTime {
				b.Errorf("takes %v, more than %v", median, mostServerTime)
			}
		})
	}
}

// processorTime is how long the processor has worked for this process.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// newLargeSite fills a database through its tables, which takes seconds where mail
// that comes in would take an hour, and opens a site on it.
func newLargeSite(b *testing.B) *site {
	b.Helper()
	dir := b.TempDir()
	empty, err := sqlite.Open(b.Context(), sqlite.Options{Dir: dir})
	if err == nil {
		err = empty.Close()
	}
	if err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, sqlite.FileName)+"?_sync=OFF&_cache_size=-200000")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	now := siteBegan.UnixMicro()
	for _, step := range largeServer {
		if _, err := db.ExecContext(b.Context(), "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999999) "+step, now); err != nil {
			b.Fatalf("%s: %v", step, err)
		}
	}
	return newSiteIn(b, dir)
}

// largeServer are statements that fill a database. n counts up to a million, ?1 is
// the time. A message comes every 38.88 seconds for 90 days; its id is its time, and
// divided by 40,768,634,880 counts by one from each to the next.
var largeServer = []string{
	`INSERT INTO domain (name, created) SELECT 'example.org', ?1 UNION ALL SELECT 'own' || i || '.example', ?1 FROM n WHERE i < 200`,
	`INSERT INTO account (domain, local, name, quota, created, used_bytes, used_count)
		SELECT IIF(i % 2, 1, 2 + i % 200), 'user' || i, 'Person ' || i, 1000000000, ?1, i * 95000, i FROM (SELECT i FROM n LIMIT 10000)`,
	`INSERT INTO alias (domain, local, created) SELECT 1, 'team' || i, ?1 FROM (SELECT i FROM n LIMIT 5000)`,
	`INSERT INTO alias_target (alias, seq, address) SELECT id, s.i, 'user' || (id * 2 + s.i) || '@example.org' FROM alias, (SELECT i FROM n LIMIT 3) AS s`,
	`INSERT INTO access (what, action, note, created, expires) SELECT 'spammer' || i || '.example', 1, 'too much', ?1, 0 FROM (SELECT i FROM n LIMIT 5000)`,
	`INSERT INTO route (domain, origin, host, port, tls, user, password, created) SELECT 'd' || i || '.example', '', 'relay.example', 25, 0, '', '', ?1 FROM (SELECT i FROM n LIMIT 500)`,
	`INSERT INTO device (network, account, created) SELECT '10.' || (i / 250) || '.' || (i % 250) || '.0/24', 1 + i, ?1 FROM (SELECT i FROM n LIMIT 500)`,
	`INSERT INTO concern (key, text, cure, since, seen) SELECT 'dns own' || i || '.example', 'The DNS of own' || i || '.example is wrong.', '/domains/own' || i || '.example/dns', ?1, ?1 FROM (SELECT i FROM n LIMIT 100)`,
	`INSERT INTO journal (at, who, via, client, action, subject, before, after, touched, undoes, undone_by)
		SELECT ?1 - 100000 + i, 'user' || (i % 50) || '@example.org', 'web', '192.0.2.1', 'limit.set', 'user' || (i % 10000) || '@example.org',
			json_object('messages_per_hour', 'default', 'messages_per_day', 'default', 'recipients_per_hour', 'default', 'recipients_per_day', '1000'),
			json_object('messages_per_hour', '7', 'messages_per_day', 'default', 'recipients_per_hour', 'default', 'recipients_per_day', '1000'), 0, 0, 0
		FROM (SELECT i FROM n LIMIT 100000)`,
	`INSERT INTO destination (key, host, failures, last_success, last_failure, next_try, reply)
		SELECT 'd' || i || '.example', 'mx1.d' || i || '.example', IIF(i % 20, 0, 3), ?1, IIF(i % 20, 0, ?1), IIF(i % 20, 0, ?1 + 3600000000), '250 2.0.0 queued'
		FROM (SELECT i FROM n LIMIT 20000)`,
	`INSERT INTO tally (hour, kind, n) SELECT ?1 / 3600000000 - h.i, k.kind, 20 + h.i % 24
		FROM (SELECT i FROM n LIMIT 2160) AS h, (SELECT 'received' AS kind UNION SELECT 'delivered' UNION SELECT 'sent' UNION SELECT 'deferred' UNION SELECT 'bounced' UNION SELECT 'rejected') AS k`,
	`INSERT INTO sending (minute, account, domain, messages, recipients)
		SELECT ?1 / 60000000 - m.i, 1 + a.i, 1, 1, 3 FROM (SELECT i FROM n LIMIT 60) AS m, (SELECT i FROM n LIMIT 1000) AS a`,

	// The trace: 200,000 messages of five events each, of ten kinds of ways.
	`INSERT INTO trail (id, at, header_id, sender, recipients, refused)
		SELECT (t.at / 1000) << 20, t.at, t.i || '.2026@mail.example.org', 'user' || (t.i * 7 % 10000) || '@example.org',
			json_array(IIF(t.i % 10 < 5, 'user' || (t.i % 10000) || '@example.org', 'reader@d' || (t.i % 20000) || '.example')), t.i % 10 = 9
		FROM (SELECT i, ?1 - (200000 - i) * 38880000 AS at FROM n LIMIT 200000) AS t`,
	`DELETE FROM trail_new`,
	`INSERT INTO event (trail, seq, at, kind, recipient, detail)
		SELECT t.id, s.i, t.at + s.i * 1000000,
			json_array('accepted', IIF(t.way < 5, 'delivered', 'queued'), IIF(t.way < 5, 'collected', 'attempt'),
				CASE WHEN t.way < 5 THEN 'collected' WHEN t.way = 8 THEN 'deferred' ELSE 'attempt' END,
				CASE WHEN t.way < 5 THEN 'deleted' WHEN t.way = 8 THEN 'bounced' WHEN t.way = 9 THEN 'rejected' ELSE 'sent' END) ->> s.i,
			t.recipients ->> 0,
			CASE s.i
			WHEN 0 THEN '{"client":"192.0.' || (2 + id / 40768634880 % 3) || '.' || (id / 40768634880 % 250) || '","helo":"mx' || (id / 40768634880 % 300) || '.elsewhere.example","protocol":"ESMTPS","size":4000,"tls":"TLS 1.3 TLS_AES_128_GCM_SHA256","reply":"250 2.0.0 accepted","checks":[{"check":"spf","result":"pass","detail":"it names the address"}]}'
			WHEN 1 THEN ''
			ELSE '{"client":"198.51.100.' || (id / 40768634880 % 250) || '","account":"' || (t.recipients ->> 0) || '","host":"mx1.' || substr(t.recipients ->> 0, 8) || '","ip":"203.0.113.' || (id / 40768634880 % 250) || '","reply":"250 2.0.0 Ok: queued as 4XkQ2"}' END
		FROM (SELECT id, at, recipients, CAST(header_id AS INTEGER) % 10 AS way FROM trail) AS t, (SELECT i FROM n LIMIT 5) AS s`,
	`DELETE FROM trail_new`,
	`INSERT OR IGNORE INTO trail_key (key, trail)
		SELECT key, id FROM (
			SELECT 'a:' || sender AS key, id FROM trail
			UNION ALL SELECT 'a:' || (recipients ->> 0), id FROM trail
			UNION ALL SELECT 'm:' || header_id, id FROM trail
			UNION ALL SELECT 'o:' || kind, trail FROM event WHERE kind IN ('collected', 'deleted', 'deferred', 'bounced', 'sent', 'rejected')
			UNION ALL SELECT printf('i:4c000%02x%02x', 2 + id / 40768634880 % 3, id / 40768634880 % 250), id FROM trail
			UNION ALL SELECT 'h:example.elsewhere.mx' || (id / 40768634880 % 300), id FROM trail
			UNION ALL SELECT 'h:example.' || replace(substr(recipients ->> 0, 8), '.example', '') || '.mx1', id FROM trail)
		ORDER BY key, id`,

	// The queue: 4,000 messages of 25 recipients at 20,001 destinations; a tenth is held.
	`INSERT INTO message (id, at, sender, header_id, eight_bit, utf8, ret, envid, account, size, first_chunk, chunks)
		SELECT id, at, sender, header_id, 0, 0, 0, '', 1 + id / 40768634880 % 10000, 4000, 0, 0
		FROM (SELECT * FROM trail WHERE refused = 0 ORDER BY id DESC LIMIT 4000)`,
	`INSERT INTO queue (message, sender, recipient, domain, notify, orcpt, account, created, expires, due, attempts, last_reply, hold, origin, class)
		SELECT message, sender, 'reader' || r || '@' || domain, domain, 0, '', account, at, at + 432000000000, ?1 + 600000000, 1, '451 4.7.1 Greylisted, please come again', message / 40768634880 % 10 = 0, 'example.org', 1
		FROM (SELECT m.id AS message, m.sender, m.account, m.at, r.i AS r, IIF(r.i < 20, 'd' || ((m.id / 40768634880 * 20 + r.i) % 20000) || '.example', 'big.example') AS domain
			FROM message AS m, (SELECT i FROM n LIMIT 25) AS r
			ORDER BY m.id)`,
	`DELETE FROM trail_new`,
}
