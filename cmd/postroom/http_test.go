package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A stop lets a request finish and doesn't wait for connections that have none.
func TestServeHTTPStops(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	begun, finish := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-finish
		fmt.Fprint(w, "done")
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serveHTTP(ctx, l, handler, slog.New(slog.DiscardHandler), time.Minute) }()

	silent, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	answered := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			answered <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body) // a failure shows in what was read
		answered <- string(body)
	}()
	<-begun
	started := time.Now()
	cancel()
	if _, err := silent.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a silent connection: %v", err)
	}
	close(finish)
	if got := <-answered; got != "done" {
		t.Errorf("the request: %s", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if took := time.Since(started); took >= httpGrace {
		t.Errorf("took %v", took)
	}
}

// hurried serves h until the test ends, to clients that have a moment for all.
func hurried(t *testing.T, h http.Handler) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serveHTTP(ctx, l, h, slog.New(slog.DiscardHandler), 300*time.Millisecond) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr()
}

// Clients that are slow on purpose lose their connection.
func TestServeHTTPEndsSlowClients(t *testing.T) {
	much := strings.Repeat("x", 64<<20)
	gaveUp := make(chan struct{}, 1) // an answer that nobody reads has ended
	addr := hurried(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, "too slow", http.StatusRequestTimeout)
			return
		}
		_, _ = io.WriteString(w, much) // whoever asked is slow
		gaveUp <- struct{}{}
	}))
	for name, slow := range map[string]struct {
		begin, drip string
		late        bool // it reads only when the server has given up
	}{
		"that says nothing":             {},
		"that never ends a line":        {begin: "GET / HTTP/1.1\r\nHost: x\r\nX: ", drip: "x"},
		"that never ends its header":    {begin: "GET / HTTP/1.1\r\nHost: x\r\n", drip: "X: x\r\n"},
		"that never ends its body":      {begin: "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", drip: "x"},
		"that never ends its chunks":    {begin: "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", drip: "1\r\nx\r\n"},
		"that doesn't read its answer":  {begin: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", late: true},
		"that waits after it was asked": {begin: "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", addr.String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, slow.begin); err != nil {
				t.Fatal(err)
			}
			if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if slow.late {
				<-gaveUp
			}
			if slow.drip == "" {
				if n, err := io.Copy(io.Discard, c); isTimeout(err) || n > int64(len(much))/2 {
					t.Errorf("the connection is kept: %v after %d octets", err, n)
				}
				return
			}
			pace := time.NewTicker(5 * time.Millisecond)
			defer pace.Stop()
			for {
				if _, err := io.WriteString(c, slow.drip); err != nil {
					if isTimeout(err) {
						t.Error("the connection is kept")
					}
					return
				}
				<-pace.C
			}
		})
	}
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// Nobody has to be listened to without an end.
func TestServeHTTPBoundsHeaders(t *testing.T) {
	addr := hurried(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for name, tt := range map[string]struct {
		line, header string
		code         int
	}{
		"takes what browsers send":     {"GET /?" + strings.Repeat("x", 8000), strings.Repeat("Cookie: a=b\r\n", 50), http.StatusOK},
		"refuses a very long URL":      {"GET /" + strings.Repeat("x", 1<<20), "", http.StatusRequestHeaderFieldsTooLarge},
		"refuses a very long header":   {"GET /", "X: " + strings.Repeat("x", 1<<20) + "\r\n", http.StatusRequestHeaderFieldsTooLarge},
		"refuses very many headers":    {"GET /", strings.Repeat("X: x\r\n", 100_000), http.StatusRequestHeaderFieldsTooLarge},
		"refuses very many cookies":    {"GET /", "Cookie: " + strings.Repeat("a=b; ", 100_000) + "\r\n", http.StatusRequestHeaderFieldsTooLarge},
		"refuses what smuggles a body": {"POST /", "Content-Length: 5\r\nContent-Length: 6\r\n", http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", addr.String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			go func() { _, _ = io.WriteString(c, tt.line+" HTTP/1.1\r\nHost: x\r\n"+tt.header+"\r\n") }() // the refusal may come before its end
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != tt.code {
				t.Errorf("answered %d, want %d", res.StatusCode, tt.code)
			}
		})
	}
}
