package main

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"

	"postroom/cmd/postroom/bench"
	"postroom/delivery"
)

func networkOf(c *Config) *network { return newNetwork(c, slog.New(slog.DiscardHandler)) }

func TestLocalModeReachesNobodyElse(t *testing.T) {
	c := localDefaults()
	c.DNS.Servers = []string{"192.0.2.53:53"}
	n := networkOf(c)
	asked := make(map[string]error)
	_, asked["MX"] = n.names.LookupMX(t.Context(), "example.org")
	_, asked["address"] = n.names.LookupNetIP(t.Context(), "ip", "example.org")
	_, asked["TXT"] = n.names.LookupTXT(t.Context(), "_mta-sts.example.org")
	_, asked["PTR"] = n.names.LookupAddr(t.Context(), "192.0.2.1")
	_, asked["CNAME"] = n.names.LookupCNAME(t.Context(), "example.org")
	_, asked["SRV"] = n.names.LookupSRV(t.Context(), "_pop3s._tcp.example.org")
	_, _, asked["TLSA"] = n.names.LookupTLSA(t.Context(), "_25._tcp.mx.example.org")
	_, _, asked["authentic MX"] = n.names.AuthenticMX(t.Context(), "example.org")
	_, _, _, asked["authentic address"] = n.names.AuthenticNetIP(t.Context(), "example.org")
	_, asked["authentic alias"] = n.names.AuthenticAlias(t.Context(), "example.org")
	_, asked["web"] = n.web.Get("https://mta-sts.example.org/.well-known/mta-sts.txt")
	for what, err := range asked {
		if !errors.Is(err, delivery.ErrOffline) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, addr := range []string{"192.0.2.1:25", "[2001:db8::1]:25", "10.0.0.1:25", "0.0.0.0:25", "example.org:25", "localhost:25"} {
		for _, dialer := range []delivery.Dialer{n.dialer, n.dialerFrom(netip.MustParseAddr("127.0.0.1"))} {
			if conn, err := dialer.DialContext(t.Context(), "tcp", addr); !errors.Is(err, delivery.ErrOffline) {
				t.Errorf("%s: %v, %v", addr, conn, err)
			}
		}
	}
}

func TestLocalModeReachesThisMachine(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dns, err := bench.StartDNS("remote.test. 60 IN A 127.0.0.9")
	if err != nil {
		t.Fatal(err)
	}
	defer dns.Close()
	c := localDefaults()
	c.DNS.Servers = []string{"192.0.2.53:53", dns.Addr}
	n := networkOf(c)
	ips, err := n.names.LookupNetIP(t.Context(), "ip4", "remote.test")
	if err != nil || len(ips) != 1 || ips[0].String() != "127.0.0.9" {
		t.Errorf("remote.test is %v, %v", ips, err)
	}
	conn, err := n.dialerFrom(netip.MustParseAddr("127.0.0.8")).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if here := conn.LocalAddr().(*net.TCPAddr).IP.String(); here != "127.0.0.8" {
		t.Errorf("it came from %s", here)
	}
	conn.Close()
}

func TestOtherModesReachEverybody(t *testing.T) {
	if d, ok := networkOf(defaults()).dialer.(*net.Dialer); !ok {
		t.Errorf("the dialer is a %T", d)
	}
}

// What DNS says must not lead the fetching of policies into a private network.
func TestWebStaysPublic(t *testing.T) {
	dns, err := bench.StartDNS("mta-sts.remote.test. 60 IN A 127.0.0.1", "mta-sts.remote.test. 60 IN A 10.0.0.1", "mta-sts.remote.test. 60 IN A 169.254.1.1")
	if err != nil {
		t.Fatal(err)
	}
	defer dns.Close()
	c := defaults()
	c.DNS.Servers = []string{dns.Addr}
	_, err = networkOf(c).web.Get("https://mta-sts.remote.test/.well-known/mta-sts.txt")
	if err == nil || !strings.Contains(err.Error(), "no address that may be contacted") {
		t.Errorf("err is %v", err)
	}
}

func TestOwnAddresses(t *testing.T) {
	for ip, own := range map[string]bool{"127.0.0.1": true, "127.9.9.9": true, "192.0.2.1": false, "2001:db8::1": false} {
		if got := isOwnAddress(netip.MustParseAddr(ip)); got != own {
			t.Errorf("%s: %v", ip, got)
		}
	}
}
