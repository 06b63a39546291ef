package policy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
)

// A fakeDNS has the records of a few domains. What it doesn't know doesn't exist.
// Instead of a record there may be "slow" (never answered), "servfail" and
// "garbage".
type fakeDNS struct {
	txt map[string]string // several records with a line feed between
	mx  map[string]string
	ip  map[string]string
	ptr map[string]string

	mu    sync.Mutex
	asked []string
}

func (f *fakeDNS) find(ctx context.Context, in map[string]string, name string) (string, error) {
	f.mu.Lock()
	f.asked = append(f.asked, name)
	f.mu.Unlock()
	text, ok := in[strings.ToLower(name)]
	switch {
	case text == "slow":
		<-ctx.Done()
		return "", &net.DNSError{Err: "timed out", Name: name, IsTimeout: true, IsTemporary: true}
	case text == "servfail":
		return "", fmt.Errorf("ask: %w", &net.DNSError{Err: "server answered SERVFAIL", Name: name, IsTemporary: true})
	case text == "garbage":
		return "", errors.New("dns: overflow unpacking uint16")
	case !ok && !f.exists(name):
		return "", fmt.Errorf("ask: %w", &net.DNSError{Err: "no such domain", Name: name, IsNotFound: true})
	}
	return text, nil
}

// exists reports whether there is anything at a name.
func (f *fakeDNS) exists(name string) bool {
	for _, in := range []map[string]string{f.txt, f.mx, f.ip, f.ptr} {
		if _, ok := in[strings.ToLower(name)]; ok {
			return true
		}
	}
	return false
}

func (f *fakeDNS) LookupTXT(ctx context.Context, name string) ([]string, error) {
	text, err := f.find(ctx, f.txt, name)
	if text == "" {
		return nil, err
	}
	return strings.Split(text, "\n"), err
}

func (f *fakeDNS) LookupMX(ctx context.Context, name string) (list []*net.MX, err error) {
	text, err := f.find(ctx, f.mx, name)
	for _, host := range strings.Fields(text) {
		list = append(list, &net.MX{Host: host, Pref: 10})
	}
	return list, err
}

func (f *fakeDNS) LookupNetIP(ctx context.Context, _, name string) (list []netip.Addr, err error) {
	text, err := f.find(ctx, f.ip, name)
	for _, ip := range strings.Fields(text) {
		list = append(list, netip.MustParseAddr(ip))
	}
	return list, err
}

func (f *fakeDNS) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	text, err := f.find(ctx, f.ptr, addr)
	return strings.Fields(text), err
}

func (f *fakeLists) LookupAddr(context.Context, string) ([]string, error) {
	return nil, errors.New("no list needs the names of addresses")
}
