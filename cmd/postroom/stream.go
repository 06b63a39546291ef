package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"postroom/store/admin"
)

// A queueRequest asks for a part of the queue.
type queueRequest struct {
	admin.QueueSelection
	Limit int `json:"limit,omitempty"` // zero: no limit
}

// A listed is one line of the answer to a queueRequest: an item, or how the list
// ended. Lines rather than one array, because what goes wrong in the middle must
// be told too.
type listed struct {
	Item  *admin.QueueItem `json:"item,omitempty"`
	Ended bool             `json:"ended,omitempty"`
	Error string           `json:"error,omitempty"`
}

// errEnough ends a list that has reached its limit.
var errEnough = errors.New("enough")

// serveQueue answers with the queue, an item a line. However long it is, neither
// side has more than a page of it in memory.
func serveQueue(w http.ResponseWriter, r *http.Request, a *admin.Admin) {
	var req queueRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&req); err != nil {
		answer(w, http.StatusBadRequest, controlError{err.Error()})
		return
	}
	buffered := bufio.NewWriterSize(w, 64<<10)
	lines, n := json.NewEncoder(buffered), 0
	err := a.EachQueueItem(r.Context(), req.QueueSelection, func(item admin.QueueItem) error {
		if n++; req.Limit > 0 && n > req.Limit {
			return errEnough
		}
		return lines.Encode(listed{Item: &item})
	})
	end := listed{Ended: true}
	if err != nil && !errors.Is(err, errEnough) {
		end.Error = err.Error()
	}
	_ = errors.Join(lines.Encode(end), buffered.Flush()) // whoever asked has gone: nobody is left to tell
}

// eachQueued asks for a part of the queue and gives each item of it as it comes.
func eachQueued(ctx context.Context, s *shell, req queueRequest, each func(admin.QueueItem) error) (err error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.close()) }()
	body, err := post(ctx, conn.client, "queue/list", req)
	if err != nil {
		return err
	}
	defer body.Close()
	for lines := json.NewDecoder(body); ; {
		var line listed
		if err := lines.Decode(&line); err != nil {
			return fmt.Errorf("the list broke off: %w", err)
		}
		switch {
		case line.Error != "":
			return errors.New(line.Error)
		case line.Ended:
			return nil
		case line.Item == nil:
			continue
		}
		if err := each(*line.Item); err != nil {
			return err
		}
	}
}

// A jsonList prints a list as printJSON does, but an element at a time.
type jsonList struct {
	w     io.Writer
	count int
}

func (l *jsonList) add(v any) error {
	between := ",\n  "
	if l.count == 0 {
		between = "[\n  "
	}
	l.count++
	element, err := indented(v, "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(l.w, "%s%s", between, element)
	return err
}

func (l *jsonList) end() error {
	closing := "\n]\n"
	if l.count == 0 {
		closing = "[]\n"
	}
	_, err := io.WriteString(l.w, closing)
	return err
}
