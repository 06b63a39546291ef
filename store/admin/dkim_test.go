package admin_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

// txtRecords is a TXTResolver.
type txtRecords map[string][]string

var errDNS = errors.New("the server doesn't answer")

func (r txtRecords) LookupTXT(_ context.Context, name string) ([]string, error) {
	if list, ok := r[name]; ok {
		if len(list) > 0 && list[0] == "" {
			return nil, errDNS
		}
		return list, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// keys returns a domain's keys as "selector state", in one line.
func (f *fixture) keys(domain string) string {
	f.t.Helper()
	list, err := f.DKIMKeys(f.t.Context(), domain)
	f.must(err)
	var words []string
	for _, k := range list {
		words = append(words, k.Selector+" "+string(k.State))
	}
	return strings.Join(words, ", ")
}

func (f *fixture) wantKeys(want string) {
	f.t.Helper()
	if got := f.keys("example.org"); got != want {
		f.t.Errorf("the keys are %q, want %q", got, want)
	}
}

func (f *fixture) rotate(now bool) {
	f.t.Helper()
	_, err := f.RotateDKIM(f.t.Context(), admin.RotateDKIM{Domain: "example.org", Now: now})
	f.must(err)
}

func TestDKIMKeysAreMade(t *testing.T) {
	f := newFixture(t)
	added := 0
	f.DomainAdded = func() { added++ }
	f.fill()
	_, err := f.AddDomain(t.Context(), admin.AddDomain{Name: "held.example", Backup: true})
	f.must(err)
	if added != 1 {
		t.Errorf("%d domains are told of, want the local one", added)
	}
	f.wantKeys("pr202605r signs, pr202605e signs")
	f.wantKeys("pr202605r signs, pr202605e signs")
	if got, want := f.keys(""), f.keys("EXAMPLE.org."); got != want {
		t.Errorf("all keys are %q, want %q", got, want)
	}
	list, err := f.DKIMKeys(t.Context(), "example.org")
	f.must(err)
	for i, bits := range []string{"v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA", "v=DKIM1; k=ed25519; p="} {
		if !strings.HasPrefix(list[i].Value, bits) || list[i].Record != list[i].Selector+"._domainkey.example.org" {
			t.Errorf("a record is %s: %q", list[i].Record, list[i].Value)
		}
	}
	_, public, _ := strings.Cut(list[1].Value, "p=")
	if raw, err := base64.StdEncoding.DecodeString(public); err != nil || len(raw) != 32 {
		t.Errorf("an Ed25519 key is %d octets (%v), want 32", len(raw), err)
	}
	f.noPrivateKeys(list)
	_, err = f.DKIMKeys(t.Context(), "held.example")
	f.fails(err, admin.Invalid, nil, "only hold mail for held.example")
	_, err = f.DKIMKeys(t.Context(), "example.net")
	f.fails(err, admin.NotFound, store.ErrNotFound, "no domain example.net")
	_, err = f.DKIMKeys(t.Context(), "not a domain")
	f.fails(err, admin.Invalid, nil, "not a domain name")
}

// noPrivateKeys looks for the private keys in what is shown.
func (f *fixture) noPrivateKeys(list []admin.DKIMKey) {
	f.t.Helper()
	kept, err := f.store.DKIMKeys(f.t.Context(), "")
	f.must(err)
	shown, err := json.Marshal(list)
	f.must(err)
	for _, k := range kept {
		for _, secret := range []string{
			string(k.Private), fmt.Sprintf("%x", k.Private), base64.StdEncoding.EncodeToString(k.Private)[8:],
		} {
			if len(secret) < 30 || strings.Contains(string(shown), secret) {
				f.t.Errorf("%s shows its private key", k.Selector)
			}
		}
	}
}

func TestDKIMKeysAreMadeOnce(t *testing.T) {
	f := newFixture(t)
	f.fill()
	done := make(chan error)
	for range 4 {
		go func() {
			_, _, err := f.SigningKeys(t.Context(), "mail.example.org")
			done <- err
		}()
	}
	for range 4 {
		f.must(<-done)
	}
	owner, keys, err := f.SigningKeys(t.Context(), "mail.example.org")
	if err != nil || owner != "example.org" || len(keys) != 2 {
		t.Errorf("%s has %d keys (%v), want example.org with 2", owner, len(keys), err)
	}
	if _, _, err := f.SigningKeys(t.Context(), "example.net"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a strange domain: %v, want ErrNotFound", err)
	}
}

func TestDKIMKeysAreRotated(t *testing.T) {
	f := newFixture(t)
	f.fill()
	f.wantKeys("pr202605r signs, pr202605e signs")
	f.rotate(false)
	f.wantKeys("pr202605r signs, pr202605e signs, pr202605rb next, pr202605eb next")
	_, err := f.RotateDKIM(t.Context(), admin.RotateDKIM{Domain: "example.org"})
	f.fails(err, admin.Conflict, store.ErrConflict, "wait for the DNS already")
	list, err := f.DKIMKeys(t.Context(), "example.org")
	f.must(err)

	dns := txtRecords{}
	f.activates(dns)
	dns[list[2].Record] = []string{"v=DKIM1; k=rsa; p=AAAA"}
	dns[list[3].Record] = []string{""}
	if _, err := f.ActivateDKIM(t.Context(), "example.org", dns); !errors.Is(err, errDNS) {
		t.Errorf("DNS that doesn't answer: %v", err)
	}
	dns[list[2].Record] = []string{strings.ReplaceAll(list[2].Value, "; ", ";") + ";"}
	dns[list[3].Record] = []string{list[3].Value, "v=DKIM1; p=AAAA"}
	f.activates(dns, "pr202605rb")
	f.wantKeys("pr202605r retired, pr202605e signs, pr202605rb signs, pr202605eb next")
	dns[list[3].Record] = []string{list[3].Value[:30] + " " + list[3].Value[30:]}
	f.activates(dns, "pr202605eb")
	f.wantKeys("pr202605r retired, pr202605e retired, pr202605rb signs, pr202605eb signs")
	f.activates(dns)

	f.now = f.now.Add(7*24*time.Hour - time.Second)
	f.must(f.TendDKIM(t.Context(), dns))
	f.wantKeys("pr202605r retired, pr202605e retired, pr202605rb signs, pr202605eb signs")
	f.now = f.now.Add(time.Second)
	f.must(f.TendDKIM(t.Context(), dns))
	f.wantKeys("pr202605rb signs, pr202605eb signs")

	f.now = f.now.Add(30 * 24 * time.Hour)
	f.rotate(true)
	f.wantKeys("pr202605rb retired, pr202605eb retired, pr202606r signs, pr202606e signs")
	f.rotate(false)
	f.rotate(true)
	f.wantKeys("pr202605rb retired, pr202605eb retired, pr202606r retired, pr202606e retired, pr202606rb signs, pr202606eb signs")
}

func (f *fixture) activates(dns txtRecords, want ...string) {
	f.t.Helper()
	keys, err := f.ActivateDKIM(f.t.Context(), "example.org", dns)
	f.must(err)
	var got []string
	for _, k := range keys {
		got = append(got, k.Selector)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		f.t.Errorf("activated %v, want %v", got, want)
	}
}

func TestDKIMKeyIsRemoved(t *testing.T) {
	f := newFixture(t)
	f.fill()
	remove := func(selector string) error {
		return f.RemoveDKIMKey(t.Context(), admin.RemoveDKIMKey{Domain: "example.org", Selector: selector})
	}
	f.wantKeys("pr202605r signs, pr202605e signs")
	f.fails(remove("x"), admin.NotFound, store.ErrNotFound, "no DKIM key x of example.org")
	f.fails(remove("pr202605r"), admin.InUse, store.ErrInUse, "only RSA key that signs for example.org")
	f.must(remove("pr202605e"))
	f.fails(remove("pr202605r"), admin.InUse, store.ErrInUse, "only key that signs for example.org")
	f.rotate(true)
	f.must(remove("pr202605r"))
	f.wantKeys("pr202605rb signs, pr202605eb signs") // mail that is on its way names the old ones
	f.rotate(true)
	f.must(remove("pr202605eb"))
	f.rotate(true)
	f.must(remove("pr202605rb"))
	f.wantKeys("pr202605rc retired, pr202605ec retired, pr202605rd signs, pr202605ed signs")
}

func TestTendDKIM(t *testing.T) {
	f := newFixture(t)
	f.fill()
	_, err := f.AddDomain(t.Context(), admin.AddDomain{Name: "example.com"})
	f.must(err)
	f.must(f.TendDKIM(t.Context(), txtRecords{}))
	kept, err := f.store.DKIMKeys(t.Context(), "")
	if err != nil || len(kept) != 4 {
		t.Errorf("%d keys (%v), want two for each local domain", len(kept), err)
	}
	// A domain with keys goes as easily as one without.
	f.must(f.RemoveDomain(t.Context(), "example.com"))
	if got := f.keys(""); got != "pr202605r signs, pr202605e signs" {
		t.Errorf("left are %q", got)
	}
}
