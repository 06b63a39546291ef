package policy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"postroom/store/mail"
)

// A fakeLists is the DNS of a few lists. A name that it doesn't know isn't listed.
type fakeLists struct {
	a     map[string]string // addresses with blanks between; "slow": no answer, "late": after 2 s, "broken": SERVFAIL
	txt   map[string]string
	mu    sync.Mutex
	asked map[string]int
}

func (f *fakeLists) LookupNetIP(ctx context.Context, network, name string) (list []netip.Addr, err error) {
	f.mu.Lock()
	if f.asked == nil {
		f.asked = make(map[string]int)
	}
	f.asked[name]++
	f.mu.Unlock()
	text, known := f.a[name]
	for key := range f.a {
		if rest, ok := strings.CutPrefix(key, "*"); ok && strings.HasSuffix(name, rest) {
			text, known = f.a[key], true
		}
	}
	switch {
	case network != "ip4":
		return nil, errors.New("asked for " + network)
	case !known:
		return nil, &net.DNSError{Err: "no such domain", Name: name, IsNotFound: true}
	case text == "slow":
		<-ctx.Done()
		return nil, &net.DNSError{Err: "timed out", Name: name, IsTemporary: true, IsTimeout: true}
	case text == "late":
		time.Sleep(2 * time.Second)
		return nil, &net.DNSError{Err: "no such domain", Name: name, IsNotFound: true}
	case text == "broken":
		return nil, &net.DNSError{Err: "server answered SERVFAIL", Name: name, IsTemporary: true}
	}
	for _, addr := range strings.Fields(text) {
		list = append(list, netip.MustParseAddr(addr))
	}
	return list, nil
}

func (f *fakeLists) LookupTXT(_ context.Context, name string) ([]string, error) {
	if text, ok := f.txt[name]; ok {
		return []string{text}, nil
	}
	return nil, nil
}

const listedText = "refused; https://bl.test/lookup"

func newFakeLists() *fakeLists {
	return &fakeLists{
		a: map[string]string{
			"25.2.0.192.bl.test":     "127.0.0.2",
			"25.2.0.192.two.test":    "127.0.0.4 127.0.0.10",
			"25.2.0.192.odd.test":    "127.0.0.1",
			"25.2.0.192.lying.test":  "192.0.2.1",
			"25.2.0.192.mixed.test":  "127.0.0.2 192.0.2.1",
			"25.2.0.192.no.test":     "127.255.255.254",
			"25.2.0.192.both.test":   "127.0.0.2 127.255.255.254",
			"25.2.0.192.empty.test":  "",
			"25.2.0.192.broken.test": "broken",
			"*.slow.test":            "slow",
			"5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.test": "127.0.0.2",
			"spam.test.dbl.test":      "127.0.1.2",
			"spam.test.overused.test": "127.0.0.1",
			"xn--4ca.test.dbl.test":   "127.0.1.2",
		},
		txt: map[string]string{"25.2.0.192.bl.test": listedText, "spam.test.dbl.test": "line\r\nbreak \x00 \u00e4" + strings.Repeat("x", 500)},
	}
}

func TestBlocklists(t *testing.T) {
	for _, tt := range []struct {
		it                 string
		clients, domains   string // zones
		needed             int
		addr, helo, sender string
		to                 string
		reply              string // its beginning; empty: pass
		check              string // result and part of the detail of the first result
	}{
		{it: "passes who is in no list", clients: "bl.test two.test", addr: "192.0.2.26", check: "not listed: 192.0.2.26 is not listed by bl.test; 192.0.2.26 is not listed by two.test"},
		{it: "refuses who is, and quotes the list", clients: "bl.test", reply: `192.0.2.25 is listed by bl.test: "` + listedText + `"; have it removed there, or write to postmaster@here.test`, check: "listed: 192.0.2.25 is listed by bl.test: " + listedText},
		{it: "does without the list's words", clients: "two.test", reply: `192.0.2.25 is listed by two.test; have it removed`, check: "listed: "},
		{it: "refuses an address of IPv6", clients: "bl.test", addr: "2001:db8::25", reply: "2001:db8::25 is listed by bl.test;", check: "listed: 2001:db8::25 "},
		{it: "passes another address of IPv6", clients: "bl.test", addr: "2001:db8::52", reply: "", check: "not listed: "},
		{it: "sees IPv4 in IPv6", clients: "bl.test", addr: "::ffff:192.0.2.25", reply: "192.0.2.25 is listed by bl.test", check: "listed: "},
		{it: "refuses if any list has the address", clients: "none.test two.test", reply: "192.0.2.25 is listed by two.test", check: "listed: 192.0.2.25 is not listed by none.test; 192.0.2.25 is listed by two.test"},
		{it: "passes if too few have it", clients: "bl.test none.test", needed: 2, check: "listed: "},
		{it: "refuses if enough have it", clients: "bl.test none.test two.test", needed: 2, reply: "192.0.2.25 is listed by bl.test", check: "listed: "},
		{it: "passes when an answer is no list's", clients: "lying.test", check: "temperror: lying.test could not be asked about 192.0.2.25: it answers 192.0.2.1, which is outside"},
		{it: "believes no answer that is partly no list's", clients: "mixed.test", check: "temperror: "},
		{it: "passes when it may not ask", clients: "no.test", check: "temperror: no.test could not be asked about 192.0.2.25: it refuses to answer us (127.255.255.254)"},
		{it: "passes when it may not ask, whatever else is said", clients: "both.test", check: "temperror: "},
		{it: "passes when there is nothing", clients: "empty.test", check: "not listed: "},
		{it: "passes when a list fails", clients: "broken.test", check: "temperror: broken.test could not be asked about 192.0.2.25: "},
		{it: "passes when a list hangs", clients: "slow.test", check: "temperror: slow.test could not be asked about 192.0.2.25: it doesn't answer in time"},
		{it: "hears the others when a list hangs", clients: "slow.test bl.test", reply: "192.0.2.25 is listed by bl.test", check: "listed: "},
		{it: "takes 127.0.0.1 for an answer about an address", clients: "odd.test", reply: "192.0.2.25 is listed by odd.test", check: "listed: "},
		{it: "takes 127.0.0.1 for no answer about a domain", domains: "overused.test", sender: "bob@spam.test", check: "temperror: overused.test could not be asked about the domain spam.test (of MAIL FROM): it refuses"},
		{it: "refuses a sender's domain", domains: "dbl.test", sender: "bob@spam.test", reply: `the domain spam.test (of MAIL FROM) is listed by dbl.test: "line  break   ?xx`, check: "listed: "},
		{it: "refuses a name at EHLO", domains: "dbl.test", helo: "SPAM.test", sender: "bob@far.test", reply: "the domain spam.test (of EHLO) is listed", check: "listed: "},
		{it: "asks for a name as it is given", domains: "dbl.test", sender: "bob@a.spam.test", check: "not listed: "},
		{it: "asks for A-labels", domains: "dbl.test", sender: "bob@ä.test", reply: "the domain xn--4ca.test (of MAIL FROM)", check: "listed: "},
		{it: "asks nothing about literals", domains: "dbl.test", helo: "[192.0.2.25]", sender: "bob@[192.0.2.25]", check: ""},
		{it: "asks nothing about the null sender", domains: "dbl.test", helo: "no_name", check: ""},
		{it: "takes mail to postmaster", clients: "bl.test", domains: "dbl.test", sender: "bob@spam.test", to: "Postmaster@here.test", check: "listed: "},
		{it: "takes mail to abuse", clients: "bl.test", to: "abuse+x@here.test", check: "listed: "},
	} {
		t.Run(tt.it, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &Blocklists{
					DNS: newFakeLists(), Clients: strings.Fields(tt.clients), Domains: strings.Fields(tt.domains), Needed: tt.needed,
					Health: &ListHealth{},
				}
				if tt.addr == "" {
					tt.addr = "192.0.2.25"
				}
				if tt.to == "" {
					tt.to = "alice@here.test"
				}
				client := Client{Addr: netip.MustParseAddr(tt.addr), Helo: tt.helo}
				began := time.Now()
				v, err := b.OfRecipient().Judge(t.Context(), client, Recipient{Sender: parse(t, tt.sender), Address: parse(t, tt.to), Ours: true})
				if took := time.Since(began); took > listTimeout+textTimeout {
					t.Errorf("it took %v", took)
				}
				if err != nil || v.Pass() != (tt.reply == "") || !v.Pass() && !strings.HasPrefix(v.Answer.Error(), "550 5.7.1 "+tt.reply) {
					t.Errorf("got %q, %v, want %q", v.Answer.Error(), err, tt.reply)
				}
				if len(v.Answer.Error()) > 510 || strings.ContainsAny(v.Answer.Text, "\r\n\x00") {
					t.Errorf("it doesn't fit: %q", v.Answer.Error())
				}
				if got := firstCheck(v); !strings.HasPrefix(got, tt.check) || tt.check == "" && got != "" {
					t.Errorf("the trace has %q, want %q", got, tt.check)
				}
			})
		})
	}
}

func firstCheck(v Verdict) string {
	if len(v.Checks) == 0 {
		return ""
	}
	return v.Checks[0].Result + ": " + v.Checks[0].Detail
}

func TestReversed(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.99":                "99.2.0.192",
		"2001:db8:1:2:3:4:567:89ab": "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2", // RFC 5782 2.4
	} {
		if got := reversed(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: got %s, want %s", addr, got, want)
		}
	}
}

func TestBlocklistsOfAuthors(t *testing.T) {
	b := &Blocklists{DNS: newFakeLists(), Clients: []string{"bl.test"}, Domains: []string{"dbl.test"}}
	client := Client{Addr: netip.MustParseAddr("192.0.2.25")}
	for _, tt := range []struct {
		it, from, to string
		refused      bool
	}{
		{"refuses an author's domain", "bob@far.test eve@spam.test", "alice@here.test", true},
		{"passes others", "bob@far.test", "alice@here.test", false},
		{"refuses mail that isn't only to postmaster", "eve@spam.test", "postmaster@here.test alice@here.test", true},
		{"passes mail to postmaster and abuse", "eve@spam.test", "postmaster@here.test abuse@here.test", false},
		{"passes mail without an author", "", "alice@here.test", false},
	} {
		m := &Message{}
		for _, a := range strings.Fields(tt.from) {
			m.From = append(m.From, parse(t, a))
		}
		for _, a := range strings.Fields(tt.to) {
			m.Recipients = append(m.Recipients, parse(t, a))
		}
		v, err := b.OfMessage().Judge(t.Context(), client, m)
		if err != nil || v.Pass() == tt.refused || tt.refused && !strings.HasPrefix(v.Answer.Text, "the domain spam.test (of From) is listed by dbl.test") {
			t.Errorf("it %s: %+v, %v", tt.it, v, err)
		}
	}
}

func TestBlocklistsAskEarlyAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := &fakeLists{a: map[string]string{"25.2.0.192.late.test": "late"}}
		b := &Blocklists{DNS: dns, Clients: []string{"late.test"}}
		client := Client{Addr: netip.MustParseAddr("192.0.2.25"), Memory: &Memory{}}
		sender := parse(t, "bob@far.test")
		began := time.Now()
		if v, err := b.Begin().Judge(t.Context(), client, sender); !v.Pass() || err != nil || time.Since(began) > 0 {
			t.Errorf("%+v, %v, after %v", v, err, time.Since(began))
		}
		time.Sleep(1500 * time.Millisecond) // until the client says RCPT
		for range 100 {
			if v, err := b.OfRecipient().Judge(t.Context(), client, Recipient{Sender: sender}); !v.Pass() || err != nil {
				t.Errorf("%+v, %v", v, err)
			}
		}
		if took := time.Since(began); took != 2*time.Second || dns.asked["25.2.0.192.late.test"] != 1 {
			t.Errorf("it took %v and %d questions", took, dns.asked["25.2.0.192.late.test"])
		}
		if _, err := b.OfRecipient().Judge(t.Context(), client, Recipient{Sender: parse(t, "eve@far.test")}); err != nil || dns.asked["25.2.0.192.late.test"] != 2 {
			t.Errorf("another sender isn't asked about: %v", err)
		}
	})
}

// An author in the domain of MAIL FROM was judged with that.
func TestBlocklistsDontAskAboutAuthorsTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeLists()
		b := &Blocklists{DNS: dns, Domains: []string{"slow.test"}}
		client := Client{Addr: netip.MustParseAddr("192.0.2.25"), Memory: &Memory{}}
		m := &Message{From: []mail.Address{parse(t, "me@far.test")}, Recipients: []mail.Address{parse(t, "alice@here.test")}}
		m.Envelope.Sender = parse(t, "bob@far.test")
		began := time.Now()
		_, err := b.Begin().Judge(t.Context(), client, m.Envelope.Sender)
		_, err2 := b.OfRecipient().Judge(t.Context(), client, Recipient{Sender: m.Envelope.Sender, Address: m.Recipients[0]})
		_, err3 := b.OfMessage().Judge(t.Context(), client, m)
		if took := time.Since(began); took != listTimeout || errors.Join(err, err2, err3) != nil || dns.asked["far.test.slow.test"] != 1 {
			t.Errorf("it took %v and asked %v", took, dns.asked)
		}
	})
}

func TestBlocklistsAskOneThingAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeLists()
		b := &Blocklists{DNS: dns, Domains: []string{"slow.test"}}
		client := Client{Addr: netip.MustParseAddr("192.0.2.25"), Memory: &Memory{}}
		for i := range 1000 {
			if _, err := b.Begin().Judge(t.Context(), client, parse(t, fmt.Sprintf("x@far%d.test", i))); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if len(dns.asked) != 1 {
			t.Errorf("%d questions are on their way", len(dns.asked))
		}
		time.Sleep(listTimeout)
	})
}

func TestBlocklistsSpareOurOwn(t *testing.T) {
	dns := newFakeLists()
	b := &Blocklists{DNS: dns, Clients: []string{"bl.test"}, Domains: []string{"dbl.test"}}
	client := Client{Addr: netip.MustParseAddr("192.0.2.25"), Account: 7, Memory: &Memory{}}
	m := &Message{From: []mail.Address{parse(t, "eve@spam.test")}, Recipients: []mail.Address{parse(t, "alice@here.test")}}
	_, err := b.Begin().Judge(t.Context(), client, parse(t, "eve@spam.test"))
	v, err2 := b.OfRecipient().Judge(t.Context(), client, Recipient{})
	w, err3 := b.OfMessage().Judge(t.Context(), client, m)
	if err := errors.Join(err, err2, err3); !v.Pass() || !w.Pass() || err != nil || len(dns.asked) > 0 {
		t.Errorf("%+v, %+v, %v, asked %v", v, w, err, dns.asked)
	}
}

// A list that has gone keeps only a few waiting, and is found again.
func TestSilentListIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeLists()
		b := &Blocklists{DNS: dns, Clients: []string{"slow.test"}, Health: &ListHealth{}}
		client := Client{Addr: netip.MustParseAddr("192.0.2.25")}
		judge := func() (took time.Duration) {
			began := time.Now()
			if v, err := b.OfRecipient().Judge(t.Context(), client, Recipient{}); !v.Pass() || err != nil {
				t.Errorf("%+v, %v", v, err)
			}
			return time.Since(began)
		}
		for i := range listPatience {
			if took := judge(); took != listTimeout {
				t.Errorf("mail %d waited for %v", i, took)
			}
		}
		if took := judge(); took != 0 {
			t.Errorf("it waited for %v once more", took)
		}
		time.Sleep(minListPause)
		var together sync.WaitGroup
		waited := make([]time.Duration, 50)
		for i := range waited {
			together.Go(func() { waited[i] = judge() })
		}
		together.Wait()
		probes := 0
		for _, d := range waited {
			if d > 0 {
				probes++
			}
		}
		if probes != 1 {
			t.Errorf("%d waited at once to find out whether it is well again", probes)
		}
		delete(dns.a, "*.slow.test")
		time.Sleep(2 * minListPause)
		asked := dns.asked["25.2.0.192.slow.test"]
		for range 10 {
			judge()
		}
		if n := dns.asked["25.2.0.192.slow.test"] - asked; n != 10 {
			t.Errorf("once it is well again, %d of 10 are asked", n)
		}
	})
}

func TestRefusingListIsTold(t *testing.T) {
	var told []string
	b := &Blocklists{DNS: newFakeLists(), Clients: []string{"no.test", "bl.test", "lying.test"}}
	b.Health = &ListHealth{Refused: func(zone, why string) { told = append(told, zone+": "+why) }}
	_, err := b.OfRecipient().Judge(t.Context(), Client{Addr: netip.MustParseAddr("192.0.2.25")}, Recipient{})
	if err != nil || len(told) != 1 || told[0] != "no.test: it refuses to answer us (127.255.255.254)" {
		t.Errorf("%q, %v", told, err)
	}
}

func TestListsAreLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := &fakeLists{a: map[string]string{
			"2.0.0.127.well.test":     "127.0.0.2",
			listedTest6 + ".six.test": "127.0.0.2",
			"*.all.test":              "127.0.0.2",
			"*.slow.test":             "slow",
			"*.no.test":               "127.255.255.254",
			"*.lying.test":            "192.0.2.1",
			"invalid.greedy.test":     "127.0.1.2",
			"invalid.overused.test":   "127.0.0.1",
		}}
		b := &Blocklists{
			DNS:     dns,
			Clients: []string{"well.test", "six.test", "all.test", "slow.test", "no.test", "lying.test", "void.test"},
			Domains: []string{"dbl.test", "greedy.test", "overused.test"},
		}
		want := []struct{ zone, says string }{
			{"all.test", "has 127.0.0.1, which none may have"},
			{"slow.test", "it doesn't answer in time. Mail isn't kept waiting"},
			{"no.test", "it refuses to answer us (127.255.255.254). Many lists answer no public DNS server"},
			{"lying.test", "it answers 192.0.2.1, which is outside 127.0.0.0/8"},
			{"void.test", "doesn't have 127.0.0.2, which each must have (RFC 5782)"},
			{"greedy.test", "has the domain “invalid”"},
			{"overused.test", "it refuses to answer us (127.0.0.1)"},
		}
		got := b.Sound(t.Context())
		if len(got) != len(want) {
			t.Fatalf("got %+v", got)
		}
		for i, w := range want {
			if got[i].Zone != w.zone || !strings.Contains(got[i].Text, w.says) {
				t.Errorf("got %+v, want %+v", got[i], w)
			}
		}
	})
}

func TestListings(t *testing.T) {
	b := &Blocklists{DNS: newFakeLists(), Clients: []string{"bl.test", "none.test", "no.test"}}
	want := []Listing{{Zone: "bl.test", Known: true, Listed: true, Text: listedText}, {Zone: "none.test", Known: true}, {Zone: "no.test"}}
	if diff := cmp.Diff(want, b.Listings(t.Context(), netip.MustParseAddr("192.0.2.25"))); diff != "" {
		t.Error(diff)
	}
}
