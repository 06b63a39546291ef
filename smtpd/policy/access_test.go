package policy

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

var today = time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)

// lists has entries such as "+192.0.2.0/24" (allow) and "-example.org" (block).
func lists(what ...string) Access {
	var entries []store.AccessEntry
	for _, w := range what {
		e := store.AccessEntry{What: w[1:], Action: store.Block, Note: "secret " + w[1:]}
		if w[0] == '+' {
			e.Action = store.Allow
		}
		entries = append(entries, e)
	}
	list := store.NewAccessList(entries)
	return Access{List: func() *store.AccessList { return list }, Now: func() time.Time { return today }}
}

func parse(t *testing.T, text string) mail.Address {
	t.Helper()
	if text == "" {
		return mail.Address{}
	}
	a, err := mail.ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAccess(t *testing.T) {
	const refused = "The administrator of this server has blocked "
	for _, tt := range []struct {
		it             string
		list           []string
		helo, sender   string
		from           string
		want           string // part of the refusal; "allowed"; empty: nothing is found
		wantBeforeText string // the same at RCPT
	}{
		{"has nothing against strangers", []string{"-198.51.100.0/24", "+example.net"}, "mx.far.test", "bob@far.test", "bob@far.test", "", ""},
		{"blocks a network", []string{"-192.0.2.0/24"}, "", "bob@far.test", "", "your address 192.0.2.25;", "your address 192.0.2.25;"},
		{"allows a network", []string{"+192.0.2.0/24"}, "", "bob@far.test", "", "allowed", "allowed"},
		{"takes the longer network", []string{"-192.0.2.0/24", "+192.0.2.25/32"}, "", "bob@far.test", "", "allowed", "allowed"},
		{"takes the longer network, the other way round", []string{"+192.0.2.0/24", "-192.0.2.25/32"}, "", "bob@far.test", "", "your address", "your address"},
		{"blocks a sender", []string{"-bob@far.test"}, "", "Bob+1@far.test", "", "the sender <Bob+1@far.test>;", "the sender <Bob+1@far.test>;"},
		{"blocks a sender's domain", []string{"-far.test"}, "", "bob@news.far.test", "", "the sender <", "the sender <"},
		{"takes the address before its domain", []string{"-far.test", "+bob@far.test"}, "", "bob@far.test", "", "allowed", "allowed"},
		{"blocks a name at EHLO", []string{"-far.test"}, "MX.far.test.", "", "", "the name MX.far.test.;", "the name MX.far.test.;"},
		{"lets allow win across the kinds", []string{"-192.0.2.0/24", "+far.test"}, "", "bob@far.test", "", "allowed", "allowed"},
		{"lets allow win across the kinds, the other way round", []string{"+192.0.2.0/24", "-far.test"}, "", "bob@far.test", "", "allowed", "allowed"},
		{"blocks an author, once the header is there", []string{"-eve@far.test"}, "", "bob@far.test", "Eve@far.test", "the author <Eve@far.test>;", ""},
		{"allows an author", []string{"+eve@far.test"}, "", "bounce@list.test", "eve@far.test", "allowed", ""},
		{"judges the null sender by the author", []string{"-far.test"}, "", "", "eve@far.test", "the author", ""},
		{"takes no address for a name", []string{"-192.0.2.26/32"}, "[192.0.2.26]", "", "", "", ""},
	} {
		t.Run(tt.it, func(t *testing.T) {
			a := lists(tt.list...)
			client := Client{Addr: netip.MustParseAddr("192.0.2.25"), Helo: tt.helo, Hostname: "mail.here.test"}
			m := &Message{Recipients: []mail.Address{parse(t, "alice@here.test")}}
			m.Envelope.Sender = parse(t, tt.sender)
			if tt.from != "" {
				m.From = []mail.Address{parse(t, "other@else.test"), parse(t, tt.from)}
			}
			check := func(step, want string, v Verdict, err error) {
				t.Helper()
				switch {
				case err != nil:
					t.Errorf("at %s: %v", step, err)
				case want == "" && (!v.Pass() || v.Allowed || len(v.Checks) > 0),
					want == "allowed" && (!v.Pass() || !v.Allowed || v.Checks[0].Result != "allowed"),
					want != "" && want != "allowed" && (v.Pass() || v.Allowed || v.Checks[0].Result != "blocked"):
					t.Errorf("at %s: got %+v, want %q", step, v, want)
				case !v.Pass() && !strings.HasPrefix(v.Answer.Error(), "550 5.7.1 "+refused+want):
					t.Errorf("at %s: %q, want %q", step, v.Answer.Error(), want)
				case !v.Pass() && !strings.HasSuffix(v.Answer.Text, "reach postmaster@here.test another way"):
					t.Errorf("at %s: %q names nobody to ask", step, v.Answer.Text)
				case strings.Contains(v.Answer.Text, "secret") || len(v.Checks) > 0 && !strings.Contains(v.Checks[0].Detail, "secret"):
					t.Errorf("at %s: the note is in the reply %q or not in the trace %+v", step, v.Answer.Text, v.Checks)
				}
			}
			v, err := a.OfRecipient().Judge(t.Context(), client, Recipient{Sender: m.Envelope.Sender, Address: m.Recipients[0], Ours: true})
			check("RCPT", tt.wantBeforeText, v, err)
			v, err = a.OfMessage().Judge(t.Context(), client, m)
			check("the end", tt.want, v, err)
		})
	}
}

func TestAccessSparesOurOwn(t *testing.T) {
	client := Client{Addr: netip.MustParseAddr("192.0.2.25"), Account: 7}
	v, err := lists("-192.0.2.25/32").OfRecipient().Judge(t.Context(), client, Recipient{})
	if !v.Pass() || err != nil {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestAccessBeforeRecipients(t *testing.T) {
	client := Client{Addr: netip.MustParseAddr("192.0.2.25"), Helo: "mx.far.test"}
	for _, tt := range []struct {
		entry                   string
		allowsClient, allowsAll bool
	}{
		{"-192.0.2.0/24", false, false},
		{"+192.0.2.0/24", true, true},
		{"+bob@far.test", false, true},
		{"-bob@far.test", false, false},
	} {
		atOnce, err := lists(tt.entry).OfClient().Judge(t.Context(), client, struct{}{})
		atMail, err2 := lists(tt.entry).OfSender().Judge(t.Context(), client, parse(t, "bob@far.test"))
		if err != nil || err2 != nil || !atOnce.Pass() || !atMail.Pass() || atOnce.Allowed != tt.allowsClient || atMail.Allowed != tt.allowsAll {
			t.Errorf("%s: %+v, %+v", tt.entry, atOnce, atMail)
		}
	}
}
