package spf

import (
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// A scenario is a zone and what is to be found out in it.
type scenario struct {
	Scenario string
	Zonedata map[string][]json.RawMessage
	Tests    map[string]struct {
		Helo, Host, Mailfrom string
		Result               json.RawMessage
		Explanation          string
	}
}

// A zone answers from a scenario's data.
type zone map[string][]json.RawMessage

// records returns the records of one type. "TIMEOUT" at their end means that
// whatever isn't there is never answered.
func (z zone) records(name, kind string) (list []json.RawMessage, err error) {
	if len(name) > 253 {
		return nil, &net.DNSError{Err: "not a domain name", Name: name, IsNotFound: true}
	}
	for _, label := range strings.Split(name, ".") {
		if len(label) > 63 || label == "" {
			return nil, &net.DNSError{Err: "not a domain name", Name: name, IsNotFound: true}
		}
	}
	data, ok := z[strings.ToLower(name)]
	if !ok {
		return nil, &net.DNSError{Err: "no such domain", Name: name, IsNotFound: true}
	}
	timeout := false
	for _, raw := range data {
		var word string
		var record map[string]json.RawMessage
		if json.Unmarshal(raw, &word) == nil {
			timeout = timeout || word == "TIMEOUT"
		} else if json.Unmarshal(raw, &record) == nil && record[kind] != nil {
			list = append(list, record[kind])
		}
	}
	if timeout && !slices.ContainsFunc(list, func(r json.RawMessage) bool { return string(r) != `"NONE"` }) {
		return nil, &net.DNSError{Err: "timed out", Name: name, IsTimeout: true, IsTemporary: true}
	}
	return list, nil
}

func (z zone) LookupTXT(_ context.Context, name string) (found []string, err error) {
	list, err := z.follow(name, "TXT")
	if len(list) == 0 && err == nil { // the suite's records of type SPF stand for TXT where there are none
		list, err = z.follow(name, "SPF")
	}
	for _, raw := range list {
		var one string
		var parts []string
		if json.Unmarshal(raw, &parts) != nil && json.Unmarshal(raw, &one) == nil {
			parts = []string{one}
		}
		if one != "NONE" {
			found = append(found, strings.Join(parts, ""))
		}
	}
	return found, err
}

func (z zone) LookupMX(_ context.Context, name string) (found []*net.MX, err error) {
	list, err := z.records(name, "MX")
	for _, raw := range list {
		var pair []any
		if json.Unmarshal(raw, &pair) == nil {
			found = append(found, &net.MX{Pref: uint16(pair[0].(float64)), Host: pair[1].(string)})
		}
	}
	return found, err
}

func (z zone) LookupNetIP(_ context.Context, network, name string) (found []netip.Addr, err error) {
	var failed error
	for _, kind := range map[string][]string{"ip4": {"A"}, "ip6": {"AAAA"}}[network] {
		list, err := z.follow(name, kind)
		if err != nil {
			failed = err
		}
		for _, raw := range list {
			var s string
			if json.Unmarshal(raw, &s) == nil {
				found = append(found, netip.MustParseAddr(s))
			}
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	return nil, failed
}

// follow follows an alias.
func (z zone) follow(name, kind string) ([]json.RawMessage, error) {
	list, err := z.records(name, kind)
	if alias, _ := z.records(name, "CNAME"); len(list) == 0 && len(alias) > 0 {
		var to string
		if err := json.Unmarshal(alias[0], &to); err != nil {
			return nil, err
		}
		return z.records(to, kind)
	}
	return list, err
}

func (z zone) LookupAddr(_ context.Context, addr string) (found []string, err error) {
	name, err := dns.ReverseAddr(addr)
	if err != nil {
		return nil, err
	}
	list, err := z.records(strings.TrimSuffix(name, "."), "PTR")
	for _, raw := range list {
		var s string
		if json.Unmarshal(raw, &s) == nil {
			found = append(found, s)
		}
	}
	return found, err
}

// TestSuite runs the test suite of RFC 7208.
func TestSuite(t *testing.T) {
	dir := os.Getenv("POSTROOM_TESTDATA")
	if dir == "" {
		t.Skip("needs the test data that POSTROOM_TESTDATA points to")
	}
	b, err := os.ReadFile(filepath.Join(dir, "spf", "rfc7208.json"))
	if err != nil {
		t.Fatal(err)
	}
	var scenarios []scenario
	if err := json.Unmarshal(b, &scenarios); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, s := range scenarios {
		z := make(zone)
		for name, records := range s.Zonedata {
			z[strings.ToLower(name)] = records
		}
		for name, test := range s.Tests {
			ran++
			local, domain, ok := cutLast(test.Mailfrom)
			if !ok {
				local, domain = "", test.Helo
			}
			got := Check(t.Context(), z, Query{
				IP: netip.MustParseAddr(test.Host), Helo: test.Helo, Local: local, Domain: domain, Receiver: "mx.postroom.test", Now: time.Now(),
			})
			var want []Result
			var one Result
			if json.Unmarshal(test.Result, &one) == nil {
				want = []Result{one}
			} else if err := json.Unmarshal(test.Result, &want); err != nil {
				t.Fatal(err)
			}
			explanation := test.Explanation
			if explanation == "DEFAULT" {
				explanation = ""
			}
			if !slices.Contains(want, got.Result) {
				t.Errorf("%s: %s: %s (%v), want %s", s.Scenario, name, got.Result, got.Problem, want)
			}
			if test.Explanation != "" && got.Explanation != explanation {
				t.Errorf("%s: %s: explanation %q, want %q", s.Scenario, name, got.Explanation, explanation)
			}
		}
	}
	if ran != 203 {
		t.Errorf("%d cases, want 203", ran)
	}
}

func cutLast(address string) (local, domain string, ok bool) {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return "", "", false
	}
	return address[:i], address[i+1:], true
}
