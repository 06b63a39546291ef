package main

import (
	"net"
	"testing"
)

func TestBindBothKindsOfAddresses(t *testing.T) {
	probe, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	_, number, _ := net.SplitHostPort(probe.Addr().String())
	clients := []string{"127.0.0.1"}
	lists := [][]string{{"0.0.0.0:" + number}}
	if conn, err := net.Dial("tcp", "[::1]:"+number); err == nil { // not everywhere
		conn.Close()
		clients = append(clients, "::1")
		lists = append(lists, []string{"0.0.0.0:" + number, "[::]:" + number}, []string{"[::]:" + number, "0.0.0.0:" + number}, []string{"[::]:" + number})
	}
	probe.Close()
	for _, addrs := range lists {
		ports, err := bindAll(&Config{Listen: ListenConfig{SMTP: addrs}})
		if err != nil {
			t.Errorf("%v: %v", addrs, err)
			continue
		}
		for _, host := range clients {
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
