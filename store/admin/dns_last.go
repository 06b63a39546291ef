package admin

import (
	"sync"
	"time"

	"postroom/store/zone"
)

// A DNSLook is what the DNS said of a domain at some time.
type DNSLook struct {
	Report zone.Report
	At     time.Time
}

// dnsLooks are the last looks at all domains. They are lost at the end, which costs
// another look.
type dnsLooks struct {
	mu       sync.Mutex
	byDomain map[string]DNSLook
}

// LastDNS returns what the DNS said when it was looked at last: by DNS or AllDNS, which
// the server calls daily. It asks nobody, and reports false if nobody has looked since
// the start.
func (a *Admin) LastDNS(domain string) (DNSLook, bool) {
	a.looks.mu.Lock()
	defer a.looks.mu.Unlock()
	look, ok := a.looks.byDomain[domain]
	return look, ok
}

func (a *Admin) rememberDNS(r zone.Report) {
	a.looks.mu.Lock()
	defer a.looks.mu.Unlock()
	if a.looks.byDomain == nil {
		a.looks.byDomain = make(map[string]DNSLook)
	}
	a.looks.byDomain[r.Domain] = DNSLook{r, a.Now()}
}

// forgetLook forgets what was known of a domain that is served no longer.
func (a *Admin) forgetLook(domain string) {
	a.looks.mu.Lock()
	defer a.looks.mu.Unlock()
	delete(a.looks.byDomain, domain)
}
