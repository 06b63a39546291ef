package sqlite

import (
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"postroom/store"
)

// A searched is a store whose clock goes on by a minute with each message.
type searched struct {
	*directoryFixture
	t     *testing.T
	clock atomic.Int64 // microseconds; the store's background work reads it too
	ids   []store.MessageID
}

func newSearched(t *testing.T, change ...func(*Options)) *searched {
	t.Helper()
	f := &searched{t: t}
	f.clock.Store(time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC).UnixMicro())
	opts := Options{Dir: t.TempDir(), Now: f.at}
	for _, c := range change {
		c(&opts)
	}
	s, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	f.directoryFixture = &directoryFixture{Store: s, accounts: make(map[store.AccountID]string)}
	return f
}

func (f *searched) at() time.Time        { return time.UnixMicro(f.clock.Load()).UTC() }
func (f *searched) wait(d time.Duration) { f.clock.Add(d.Microseconds()) }

// refused notes a refusal of a client, a minute after the last.
func (f *searched) refused(client, helo string) store.MessageID {
	f.t.Helper()
	f.wait(time.Minute)
	id := f.NewMessageID()
	f.Refused(store.Refusal{ID: id, From: "x@" + helo, To: []string{"alice@example.org"}, Events: []store.Event{
		{Time: f.at(), Kind: store.Rejected, Client: client, Helo: helo, Recipient: "alice@example.org"},
	}})
	f.ids = append(f.ids, id)
	return id
}

func (f *searched) page(q store.TrailQuery) store.TrailPage {
	f.t.Helper()
	page, err := f.Trails(f.t.Context(), q)
	if err != nil {
		f.t.Fatal(err)
	}
	return page
}

func (f *searched) find(q store.TrailQuery) []store.MessageID {
	f.t.Helper()
	return idsOf(f.page(q))
}

func idsOf(page store.TrailPage) (ids []store.MessageID) {
	for _, trail := range page.Trails {
		ids = append(ids, trail.ID)
	}
	return ids
}

func TestTrailsAreFoundByWhatHappened(t *testing.T) {
	f := newSearched(t)
	f.domain(t, "example.org", false)
	alice := f.account(t, store.Account{}, "alice@example.org")
	start := f.at()
	bad := f.refused("192.0.2.77", "Mail.Lottery.example.")
	other := f.refused("192.0.2.200", "lottery.example")
	six := f.refused("2001:db8::7", "mail.lotteryexample")
	f.wait(time.Minute)
	sent := f.queued(t, alice, "someone@elsewhere.example")
	f.wait(time.Minute)
	waiting := f.queued(t, alice, "later@elsewhere.example")
	f.wait(time.Minute)
	received := f.received(t, alice, 50)
	if got := f.find(store.TrailQuery{Outcome: store.Relayed}); got != nil { // all is indexed by now
		t.Errorf("sent before it is: %v", got)
	}
	item := f.item(sent)
	err := f.Settle(t.Context(), store.Settlement{At: f.at(), Outcomes: []store.Outcome{{
		Item: item.ID, Message: sent, Recipient: item.Recipient.Address, Result: store.Sent, Events: []store.Event{
			{Time: f.at(), Kind: store.Attempt, Host: "mx1.elsewhere.example", IP: "198.51.100.4", Recipient: "someone@elsewhere.example", Outcome: "sent"},
			{Time: f.at(), Kind: store.Relayed, Host: "mx1.elsewhere.example", Recipient: "someone@elsewhere.example"},
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	f.Collected(store.Collection{Message: received, Account: alice, At: f.at(), Client: "203.0.113.5", Protocol: "pop3s"})
	prefix := netip.MustParsePrefix
	for _, test := range []struct {
		it   string
		q    store.TrailQuery
		want []store.MessageID
	}{
		{"finds an ID", store.TrailQuery{ID: other}, []store.MessageID{other}},
		{"finds a client's IP", store.TrailQuery{IP: prefix("192.0.2.77/32")}, []store.MessageID{bad}},
		{"finds a client's network", store.TrailQuery{IP: prefix("192.0.2.0/24")}, []store.MessageID{other, bad}},
		{"finds a part of it", store.TrailQuery{IP: prefix("192.0.2.192/26")}, []store.MessageID{other}},
		{"finds an IPv6 address", store.TrailQuery{IP: prefix("2001:db8::7/128")}, []store.MessageID{six}},
		{"finds an IPv6 network", store.TrailQuery{IP: prefix("2001:db8::/32")}, []store.MessageID{six}},
		{"finds nothing in another network", store.TrailQuery{IP: prefix("192.0.3.0/24")}, nil},
		{"finds a host without case", store.TrailQuery{Host: "MAIL.lottery.example"}, []store.MessageID{bad}},
		{"finds the hosts in a domain, and no others", store.TrailQuery{Host: "lottery.example"}, []store.MessageID{other, bad}},
		{"finds the host that it was sent to", store.TrailQuery{Host: "mx1.elsewhere.example"}, []store.MessageID{sent}},
		{"finds the IP that it was sent to", store.TrailQuery{IP: prefix("198.51.100.4/32")}, []store.MessageID{sent}},
		{"finds who collected it", store.TrailQuery{IP: prefix("203.0.113.5/32")}, []store.MessageID{received}},
		{"finds what was refused", store.TrailQuery{Outcome: store.Rejected}, []store.MessageID{six, other, bad}},
		{"finds what was sent since", store.TrailQuery{Outcome: store.Relayed}, []store.MessageID{sent}},
		{"finds what was delivered", store.TrailQuery{Outcome: store.Delivered}, []store.MessageID{received}},
		{"joins what was delivered and an address", store.TrailQuery{Outcome: store.Delivered, Text: "alice@example.org", IP: prefix("203.0.113.0/24")}, []store.MessageID{received}},
		{"finds what waits", store.TrailQuery{Outcome: store.Queued}, []store.MessageID{waiting}},
		{"finds what was collected", store.TrailQuery{Outcome: store.Collected}, []store.MessageID{received}},
		{"finds nothing that is held", store.TrailQuery{Outcome: store.Held}, nil},
		{"joins the filters", store.TrailQuery{Outcome: store.Rejected, Host: "lottery.example", IP: prefix("192.0.2.0/25"), Text: "alice@example.org"}, []store.MessageID{bad}},
		{"joins what can't be joined", store.TrailQuery{Outcome: store.Queued, IP: prefix("192.0.2.0/24")}, nil},
		{"joins an address and what waits", store.TrailQuery{Outcome: store.Queued, Text: "alice@example.org"}, []store.MessageID{waiting}},
		{"begins at a time", store.TrailQuery{Since: start.Add(3 * time.Minute), Outcome: store.Rejected}, []store.MessageID{six}},
		{"ends at a time, without it", store.TrailQuery{Until: start.Add(2 * time.Minute)}, []store.MessageID{bad}},
	} {
		t.Run(test.it, func(t *testing.T) {
			if got := f.find(test.q); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
	if _, err := f.HoldQueue(t.Context(), store.QueueFilter{Message: waiting}); err != nil {
		t.Fatal(err)
	}
	if got := f.find(store.TrailQuery{Outcome: store.Held, Text: "later@elsewhere.example"}); !slices.Equal(got, []store.MessageID{waiting}) {
		t.Errorf("held are %v", got)
	}
	if n := number(t, f.Store, `SELECT COUNT(*) FROM trail_new`); n != 0 {
		t.Errorf("%d trails are still to be indexed", n)
	}
}

// item returns the first queue item of a message.
func (f *searched) item(id store.MessageID) store.QueueItem {
	f.t.Helper()
	items, err := f.Queue(f.t.Context(), store.QueueFilter{Message: id})
	if err != nil || len(items) == 0 {
		f.t.Fatal(items, err)
	}
	return items[0]
}

// TestTrailsHavePages goes through a list from its top to its end and back.
func TestTrailsHavePages(t *testing.T) {
	f := newSearched(t)
	for i := range 25 {
		f.refused(fmt.Sprintf("192.0.2.%d", i%5), fmt.Sprintf("h%d.example", i%2))
	}
	var all, even []store.MessageID
	for i, id := range slices.Backward(f.ids) {
		all = append(all, id)
		if i%2 == 0 {
			even = append(even, id)
		}
	}
	for it, list := range map[string]struct {
		q    store.TrailQuery
		want []store.MessageID
	}{
		"all":         {store.TrailQuery{}, all},
		"one key":     {store.TrailQuery{Host: "h0.example"}, even},
		"many keys":   {store.TrailQuery{IP: netip.MustParsePrefix("192.0.2.0/24")}, all},
		"two filters": {store.TrailQuery{Host: "h0.example", Outcome: store.Rejected}, even},
	} {
		t.Run(it, func(t *testing.T) {
			q := list.q
			q.Limit = 4
			var got []store.MessageID
			page := f.page(q)
			if page.Newer != 0 {
				t.Error("the first page has newer ones")
			}
			for {
				got = append(got, idsOf(page)...)
				if page.Older == 0 {
					break
				}
				q.Before = page.Older
				page = f.page(q)
			}
			if !slices.Equal(got, list.want) {
				t.Errorf("older and older gives %v, want %v", got, list.want)
			}
			back := idsOf(page)
			q.Before = 0
			for page.Newer != 0 {
				q.After = page.Newer
				if page = f.page(q); len(page.Trails) > 0 {
					back = append(idsOf(page), back...)
				}
			}
			if !slices.Equal(back, list.want) {
				t.Errorf("newer and newer gives %v, want %v", back, list.want)
			}
		})
	}
}

// TestHopelessSearchEnds: what all messages have and what none has together is given
// up at some time, says so, and can be taken up again.
func TestHopelessSearchEnds(t *testing.T) {
	f := newSearched(t)
	from := f.at().UnixMilli() << 20
	err := f.write(t.Context(), 0, func(tx *tx) error {
		for _, step := range []string{
			`INSERT INTO trail (id, at, header_id, sender, recipients, refused) SELECT value, 0, '', '', '[]', 0 FROM n`,
			`INSERT INTO trail_key (key, trail) SELECT IIF(value % 2, 'o:sent', 'o:bounced'), value FROM n`,
			`INSERT INTO trail_key (key, trail) SELECT 'a:odd@example.org', value FROM n WHERE value % 2`,
			`DELETE FROM trail_new WHERE trail IN n`,
		} {
			step = `WITH RECURSIVE n (value) AS (SELECT ?1 + 1 UNION ALL SELECT value + 1 FROM n WHERE value < ?1 + 25000) ` + step
			if _, err := tx.exec(step, from); err != nil {
				return fmt.Errorf("%s: %w", step, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	q := store.TrailQuery{Text: "odd@example.org", Outcome: store.Bounced}
	page := f.page(q)
	if len(page.Trails) != 0 || page.Looked < 10_000 || page.Looked > 11_000 || page.Older == 0 {
		t.Fatalf("the first look gives %+v", page)
	}
	q.Before = page.Older
	if page = f.page(q); len(page.Trails) != 0 || page.Older != 0 || page.Looked != 0 {
		t.Errorf("the second look gives %+v, want the end", page)
	}
}

func TestTrailsThatAreTooOldLeaveNoKeys(t *testing.T) {
	f := newSearched(t, func(o *Options) { o.KeepRefused, o.KeepTrace = time.Hour, time.Hour })
	f.refused("192.0.2.1", "a.example")
	f.domain(t, "example.org", false)
	alice := f.account(t, store.Account{}, "alice@example.org")
	id := f.received(t, alice, 50)
	f.find(store.TrailQuery{Outcome: store.Rejected}) // indexed
	f.Collected(store.Collection{Message: id, Account: alice, At: f.at(), Client: "203.0.113.5", Protocol: "pop3s"})
	if err := f.RemoveEntries(t.Context(), store.Removal{Account: alice, At: f.at(), Messages: []store.MessageID{id}, Client: "203.0.113.5", Protocol: "pop3s"}); err != nil {
		t.Fatal(err)
	}
	f.find(store.TrailQuery{Outcome: store.Deleted}) // again
	if err := f.reap(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.wait(2 * time.Hour)
	if err := f.expire(t.Context(), f.at()); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"trail", "event", "trail_new", "trail_key"} {
		if n := number(t, f.Store, `SELECT COUNT(*) FROM `+table); n != 0 {
			t.Errorf("%d rows are left in %s", n, table)
		}
	}
}

// TestKeysInDetails: what is cut out of an event's detail is what parsing gives.
func TestKeysInDetails(t *testing.T) {
	for _, e := range []store.Event{
		{Client: "192.0.2.1", Helo: "mx.example", Reply: `250 "client":"x" ok`},
		{Host: `odd "host":"y" name`, IP: "2001:db8::1", Reason: `\"ip\":\"`},
		{Checks: []store.CheckResult{{Check: "spf", Result: "pass", Detail: `"helo":"z"`}}, Helo: "[192.0.2.1]"},
		{Reason: "nothing to be found by"},
	} {
		rows, err := encodeEvents([]store.Event{e})
		if err != nil {
			t.Fatal(err)
		}
		got, err := keysIn(rows[0].detail)
		if want := (eventKeys{e.Client, e.Helo, e.Host, e.IP}); err != nil || got != want {
			t.Errorf("of %s: got %+v, %v, want %+v", rows[0].detail, got, err, want)
		}
	}
}
