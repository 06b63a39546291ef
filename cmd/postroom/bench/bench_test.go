package bench

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMessagesSurviveTheWire(t *testing.T) {
	for _, size := range []int{300, 4096, 1 << 20} {
		for number := range 20 {
			want := Compose(number, size, "a@judge.test")
			r := bufio.NewReader(bytes.NewReader(DotStuff(want)))
			got, err := readData(r, func() bool { return true })
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("message %d of %d octets: %s", number, size, firstDifference(want, got))
			}
			if _, err := r.ReadByte(); err != io.EOF {
				t.Errorf("message %d of %d octets leaves something behind", number, size)
			}
		}
	}
}

func TestComposeIsStrictAndRepeats(t *testing.T) {
	m := Compose(7, 1<<20, "a@judge.test")
	if !bytes.Equal(m, Compose(7, 1<<20, "a@judge.test")) {
		t.Error("another message under the same number")
	}
	bare := bytes.ReplaceAll(m, []byte("\r\n"), nil)
	if bytes.ContainsAny(bare, "\r\n\x00") {
		t.Error("it holds a NUL, a bare CR or a bare LF")
	}
	if len(m) < 1<<20 || len(m) > 1<<20+200 {
		t.Errorf("%d octets", len(m))
	}
}

// front is what a server puts before a message.
const front = "Return-Path: <somebody@elsewhere.test>\r\nDelivered-To: keep@judge.test\r\nReceived: from a\r\n\tby b\r\n"

func TestMaildropFindsBrokenPromises(t *testing.T) {
	const account = "keep@judge.test"
	prepare := func() (*journal, *maildrop, []byte) {
		j := newJournal()
		r, content := j.compose("somebody@elsewhere.test", 2000)
		j.taken(r, account, false)
		j.answered(r, accepted, "250", 0)
		return j, newMaildrop(j, account), append([]byte(front), content...)
	}
	for _, tt := range []struct {
		name string
		do   func(m *maildrop, content []byte)
		want string // in the violation; empty: there is none
	}{
		{"accepts what was sent", func(m *maildrop, b []byte) { m.got("u1", b) }, ""},
		{"finds a changed octet", func(m *maildrop, b []byte) { b[len(b)-9] ^= 1; m.got("u1", b) }, "bytes differ"},
		{"finds a missing end", func(m *maildrop, b []byte) { m.got("u1", b[:len(b)-2]) }, "bytes differ"},
		{"finds a strange field", func(m *maildrop, b []byte) { m.got("u1", append([]byte("X-Other: 1\r\n"), b...)) }, "strange line"},
		{"finds a second copy", func(m *maildrop, b []byte) { m.got("u1", b); m.got("u2", b) }, "twice"},
		{"finds a message that went away", func(m *maildrop, b []byte) { m.got("u1", b); m.look(nil) }, "is lost"},
		{"finds a message that came back", func(m *maildrop, b []byte) {
			m.got("u1", b)
			m.deleted([]string{"u1"})
			m.look([]string{"u1"})
		}, "is back"},
		{"finds half a deletion", func(m *maildrop, _ []byte) {
			m.kept["u1"], m.kept["u2"], m.doubt = 1, 2, []string{"u1", "u2"}
			m.look([]string{"u2"})
		}, "only 1 of 2"},
		{"accepts a whole deletion that was in doubt", func(m *maildrop, _ []byte) {
			m.kept["u1"], m.kept["u2"], m.doubt = 1, 2, []string{"u1", "u2"}
			m.look(nil)
		}, ""},
		{"finds what nobody sent", func(m *maildrop, _ []byte) { m.got("u1", []byte("Subject: x\r\n\r\n")) }, "nobody sent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j, m, content := prepare()
			tt.do(m, content)
			got := strings.Join(j.faults(0), "; ")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestJudgeRecord(t *testing.T) {
	for _, tt := range []struct {
		name           string
		fate           fate
		there, missing []string
		want           string
	}{
		{"accepts what is everywhere", accepted, []string{"a", "b"}, nil, ""},
		{"finds a lost recipient", accepted, []string{"a"}, []string{"b"}, "LOST for [b]"},
		{"finds a refused message that is there", refused, []string{"a"}, []string{"b"}, "is there"},
		{"accepts that a doubtful one is there", inDoubt, []string{"a"}, nil, ""},
		{"accepts that a doubtful one isn't", inDoubt, nil, []string{"a"}, ""},
		{"finds half a commit", inDoubt, []string{"a"}, []string{"b"}, "half a commit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := &judge{journal: newJournal()}
			j.judgeRecord(&record{fate: tt.fate}, tt.there, tt.missing)
			got := strings.Join(j.journal.faults(0), "; ")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSink(t *testing.T) {
	took := make(chan []byte, 1)
	s, err := startSink(func(content []byte, _ []string) { took <- content }, func() {}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := DialSMTP(t.Context(), s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 2 {
		taken, err := c.Begin("a@judge.test", "take@remote.test", "defer@remote.test", "reject@remote.test")
		if err != nil || !taken[0] || taken[1] || taken[2] {
			t.Fatalf("taken %v, %v: the first alone should be", taken, err)
		}
		if _, err := c.Command("RSET"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Begin("a@judge.test", "defer@remote.test"); err != nil {
		t.Fatalf("the third time: %v", err)
	}
	want := Compose(3, 5000, "a@judge.test")
	if _, _, err := c.Data(DotStuff(want)); err != nil {
		t.Fatal(err)
	}
	if got := <-took; !bytes.Equal(got, want) {
		t.Error(firstDifference(want, got))
	}
}

func TestParseTarget(t *testing.T) {
	got, err := ParseTarget("postfix,127.0.0.10:25,127.0.0.10:110,%du@local.test,secret")
	want := Target{Name: "postfix", SMTP: "127.0.0.10:25", POP3: "127.0.0.10:110", User: "%du@local.test", Password: "secret"}
	if err != nil || !cmp.Equal(got, want) || got.user(0) != "1u@local.test" {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := ParseTarget("postfix,127.0.0.10:25"); err == nil {
		t.Error("half a target is taken")
	}
}

func TestSummarize(t *testing.T) {
	var latencies []time.Duration
	for i := range 101 {
		latencies = append(latencies, time.Duration(100-i)*time.Millisecond)
	}
	r := summarize(latencies, 2*time.Second)
	if r.P50 != 50 || r.P99 != 99 || r.Max != 100 || r.PerSecond != 50.5 {
		t.Errorf("got %+v", r)
	}
}
