package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// socketName is the name of the control socket in the data folder.
const socketName = "control.sock"

// maxRequest bounds the body of one request to the control socket, in octets. The
// longest is a message that is to be checked, in base64.
const maxRequest = 96 << 20

// handle makes an operation callable as POST /name, with its request and its
// result in JSON.
func handle[Req, Res any](mux *http.ServeMux, name string, operation func(context.Context, Req) (Res, error)) {
	mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) {
		var req Req
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&req); err != nil {
			answer(w, http.StatusBadRequest, controlError{fmt.Sprintf("%s: %v", name, err)})
			return
		}
		res, err := operation(r.Context(), req)
		if err != nil {
			answer(w, http.StatusUnprocessableEntity, controlError{err.Error()})
			return
		}
		answer(w, http.StatusOK, res)
	})
}

// A controlError is what the control socket answers when an operation failed.
type controlError struct {
	Text string `json:"error"`
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // whoever asked has gone: nobody is left to tell
}

// nothing is the request or the result of an operation that has none.
type nothing struct{}

// plain adapts an operation that asks for nothing.
func plain[Res any](f func(context.Context) (Res, error)) func(context.Context, nothing) (Res, error) {
	return func(ctx context.Context, _ nothing) (Res, error) { return f(ctx) }
}

// act adapts an operation that gives nothing back but an error.
func act[Req any](f func(context.Context, Req) error) func(context.Context, Req) (nothing, error) {
	return func(ctx context.Context, req Req) (nothing, error) { return nothing{}, f(ctx, req) }
}

// call asks for an operation by its name.
func call[Res any](ctx context.Context, c *http.Client, name string, req any) (Res, error) {
	var res Res
	body, err := post(ctx, c, name, req)
	if err != nil {
		return res, err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(&res); err != nil {
		return res, fmt.Errorf("read the answer: %w", err)
	}
	return res, nil
}

// post sends a request and returns the body of its answer, or the error that it
// tells.
func post(ctx context.Context, c *http.Client, name string, req any) (io.ReadCloser, error) {
	pr, pw := io.Pipe()
	go func() { pw.CloseWithError(json.NewEncoder(pw).Encode(req)) }()
	return send(ctx, c, name, pr)
}

// send is post for a request that is JSON already.
func send(ctx context.Context, c *http.Client, name string, request io.Reader) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://postroom/"+name, request)
	if err != nil {
		return nil, err
	}
	r.Header.Set(userField, systemUser())
	resp, err := c.Do(r)
	if err != nil {
		return nil, fmt.Errorf("ask the server: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	var failure controlError
	if err := json.NewDecoder(resp.Body).Decode(&failure); err != nil || failure.Text == "" {
		return nil, fmt.Errorf("the server answered %s: another version of postroom?", resp.Status)
	}
	return nil, errors.New(failure.Text)
}

// A folder is a short way to the files of a folder: a socket's path must fit
// into 108 octets, and that of the data folder may not.
type folder struct{ fd int }

func openFolder(dir string) (folder, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return folder{}, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	return folder{fd}, nil
}

func (f folder) path(name string) string { return fmt.Sprintf("/proc/self/fd/%d/%s", f.fd, name) }
func (f folder) close()                  { unix.Close(f.fd) }

// listenControl puts the control socket into the data folder dir, in the place
// of one that a killed server left. Nobody but the owner can connect at any
// moment: it is made in a folder that is closed to others, then moved.
func listenControl(dir string) (net.Listener, error) {
	private, err := os.MkdirTemp(dir, ".control-*")
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	defer os.RemoveAll(private)
	f, err := openFolder(private)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	defer f.close()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: f.path(socketName)})
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // its name changes below
	if err := errors.Join(os.Chmod(f.path(socketName), 0o600), os.Rename(f.path(socketName), filepath.Join(dir, socketName))); err != nil {
		l.Close()
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return l, nil
}

// dialControl connects to the control socket in dir. It fails with
// fs.ErrNotExist or ECONNREFUSED if no server has it open.
func dialControl(ctx context.Context, dir string) (net.Conn, error) {
	f, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	defer f.close()
	return new(net.Dialer).DialContext(ctx, "unix", f.path(socketName))
}
