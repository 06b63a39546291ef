package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"postroom/cmd/postroom/bench"
)

// A systemCall is one call to the kernel of a trace. Its begin and end are the numbers of
// the lines on which strace saw it begin and end.
type systemCall struct {
	name       string
	file       string // what its descriptor leads to
	data       []byte // what it writes
	begin, end int
}

var (
	callLine    = regexp.MustCompile(`^(\d+) +(\w+)\(\d+<([^>]*)>(.*)`)
	resumedLine = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>`)
	quoted      = regexp.MustCompile(`"([^"]*)"`)
)

// unhex undoes what -xx does to texts and paths.
func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, `\x`, ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// parseTrace reads the output of strace -f -y -xx.
func parseTrace(t *testing.T, trace []byte) []*systemCall {
	t.Helper()
	var calls []*systemCall
	open := make(map[string]*systemCall) // by thread
	number := 0
	for line := range strings.Lines(string(trace)) {
		number++
		if m := resumedLine.FindStringSubmatch(line); m != nil && open[m[1]] != nil {
			open[m[1]].end = number
			delete(open, m[1])
			continue
		}
		m := callLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		call := &systemCall{name: m[2], file: string(unhex(t, m[3])), begin: number, end: number}
		for _, text := range quoted.FindAllStringSubmatch(m[4], -1) {
			call.data = append(call.data, unhex(t, text[1])...)
		}
		if strings.Contains(line, "<unfinished ...>") {
			call.end = 0 // not seen yet
			open[m[1]] = call
		}
		calls = append(calls, call)
	}
	return calls
}

func (c *systemCall) isSync() bool { return c.name == "fdatasync" || c.name == "fsync" }

func (c *systemCall) ofWAL() bool { return strings.HasSuffix(c.file, "postroom.db-wal") }

// lastWrite returns the write that completes the commit whose pages hold marker:
// SQLite writes a frame as its header of 24 octets and then the page, and the
// last frame of a commit has the database's size in octets 4 to 8 of its header.
func lastWrite(calls []*systemCall, marker []byte) (*systemCall, error) {
	found, last := false, false
	for _, c := range calls {
		if c.isSync() || !c.ofWAL() {
			continue
		}
		if len(c.data) == 24 {
			last = binary.BigEndian.Uint32(c.data[4:]) != 0
			continue
		}
		found = found || bytes.Contains(c.data, marker)
		if found && last {
			return c, nil
		}
	}
	if !found {
		return nil, fmt.Errorf("%s was never written to the WAL", marker)
	}
	return nil, fmt.Errorf("the commit that holds %s never ended", marker)
}

// promised says what is wrong with the promise for one message: its commit's
// last write must be followed by a sync of the WAL that has ended before the
// reply begins.
func promised(calls []*systemCall, marker []byte, reply string) error {
	write, err := lastWrite(calls, marker)
	if err != nil {
		return err
	}
	for _, c := range calls {
		switch {
		case c.isSync() && c.ofWAL() && write.end != 0 && c.begin > write.end && c.end != 0:
			return repliedBefore(calls, reply, c.end)
		case !c.isSync() && !c.ofWAL() && bytes.Contains(c.data, []byte(reply)):
			return fmt.Errorf("%q was answered on line %d, with no sync since the commit's last write on line %d", reply, c.begin, write.end)
		}
	}
	return fmt.Errorf("no sync of the WAL after line %d", write.end)
}

// repliedBefore fails if the reply went out before the line on which the sync ended.
func repliedBefore(calls []*systemCall, reply string, synced int) error {
	for _, c := range calls {
		if c.ofWAL() || c.isSync() || !bytes.Contains(c.data, []byte(reply)) {
			continue
		}
		if c.begin < synced {
			return fmt.Errorf("%q was answered on line %d, before the sync ended on line %d", reply, c.begin, synced)
		}
		return nil
	}
	return fmt.Errorf("%q was never written to a client", reply)
}

// TestEvery250FollowsASync watches the system calls of the server: kill -9 alone
// would not notice a promise that isn't on the disk, a power cut would.
func TestEvery250FollowsASync(t *testing.T) {
	need(t, "strace", "strace")
	s := startSite(t)
	s.stop()
	trace := filepath.Join(t.TempDir(), "trace")
	s.Wrap = []string{
		"strace", "-D", "-f", "-q", "-y", "-xx", "-s", "70000", "--seccomp-bpf",
		"-e", "trace=write,writev,pwrite64,pwritev,sendto,sendmsg,fsync,fdatasync", "-o", trace, "--",
	}
	s.start()
	replies := make(map[string]string) // by marker
	s.sendMarked(replies, 1, 40)
	s.sendMarked(replies, 8, 20)
	s.stop()
	if err := bench.AwaitTrace(t.Context(), trace, s.PID()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	calls := parseTrace(t, b)
	for marker, reply := range replies {
		if err := promised(calls, []byte(marker), reply); err != nil {
			t.Error(err)
		}
	}
	if len(replies) != 200 {
		t.Errorf("%d messages were answered, not 200", len(replies))
	}
}

// sendMarked has a number of senders at once send messages, each with a marker
// of its own in its body, and notes the replies by marker.
func (s *site) sendMarked(replies map[string]string, senders, each int) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for sender := range senders {
		all.Go(func() {
			c, err := bench.DialSMTP(s.t.Context(), s.SMTP)
			if err != nil {
				s.t.Error(err)
				return
			}
			defer c.Quit()
			for i := range each {
				marker := fmt.Sprintf("marker-%d-%d-%d-end", senders, sender, i)
				reply, err := sendOn(c, []byte(head+marker+"\r\n"))
				if err != nil {
					s.t.Error(err)
					return
				}
				mu.Lock()
				replies[marker] = reply
				mu.Unlock()
			}
		})
	}
	all.Wait()
}

func sendOn(c *bench.SMTPClient, message []byte) (string, error) {
	if _, err := c.Begin("someone@elsewhere.test", "bob@judge.test"); err != nil {
		return "", err
	}
	reply, _, err := c.Data(bench.DotStuff(message))
	return reply, err
}
