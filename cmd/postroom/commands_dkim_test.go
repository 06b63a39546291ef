package main

import (
	"encoding/json"
	"strings"
	"testing"

	"postroom/store/admin"
)

func TestDKIMCommands(t *testing.T) {
	p := newPlace(t)
	if out := p.do("", "domain", "add", "example.org"); !strings.Contains(out, "postroom check dns example.org") {
		t.Errorf("adding a domain doesn't say what the DNS must say: %q", out)
	}
	keys := p.dkimKeys()
	if len(keys) != 2 || keys[0].State != admin.DKIMSigns || !strings.HasPrefix(keys[0].Value, "v=DKIM1; k=rsa; p=") {
		t.Fatalf("the keys are %+v", keys)
	}
	rsa, ed := keys[0].Selector, keys[1].Selector
	list := p.do("", "dkim", "list", "example.org")
	for _, want := range []string{rsa + "._domainkey.example.org", ed, "ed25519", "signs since", "check dns"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list lacks %q:\n%s", want, list)
		}
	}
	out := p.do("", "dkim", "rotate", "example.org")
	if !strings.Contains(out, rsa+"b and "+ed+"b sign once the DNS has their records") {
		t.Errorf("rotate says %q", out)
	}
	if errs := p.fails(statusFailed, "", "dkim", "rotate", "example.org"); !strings.Contains(errs, "--now") {
		t.Errorf("rotating again says %q", errs)
	}
	if list := p.do("", "dkim", "list"); !strings.Contains(list, "signs once the DNS has its record") {
		t.Errorf("the list lacks what waits:\n%s", list)
	}
	if out := p.do("", "dkim", "rotate", "example.org", "--now"); !strings.Contains(out, "is signed with "+rsa+"b and "+ed+"b now") {
		t.Errorf("rotate --now says %q", out)
	}
	if list := p.do("", "dkim", "list"); !strings.Contains(list, "its record must stay until") {
		t.Errorf("the list lacks the old ones:\n%s", list)
	}
	if out := p.do("", "dkim", "remove", "example.org", rsa); !strings.Contains(out, rsa+"._domainkey.example.org can go once the mail that it has signed has arrived") {
		t.Errorf("remove says %q", out)
	}
	p.do("", "dkim", "rotate", "example.org")
	if out := p.do("", "dkim", "remove", "example.org", rsa+"c"); !strings.Contains(out, rsa+"c._domainkey.example.org can go too") {
		t.Errorf("removing a key that hasn't signed says %q", out)
	}
	p.fails(statusFailed, "", "dkim", "remove", "example.org", rsa)
	p.fails(statusFailed, "", "dkim", "list", "example.net")
	p.fails(statusUsage, "", "dkim", "rotate")
	p.do("", "domain", "remove", "example.org")
	if keys := p.dkimKeys(); len(keys) != 0 {
		t.Errorf("left are %+v", keys)
	}
}

// dkimKeys returns all keys, as --json shows them.
func (p *place) dkimKeys() []admin.DKIMKey {
	p.t.Helper()
	var keys []admin.DKIMKey
	if err := json.Unmarshal([]byte(p.do("", "dkim", "list", "--json")), &keys); err != nil {
		p.t.Fatal(err)
	}
	return keys
}
