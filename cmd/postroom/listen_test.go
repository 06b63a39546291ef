package main

import (
	"net"
	"testing"
)

func TestBindBothKindsOfAddresses(t *testing.T) {
	probe, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("needs IPv6 on the loopback interface")
	}
	_, number, _ := net.SplitHostPort(probe.Addr().String())
	probe.Close()
	for _, addrs := range [][]string{
		{"0.0.0.0:" + number, "[::]:" + number},
		{"[::]:" + number, "0.0.0.0:" + number},
		{"[::]:" + number},
		{"0.0.0.0:" + number},
	} {
		ports, err := bindAll(&Config{Listen: ListenConfig{SMTP: addrs}})
		if err != nil {
			t.Errorf("%v: %v", addrs, err)
			continue
		}
		for _, host := range []string{"127.0.0.1", "::1"} {
			conn, err := net.Dial("tcp", net.JoinHostPort(host, number))
			if err != nil {
				t.Errorf("%v: %v", addrs, err)
				continue
			}
			conn.Close()
		}
		closeAll(ports)
	}
}
