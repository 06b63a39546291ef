package web

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// What a request may carry, in octets: forms are small, but for the one that takes
// a message.
const (
	maxBody     = 64 << 10
	maxWithMail = maxUpload + maxBody
)

func maxBodyOf(r *http.Request) int64 {
	if r.URL.Path == "/check" {
		return maxWithMail
	}
	return maxBody
}

// policy lets a page load its own files and nothing else.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; font-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// protect wraps all pages: the headers that every answer carries, the bound on
// bodies, the refusal of requests that another site sent, and the end of a panic.
func (p *pages) protect(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setHeaders(w.Header())
		v := &visit{pages: p, w: w, r: r}
		defer func() {
			if e := recover(); e != nil {
				p.panicked(v, e)
			}
		}()
		limit := maxBodyOf(r)
		if r.ContentLength > limit {
			p.fail(v, &http.MaxBytesError{Limit: limit})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		if cross.Check(r) != nil || v.strayed() {
			p.fail(v, errCrossOrigin)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// strayed reports whether a request that says nowhere else which site it came from
// names a page that isn't ours. Browsers that send neither Sec-Fetch-Site nor Origin
// are so old that they don't know SameSite either, and would send our cookie along
// with another site's form. Programs that are no browsers say nothing at all: they
// send the cookie on purpose.
func (v *visit) strayed() bool {
	safe := v.r.Method == http.MethodGet || v.r.Method == http.MethodHead || v.r.Method == http.MethodOptions
	referer := v.r.Header.Get("Referer")
	if safe || referer == "" || v.r.Header.Get("Sec-Fetch-Site") != "" || v.r.Header.Get("Origin") != "" {
		return false
	}
	from, err := url.Parse(referer)
	return err != nil || from.Host != v.r.Host
}

func setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// secure reports whether the visitor came over TLS, to us or to a proxy that we
// trust.
func (v *visit) secure() bool {
	if v.Secure || v.r.TLS != nil {
		return true
	}
	return v.trusted(peer(v.r)) && v.r.Header.Get("X-Forwarded-Proto") == "https"
}

// client returns the visitor's address: the peer's, or behind trusted proxies
// the last one in X-Forwarded-For that isn't a trusted proxy itself.
func (v *visit) client() netip.Addr {
	addr := peer(v.r)
	hops := strings.Split(strings.Join(v.r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && v.trusted(addr); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = hop.Unmap()
	}
	return addr
}

func (v *visit) trusted(addr netip.Addr) bool {
	for _, network := range v.TrustedProxies {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

func peer(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr, _ := netip.ParseAddr(host) // invalid: counted as an address of its own
	return addr.Unmap()
}
