package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// syncSize is the size of the messages whose syncs are counted.
const syncSize = 4096

// A syncCount is how often the server synced a file for each message.
type syncCount struct{ all, wal float64 }

// countSyncs runs a second server under strace, whose system calls for syncing
// alone are stopped and counted, and sends it a few thousand messages for each
// number of connections. On one connection every message is a commit of its
// own: as many syncs of the WAL as messages show synchronous=FULL at work, as
// NORMAL syncs the WAL only when a checkpoint begins.
func (s Speed) countSyncs(ctx context.Context, out io.Writer) (map[int]syncCount, error) {
	if _, err := exec.LookPath("strace"); err != nil {
		s.say(out, "strace isn't installed: syncs are not counted\n")
		return nil, nil
	}
	counts := make(map[int]syncCount)
	for _, connections := range s.Connections {
		c, err := s.countSyncsAt(ctx, connections)
		if err != nil {
			return nil, fmt.Errorf("count syncs: %w", err)
		}
		counts[connections] = c
		s.say(out, "%d connections: %.2f syncs a message, %.2f of them of the WAL\n", connections, c.all, c.wal)
		if connections == 1 && c.wal < 1 {
			return nil, errors.New("the WAL is synced less than once a message: synchronous is not FULL")
		}
		if connections == 1 {
			s.say(out, "every message alone was followed by a sync of the WAL: synchronous=FULL\n")
		}
	}
	return counts, nil
}

func (s Speed) countSyncsAt(ctx context.Context, connections int) (c syncCount, err error) {
	dir, err := os.MkdirTemp("", "postroom-syncs-")
	if err != nil {
		return c, fmt.Errorf("temporary folder: %w", err)
	}
	defer os.RemoveAll(dir)
	server, err := NewServer(s.Program, dir)
	if err != nil {
		return c, err
	}
	trace := filepath.Join(dir, "trace")
	if _, err := server.Start(ctx); err != nil {
		return c, err
	}
	own := Target{SMTP: server.SMTP, User: "%du@judge.test"}
	var addresses []string
	for i := range min(connections, mailboxes) {
		addresses = append(addresses, own.user(i))
	}
	if err := errors.Join(server.AddAccounts(ctx, benchPassword, addresses...), server.Stop()); err != nil {
		return c, err
	}
	// -D: strace is the grandchild, so the child that we stop is the server itself.
	server.Wrap = []string{"strace", "-D", "-f", "-q", "-y", "--seccomp-bpf", "-e", "trace=fsync,fdatasync,sync_file_range", "-o", trace, "--"}
	if _, err := server.Start(ctx); err != nil {
		return c, err
	}
	messages := max(300, 100*connections)
	_, err = load(ctx, own, syncSize, connections, func(sent int) bool { return sent < messages/connections })
	if err := errors.Join(err, server.Stop()); err != nil {
		return c, err
	}
	if err := AwaitTrace(ctx, trace, server.PID()); err != nil {
		return c, err
	}
	all, wal, err := readSyncs(trace)
	n := float64(messages / connections * connections)
	return syncCount{float64(all) / n, float64(wal) / n}, err
}

// AwaitTrace waits until strace, which outlives the process that it watches by
// a moment, has written down that process's end.
func AwaitTrace(ctx context.Context, file string, pid int) error {
	end := fmt.Appendf(nil, "\n%-5d +++ ", pid)
	return until(ctx, ioTimeout, 10*time.Millisecond, func() (bool, error) {
		b, err := os.ReadFile(file)
		return bytes.Contains(b, end), err
	})
}

// readSyncs counts the lines of a trace that begin a sync.
func readSyncs(file string) (all, wal int, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, 0, fmt.Errorf("read trace: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := lines.Text()
		if !strings.Contains(line, "sync(") && !strings.Contains(line, "sync_file_range(") {
			continue // the end of a call that was interrupted, or of a thread
		}
		all++
		if strings.Contains(line, "-wal>") {
			wal++
		}
	}
	return all, wal, lines.Err()
}
