package main

import (
	"errors"
	"log/slog"
	"net"
	"testing"

	"postroom/cmd/postroom/bench"
	"postroom/delivery"
)

// outgoingOf returns how a server with c reaches others.
func outgoingOf(c *Config) (delivery.Resolver, delivery.Dialer) {
	return (&program{conf: c, log: slog.New(slog.DiscardHandler)}).outgoing()
}

func TestLocalModeReachesNobodyElse(t *testing.T) {
	c := localDefaults()
	c.DNS.Servers = []string{"192.0.2.53:53"}
	names, dialer := outgoingOf(c)
	if _, err := names.LookupMX(t.Context(), "example.org"); !errors.Is(err, delivery.ErrOffline) {
		t.Errorf("MX: %v", err)
	}
	if _, err := names.LookupNetIP(t.Context(), "ip", "example.org"); !errors.Is(err, delivery.ErrOffline) {
		t.Errorf("address: %v", err)
	}
	for _, addr := range []string{"192.0.2.1:25", "[2001:db8::1]:25", "10.0.0.1:25", "0.0.0.0:25", "example.org:25", "localhost:25"} {
		if conn, err := dialer.DialContext(t.Context(), "tcp", addr); !errors.Is(err, delivery.ErrOffline) {
			t.Errorf("%s: %v, %v", addr, conn, err)
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
	names, dialer := outgoingOf(c)
	ips, err := names.LookupNetIP(t.Context(), "ip4", "remote.test")
	if err != nil || len(ips) != 1 || ips[0].String() != "127.0.0.9" {
		t.Errorf("remote.test is %v, %v", ips, err)
	}
	conn, err := dialer.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestOtherModesReachEverybody(t *testing.T) {
	_, dialer := outgoingOf(defaults())
	if _, ok := dialer.(*net.Dialer); !ok {
		t.Errorf("the dialer is a %T", dialer)
	}
}
