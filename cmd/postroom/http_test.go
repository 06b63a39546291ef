package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
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
