package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"postroom/store"
)

// lockPatience is how long to wait for a data folder that somebody else is about
// to leave.
const lockPatience = 3 * time.Second

// ask runs one operation: in the server if one is running, else in this process.
func ask[Res any](ctx context.Context, s *shell, name string, req any) (Res, error) {
	var res Res
	conn, err := s.connect(ctx)
	if err != nil {
		return res, err
	}
	res, err = call[Res](ctx, conn.client, name, req)
	return res, errors.Join(err, conn.close())
}

// A connection reaches the operations.
type connection struct {
	client *http.Client
	close  func() error
}

// connect returns a way to the operations. The caller closes it.
func (s *shell) connect(ctx context.Context) (*connection, error) {
	conf, err := s.config()
	if err != nil {
		return nil, err
	}
	for waited := newPatience(); ; {
		if c, err := dialControl(ctx, conf.Data); err == nil {
			return overSocket(c), nil
		}
		p, err := openProgram(ctx, conf, slog.New(slog.DiscardHandler))
		if err == nil {
			return inProcess(p), nil
		}
		if !errors.Is(err, store.ErrLocked) || !waited.more(ctx) {
			return nil, err
		}
	}
}

// A patience waits for a data folder that is in use by a server that starts or
// stops, or by a command.
type patience struct{ until time.Time }

func newPatience() patience { return patience{time.Now().Add(lockPatience)} }

// more waits a little and reports whether it is worth another try.
func (p patience) more(ctx context.Context) bool {
	wait(ctx, 20*time.Millisecond)
	return ctx.Err() == nil && time.Now().Before(p.until)
}

// overSocket speaks to a running server on c.
func overSocket(c net.Conn) *connection {
	return &connection{
		client: &http.Client{Transport: &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) { return c, nil },
		}},
		close: func() error {
			c.Close()
			return nil
		},
	}
}

// inProcess runs the operations here.
func inProcess(p *program) *connection {
	return &connection{
		client: &http.Client{Transport: &handlerTransport{operations(p.admin, p.store.Ready)}},
		close:  p.close,
	}
}

// A handlerTransport is an http.RoundTripper that has no network: it calls a
// handler.
type handlerTransport struct{ handler http.Handler }

// RoundTrip runs the handler and returns once it has begun to answer.
func (t *handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	body, sink := io.Pipe()
	w := &pipedAnswer{header: make(http.Header), sink: sink, begun: make(chan int, 1)}
	go func() {
		t.handler.ServeHTTP(w, r)
		w.WriteHeader(http.StatusOK)
		sink.Close()
		r.Body.Close()
	}()
	select {
	case status := <-w.begun:
		return &http.Response{
			StatusCode: status, Status: http.StatusText(status), Header: w.header, Body: body, Request: r,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: -1,
		}, nil
	case <-r.Context().Done():
		sink.CloseWithError(r.Context().Err())
		return nil, r.Context().Err()
	}
}

// A pipedAnswer is the http.ResponseWriter of a handlerTransport.
type pipedAnswer struct {
	header http.Header
	sink   *io.PipeWriter
	begun  chan int
	status int
}

// Header returns the fields of the answer.
func (a *pipedAnswer) Header() http.Header { return a.header }

// WriteHeader begins the answer.
func (a *pipedAnswer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
		a.begun <- status
	}
}

// Write goes on with the answer.
func (a *pipedAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.sink.Write(p)
}

// Flush does nothing: nothing is held back.
func (a *pipedAnswer) Flush() {}
