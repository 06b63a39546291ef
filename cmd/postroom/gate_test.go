package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"testing"
)

// greet serves l: each client reads word and is kept until it sends a line.
func greet(l net.Listener, word string) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			fmt.Fprintln(c, word)
			if line, err := bufio.NewReader(c).ReadString('\n'); err == nil {
				fmt.Fprint(c, word, " heard ", line)
			}
		}()
	}
}

type guest struct {
	net.Conn
	lines *bufio.Scanner
}

func visit(t *testing.T, addr net.Addr) guest {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return guest{c, bufio.NewScanner(c)}
}

func (g guest) hears(t *testing.T, want string) {
	t.Helper()
	if !g.lines.Scan() || g.lines.Text() != want {
		t.Errorf("heard %q, %v, want %q", g.lines.Text(), g.lines.Err(), want)
	}
}

func TestGate(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{service: "smtp", l: l, log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 3)
	first := g.next()
	go func() { ended <- g.run(ctx) }()
	go func() { ended <- greet(first, "first") }()

	old := visit(t, l.Addr())
	old.hears(t, "first")

	second := g.next()
	go func() { ended <- greet(second, "second") }()
	for range 5 {
		visit(t, l.Addr()).hears(t, "second")
	}
	fmt.Fprintln(old, "hello")
	old.hears(t, "first heard hello")

	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the gate: %v", err)
	}
	first.Close()
	second.Close()
	for range 2 {
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("a server: %v", err)
		}
	}
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
		c.Close()
		t.Error("the port is still open")
	}
}
