package web

import (
	"net/http"
	"strings"
	"testing"

	"postroom/store"
	"postroom/store/admin"
	"postroom/store/zone"
)

func TestDNS(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	page := domainURL("example.org")
	b.get(page).has(t, http.StatusOK, "What it must say, and what it says", page+"/dns")
	s.must(s.store.Raise(t.Context(), store.Concern{Key: "dns example.org", Text: "The DNS lacks an MX.", Cure: page + "/dns"}))
	b.get(page).has(t, http.StatusOK, `<span class="badge bad">wrong</span> The DNS lacks an MX.`, "Look again")
	s.dns.publish("example.org")
	dns := b.get(page + "/dns")
	dns.has(t, http.StatusOK, "required records are missing or wrong.", "Mail comes here (MX)", "✓", "right", "10 mail.example.org.", "✗", "missing", "p=MII", "k=ed25519",
		"v=DMARC1; p=&lt;script&gt;", "_domainkey.example.org", "Who may send for the domain (SPF)", "ask whoever gave you the address to change it", "As a piece of a zone file", "data-copy")
	b.get(page).has(t, http.StatusOK, "required records are missing or wrong.", "Looked at", "just now", "Look again")
	file := b.get(page + "/dns/zone")
	file.has(t, http.StatusOK, "example.org. 3600 IN MX 10 mail.example.org.", "_domainkey.example.org. 3600 IN TXT \"v=DKIM1;")
	if got := file.header.Get("Content-Disposition"); got != `attachment; filename="example.org.zone"` || !strings.HasPrefix(file.header.Get("Content-Type"), "text/plain") {
		t.Errorf("the zone file comes as %q, %q", got, file.header.Get("Content-Type"))
	}
	for _, path := range []string{"/dns", "/dns/zone", "/dkim", "/dkim/remove?selector=x"} {
		b.get("/domains/nothing.example"+path).has(t, http.StatusNotFound)
	}
	s.wait(lookFresh)
	s.dns.off = errLocal
	b.get(page+"/dns/zone").has(t, http.StatusOK, "IN MX")
	b.get(page+"/dns").has(t, http.StatusOK, "The DNS wasn’t asked.", "This server runs in local mode and asks nobody outside.", "not known")
}

func TestDNSOfABackupDomain(t *testing.T) {
	s := newSite(t)
	_, err := s.admin.AddDomain(t.Context(), admin.AddDomain{Name: "held.example", Backup: true})
	s.must(err)
	b := s.signedIn()
	b.get("/domains/held.example/dns").has(t, http.StatusOK, "held.example", "MX")
	if a := b.get("/domains/held.example"); strings.Contains(a.body, "DKIM keys") {
		t.Error("a backup domain shows keys")
	}
	b.get("/domains/held.example/dkim").has(t, http.StatusNotFound)
}

func TestDNSVerdict(t *testing.T) {
	record := func(s zone.State, l zone.Level) zone.Record { return zone.Record{State: s, Level: l} }
	for _, tt := range []struct {
		it      string
		records []zone.Record
		text    string
		tone    string
	}{
		{"is right", []zone.Record{record(zone.Right, zone.Required), record(zone.Fine, zone.Optional)}, "All is right.", "good"},
		{"could be better", []zone.Record{record(zone.Right, zone.Required), record(zone.Missing, zone.Optional)}, "All that is required is right; 1 other record could be better.", "good"},
		{"is wrong", []zone.Record{record(zone.Wrong, zone.Required), record(zone.Unknown, zone.Required)}, "1 required record is missing or wrong.", "bad"},
		{"lacks two", []zone.Record{record(zone.Missing, zone.Required), record(zone.Missing, zone.Required)}, "2 required records are missing or wrong.", "bad"},
		{"isn't known", []zone.Record{record(zone.Right, zone.Required), record(zone.Unknown, zone.Optional)}, "1 record couldn’t be looked up. Look again in a while.", "warn"},
	} {
		t.Run(tt.it, func(t *testing.T) {
			if got := dnsVerdictOf(zone.Report{Records: tt.records}); got.Text != tt.text || got.Tone != tt.tone {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestDKIMKeys(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	page := domainURL("example.org")
	b.get(page).has(t, http.StatusOK, "DKIM keys", "RSA", "Ed25519", ">signs<", "Make new keys …")
	b.get(page+"/dkim").has(t, http.StatusOK, "Make new keys for example.org?", "Leave them")
	b.follow(b.post(page+"/dkim")).has(t, http.StatusOK, "The new keys are made.", ">next<", "signs once the DNS has its record", page+"/dkim?now=yes", "See their records")
	b.follow(b.post(page+"/dkim")).has(t, http.StatusOK, "notice bad", "wait for the DNS already")
	b.get(page+"/dkim?now=yes").has(t, http.StatusOK, "Let the new keys of example.org sign now?", `name="now" value="yes"`, "may refuse the mail")
	b.follow(b.post(page+"/dkim", "now", "yes")).has(t, http.StatusOK, "Mail is signed with the new keys from now on.", ">retired<", "its record is needed until 27 Nov")
	keys, err := s.admin.DKIMKeys(t.Context(), "example.org")
	s.must(err)
	if len(keys) != 4 {
		t.Fatalf("there are %d keys, want the old ones and the new ones", len(keys))
	}
	for _, k := range keys {
		if k.State != admin.DKIMRetired {
			continue
		}
		b.get(page+"/dkim/remove?selector="+k.Selector).has(t, http.StatusOK, "Remove the key "+k.Selector+" of example.org?", "still on its way")
		b.follow(b.post(page+"/dkim/remove", "selector", k.Selector)).has(t, http.StatusOK, "The key "+k.Selector+" is gone")
	}
	b.follow(b.post(page+"/dkim/remove", "selector", "nothing")).has(t, http.StatusOK, "notice bad")
	b.get(page+"/dkim/remove?selector=nothing").has(t, http.StatusNotFound)
	for _, path := range []string{page, page + "/dns", page + "/dkim"} {
		if a := b.get(path); strings.Contains(a.body, "PRIVATE") {
			t.Errorf("%s shows a private key", path)
		}
	}
}

// The list of domains says how each stands, without asking the DNS.
func TestDomainsShowTheirDNS(t *testing.T) {
	s := newSite(t)
	s.domain("other.example")
	s.domain("third.example")
	s.must(s.store.Raise(t.Context(), store.Concern{Key: "dns third.example", Text: "The DNS lacks an MX.", Cure: dnsURL("third.example")}))
	s.dns.publish("example.org")
	_, err := s.admin.DNS(t.Context(), "example.org") // as the daily look does
	s.must(err)
	b := s.signedIn()
	b.get("/domains").has(t, http.StatusOK, `href="/domains/example.org/dns" title="`, `required records are missing or wrong." data-slow><span class="badge bad">wrong</span>`,
		`title="Nobody has looked yet" data-slow><span class="badge quiet">look</span>`, `title="The DNS lacks an MX."`)
}
