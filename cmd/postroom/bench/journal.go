package bench

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A fate is what the server said at the end of a message.
type fate int

const (
	unsent   fate = iota // it didn't come to the message's first octet
	inDoubt              // no answer: it may be there or not
	accepted             // 250
	refused              // 4xx or 5xx
)

// A record is one message as its sender knows it.
type record struct {
	number int
	from   string
	size   int
	sum    [sha256.Size]byte
	local  []string // recipients in our maildrops that RCPT took
	remote []string // recipients at the sink that RCPT took
	fate   fate
	reply  string
	took   time.Duration // from the message's end to the reply
}

// A journal is the judge's own memory: what was sent and what was answered. It
// lives in the judge's process, so no crash of the server touches it.
type journal struct {
	mu         sync.Mutex
	records    []*record
	received   map[string]int // by remote recipient: how often the sink has it in full
	bounces    map[string]int // by remote recipient: reports about it in its sender's maildrop
	violations []string
}

func newJournal() *journal {
	return &journal{received: make(map[string]int), bounces: make(map[string]int)}
}

// compose makes the next message and writes it down before it is sent.
func (j *journal) compose(from string, size int) (*record, []byte) {
	j.mu.Lock()
	r := &record{number: len(j.records), from: from}
	j.records = append(j.records, r)
	j.mu.Unlock()
	content := Compose(r.number, size, from)
	j.mu.Lock()
	defer j.mu.Unlock()
	r.size, r.sum = len(content), sha256.Sum256(content)
	return r, content
}

// taken writes down a recipient that RCPT took.
func (j *journal) taken(r *record, recipient string, remote bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if remote {
		r.remote = append(r.remote, recipient)
	} else {
		r.local = append(r.local, recipient)
	}
}

// recipients returns those that RCPT took so far.
func (j *journal) recipients(r *record) (local, remote []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(r.local), slices.Clone(r.remote)
}

// answered writes down what was said at the message's end.
func (j *journal) answered(r *record, f fate, reply string, took time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r.fate, r.reply, r.took = f, reply, took
}

func (j *journal) blame(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.violations = append(j.violations, fmt.Sprintf(format, args...))
}

// faults returns the violations found since the first n.
func (j *journal) faults(n int) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.violations[n:])
}

// A tally says how many messages met which fate.
type tally struct {
	total   int // of the whole run
	by      map[fate]int
	slowest time.Duration // accept
}

// tally counts from record number first on.
func (j *journal) tally(first int) tally {
	j.mu.Lock()
	defer j.mu.Unlock()
	t := tally{total: len(j.records), by: make(map[fate]int)}
	for _, r := range j.records[first:] {
		t.by[r.fate]++
		t.slowest = max(t.slowest, r.took)
	}
	return t
}

// String returns the counts in words.
func (t tally) String() string {
	return fmt.Sprintf("%d answered 250, %d refused, %d in doubt, slowest accept %v",
		t.by[accepted], t.by[refused], t.by[inDoubt], t.slowest.Round(time.Millisecond))
}

// An outcome is what a journal knows when all is over.
type outcome struct {
	records           []*record
	received, bounces map[string]int
}

func (j *journal) outcome() outcome {
	j.mu.Lock()
	defer j.mu.Unlock()
	return outcome{slices.Clone(j.records), maps.Clone(j.received), maps.Clone(j.bounces)}
}

// served says whether a remote recipient got the message, or its sender a report.
func (o outcome) served(recipient string) bool {
	if strings.HasPrefix(recipient, "reject") {
		return o.bounces[recipient] > 0
	}
	return o.received[recipient] > 0
}

// refusal returns the first reply that refused a message.
func (o outcome) refusal() string {
	for _, r := range o.records {
		if r.fate == refused {
			return r.reply
		}
	}
	return "none"
}

// sinkTook compares what arrived at the sink and counts it.
func (j *journal) sinkTook(content []byte, recipients []string) {
	r := j.find(content)
	if r == nil {
		j.blame("the sink got a message that nobody sent, for %v", recipients)
		return
	}
	if err := j.compare(r, content); err != nil {
		j.blame("message %d at the sink: %v", r.number, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, recipient := range recipients {
		if !slices.Contains(r.remote, recipient) {
			j.violations = append(j.violations, fmt.Sprintf("message %d was sent to %s, who was no recipient", r.number, recipient))
		}
		j.received[recipient]++
	}
}

// find returns the record of a message by its field X-Judge, nil if it has none.
func (j *journal) find(content []byte) *record {
	number, err := strconv.Atoi(topField(content, "X-Judge"))
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil || number < 0 || number >= len(j.records) {
		return nil
	}
	return j.records[number]
}

// ours are the fields that a server may put in front of a message.
var ours = []string{"Return-Path", "Delivered-To", "Received", "Authentication-Results", "X-Spam", "DKIM-Signature"}

// compare says how content differs from what was sent, header lines in front aside.
func (j *journal) compare(r *record, content []byte) error {
	j.mu.Lock()
	size, sum := r.size, r.sum
	j.mu.Unlock()
	front := len(content) - size
	if front < 0 {
		return fmt.Errorf("%d octets of %d are there", len(content), size)
	}
	if sha256.Sum256(content[front:]) != sum {
		return fmt.Errorf("its bytes differ: %s", firstDifference(Compose(r.number, size, r.from), content[front:]))
	}
	for line := range bytes.Lines(content[:front]) {
		name, _, _ := strings.Cut(string(line), ":")
		if line[0] != ' ' && line[0] != '\t' && !slices.Contains(ours, name) {
			return fmt.Errorf("strange line in front: %.100q", line)
		}
	}
	return nil
}

func firstDifference(want, got []byte) string {
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			return fmt.Sprintf("at octet %d %.30q instead of %.30q", i, got[i:], want[i:])
		}
	}
	return fmt.Sprintf("%d octets instead of %d", len(got), len(want))
}

// topField returns a field of the outermost header, "" if it isn't there.
func topField(content []byte, name string) string {
	for line := range bytes.Lines(content) {
		if len(bytes.TrimSpace(line)) == 0 {
			return ""
		}
		if n, value, ok := bytes.Cut(line, []byte(":")); ok && strings.EqualFold(string(n), name) {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}
