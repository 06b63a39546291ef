package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"postroom/store"
)

// An outcome is how far something long is, and in the end what it has done. Each
// line of the answer of an operation that may take long is one.
type outcome[Res any] struct {
	Done    int64  `json:"done"`            // steps so far
	Total   int64  `json:"total"`           // zero as long as it isn't known
	Ended   bool   `json:"ended,omitempty"` // the last line
	Stopped bool   `json:"stopped,omitempty"`
	Error   string `json:"error,omitempty"`
	Result  Res    `json:"result,omitzero"` // in the last line, also of what failed or was stopped
}

// left is how many steps weren't done.
func (o outcome[Res]) left() int64 { return max(o.Total-o.Done, 0) }

// failure is why it wasn't done, nil if it was or was stopped.
func (o outcome[Res]) failure() error {
	if o.Error == "" {
		return nil
	}
	return errors.New(o.Error)
}

// A halt is sent behind the request of something long, to have it end between two
// steps. A connection that breaks does so too, but then nobody hears how far it came.
type halt struct {
	Stop bool `json:"stop"`
}

// handleLong is handle for an operation that may take long: its answer is a line a
// step.
func handleLong[Req, Res any](mux *http.ServeMux, name string, operation func(context.Context, Req) (Res, error)) {
	mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex() // without a network there is no need of it
		asked := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
		var req Req
		if err := asked.Decode(&req); err != nil {
			answer(w, http.StatusBadRequest, controlError{fmt.Sprintf("%s: %v", name, err)})
			return
		}
		ctx, stop := context.WithCancel(r.Context())
		defer stop()
		heard := make(chan struct{})
		go func() {
			defer close(heard)
			if err := asked.Decode(new(halt)); !errors.Is(err, io.EOF) {
				stop()
			}
		}()
		lines := json.NewEncoder(w)
		say := func(o outcome[Res]) {
			_ = errors.Join(lines.Encode(o), control.Flush()) // if it has gone, r's context ends
		}
		say(runLong(ctx, req, operation, say))
		<-heard // whoever asks ends the request once the last line is there
	})
}

// runLong runs an operation, tells each step, and returns how it ended.
func runLong[Req, Res any](ctx context.Context, req Req, operation func(context.Context, Req) (Res, error), say func(outcome[Res])) outcome[Res] {
	var end outcome[Res]
	res, err := operation(store.WithProgress(ctx, func(done, total int64) {
		end.Done, end.Total = done, total
		say(end)
	}), req)
	end.Ended, end.Result = true, res
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		end.Stopped = true
	default:
		end.Error = err.Error()
	}
	return end
}

// askLong is ask for an operation that may take long. On a terminal it shows how far
// that is, in so many of what. The first interrupt has the operation end between two
// steps, the second one ends this program. The error is about asking; why the operation
// failed is in the outcome.
func askLong[Res any](ctx context.Context, s *shell, name, what string, req any) (outcome[Res], error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return outcome[Res]{}, err
	}
	end, err := askLongOver[Res](ctx, s, conn, name, what, req)
	return end, errors.Join(err, conn.close())
}

func askLongOver[Res any](ctx context.Context, s *shell, conn *connection, name, what string, req any) (outcome[Res], error) {
	interrupted, unhook := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM)
	defer unhook()
	request, w := io.Pipe()
	defer w.Close()
	go func() {
		if err := json.NewEncoder(w).Encode(req); err != nil {
			w.CloseWithError(err)
		}
	}()
	body, err := send(ctx, conn.client, name, request)
	if err != nil {
		return outcome[Res]{}, err
	}
	defer body.Close()
	unheard := context.AfterFunc(interrupted, func() {
		unhook()
		_ = json.NewEncoder(w).Encode(halt{Stop: true}) // it fails if the end is there
	})
	defer unheard()
	return followLong[Res](s, json.NewDecoder(body), what)
}

// followLong shows the steps of something long until its end.
func followLong[Res any](s *shell, steps *json.Decoder, what string) (outcome[Res], error) {
	line := s.progress()
	defer line.clear()
	for {
		var o outcome[Res]
		if err := steps.Decode(&o); err != nil {
			return o, fmt.Errorf("the server went away before it was done: %w", err)
		}
		switch {
		case o.Ended:
			return o, nil
		case o.Total > 0:
			line.show(fmt.Sprintf("%3d %%, %d of %s; Ctrl-C stops it", 100*o.Done/o.Total, o.Done, plural(o.Total, what)))
		}
	}
}

// A progressLine is a line of a terminal that says how far something is. Where there is
// no terminal, nothing is shown.
type progressLine struct {
	terminal *os.File // nil: there is none
	width    int      // of what is shown
}

func (s *shell) progress() *progressLine {
	if f, ok := s.err.(*os.File); ok && isTerminal(f) {
		return &progressLine{terminal: f}
	}
	return new(progressLine)
}

// show replaces what the line says.
func (p *progressLine) show(text string) {
	if p.terminal == nil {
		return
	}
	width := utf8.RuneCountInString(text)
	fmt.Fprintf(p.terminal, "\r%s%s", text, strings.Repeat(" ", max(p.width-width, 0)))
	p.width = width
}

// clear leaves an empty line, for what comes next.
func (p *progressLine) clear() {
	if p.width > 0 {
		p.show("")
		fmt.Fprint(p.terminal, "\r")
	}
}
