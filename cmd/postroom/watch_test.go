package main

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// A watched connection is counted while it is open, and can be closed by half.
func TestWatched(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	m := newMonitor(nil)
	w := m.watch(port{"smtp", l})
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := w.Accept()
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(m.open)
	counted := func(want float64) {
		t.Helper()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		if got := families[0].GetMetric()[0].GetGauge().GetValue(); got != want {
			t.Errorf("%v connections open, want %v", got, want)
		}
	}
	counted(1)
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Error(err)
	}
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the other end reads: %v", err)
	}
	if _, err := client.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 1 {
		t.Errorf("what it still sends: %v", err)
	}
	c.Close()
	c.Close()
	counted(0)
}

func TestGatewayWatch(t *testing.T) {
	from := func(ip string, n int) []string {
		list := make([]string, n)
		for i := range list {
			list[i] = ip
		}
		return list
	}
	join := func(lists ...[]string) (all []string) {
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	for _, test := range []struct {
		it    string
		from  []string
		warns int
	}{
		{"warns, once, of a private address that all come from", from("172.17.0.1", 3*gatewayRun), 1},
		{"warns of one in IPv6 form", from("::ffff:10.0.0.1", gatewayRun), 1},
		{"waits for enough of them", from("172.17.0.1", gatewayRun-1), 0},
		{"says nothing of a public address", from("192.0.2.1", 2*gatewayRun), 0},
		{"says nothing when others come too", join(from("10.0.0.1", gatewayRun-1), from("192.0.2.1", 1), from("10.0.0.1", gatewayRun-1)), 0},
		{"passes over loopback", join(from("10.0.0.1", gatewayRun-1), from("127.0.0.1", 5), from("10.0.0.1", 1)), 1},
		{"passes over proxies that tell the address", from("10.9.0.1", 2*gatewayRun), 0},
	} {
		t.Run(test.it, func(t *testing.T) {
			var log bytes.Buffer
			g := &gatewayWatch{trusted: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}, log: slog.New(slog.NewTextHandler(&log, nil))}
			for _, ip := range test.from {
				g.saw(&net.TCPAddr{IP: net.ParseIP(ip), Port: 1234})
			}
			if got := strings.Count(log.String(), "one private address"); got != test.warns {
				t.Errorf("warned %d times, want %d: %s", got, test.warns, &log)
			}
		})
	}
}
