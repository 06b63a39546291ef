package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadLine(t *testing.T) {
	const limit = 40
	tests := []struct {
		name, input, line string
		err               error
	}{
		{"gives a line without its end", "NOOP\r\nQUIT\r\n", "NOOP", nil},
		{"gives an empty line", "\r\nQUIT\r\n", "", nil},
		{"gives a line of the limit", strings.Repeat("x", limit) + "\r\n", strings.Repeat("x", limit), nil},
		{"refuses one octet more", strings.Repeat("x", limit+1) + "\r\n", "", ErrLineTooLong},
		{"refuses a very long line", strings.Repeat("x", 1<<20) + "\r\n", "", ErrLineTooLong},
		{"refuses a very long line with LF in it", strings.Repeat("x\n", 1<<20) + "\r\n", "", ErrLineTooLong},
		{"refuses a bare LF", "NO\nOP\r\n", "", ErrBareControl},
		{"refuses a bare LF in front of the end", "NOOP\n\r\n", "", ErrBareControl},
		{"refuses a bare CR", "NO\rOP\r\n", "", ErrBareControl},
		{"refuses a bare CR in front of the end", "NOOP\r\r\n", "", ErrBareControl},
		{"refuses a NUL", "NO\x00OP\r\n", "", ErrBareControl},
		{"reports the end", "", "", io.EOF},
		{"reports an end inside a line", "NOOP", "", io.ErrUnexpectedEOF},
		{"reports an end behind a bare LF", "NOOP\n", "", io.ErrUnexpectedEOF},
		{"reports an end inside a long line", strings.Repeat("x", 1<<20), "", io.ErrUnexpectedEOF},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, source := range []io.Reader{
				strings.NewReader(test.input), iotest.OneByteReader(strings.NewReader(test.input)),
			} {
				r := bufio.NewReaderSize(source, 16)
				line, err := ReadLine(r, limit)
				if string(line) != test.line || !errors.Is(err, test.err) {
					t.Errorf("got %q, %v; want %q, %v", line, err, test.line, test.err)
				}
			}
		})
	}
}

func TestReadLineGoesOn(t *testing.T) {
	for _, bad := range []string{strings.Repeat("x", 100), "a\nb", "a\rb", "\x00", strings.Repeat("\n", 100), strings.Repeat("\r", 99)} {
		r := bufio.NewReaderSize(strings.NewReader(bad+"\r\nNOOP\r\n"), 16)
		if _, err := ReadLine(r, 40); err == nil {
			t.Errorf("%q: no error", bad)
		}
		if line, err := ReadLine(r, 40); string(line) != "NOOP" || err != nil {
			t.Errorf("%q: then %q, %v; want NOOP", bad, line, err)
		}
	}
}

func TestReadLineHoldsLittle(t *testing.T) {
	const length = 16 << 20
	r := bufio.NewReaderSize(io.MultiReader(io.LimitReader(xs{}, length), strings.NewReader("\r\n")), 4096)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := ReadLine(r, 12288)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrLineTooLong) {
		t.Errorf("error %v, want %v", err, ErrLineTooLong)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 100<<10 {
		t.Errorf("a line of %d octets takes %d of memory", length, took)
	}
}

// xs is an endless row of them.
type xs struct{}

func (xs) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

var messages = []struct {
	name, message, sent string
	err                 error
}{
	{"ends an empty message", "", ".\r\n", nil},
	{"leaves lines alone", "a\r\n\r\nb\r\n", "a\r\n\r\nb\r\n.\r\n", nil},
	{"doubles a dot at the start of a line", ".\r\n..\r\n.a\r\na.\r\n", "..\r\n...\r\n..a\r\na.\r\n.\r\n", nil},
	{"ends a last line that has no end", "a\r\nb", "a\r\nb\r\n.\r\n", nil},
	{"ends a last dot that has no line end", "a\r\n.", "a\r\n..\r\n.\r\n", nil},
	{"refuses a bare LF", "a\nb\r\n", "", ErrBareControl},
	{"refuses a bare LF in front", "\na\r\n", "", ErrBareControl},
	{"refuses a bare LF before a dot", "a\n.\r\n", "", ErrBareControl},
	{"refuses a bare CR", "a\rb\r\n", "", ErrBareControl},
	{"refuses a bare CR before a dot", "a\r.\r\n", "", ErrBareControl},
	{"refuses two CR", "a\r\r\n", "", ErrBareControl},
	{"refuses a CR at the end", "a\r\nb\r", "", ErrBareControl},
	{"refuses a LF after a line", "a\r\n\n", "", ErrBareControl},
}

func TestDotWriter(t *testing.T) {
	for _, test := range messages {
		t.Run(test.name, func(t *testing.T) {
			for size := 1; size <= len(test.message)+1; size++ {
				sent, err := stuff([]byte(test.message), size)
				if !errors.Is(err, test.err) {
					t.Errorf("in pieces of %d: error %v, want %v", size, err, test.err)
				}
				if err == nil && string(sent) != test.sent {
					t.Errorf("in pieces of %d: sent %q, want %q", size, sent, test.sent)
				}
				checkLineEnds(t, sent)
				if err != nil && bytes.HasSuffix(sent, []byte("\r\n.\r\n")) {
					t.Errorf("in pieces of %d: a broken message was ended: %q", size, sent)
				}
			}
		})
	}
}

func TestDotWriterKeepsItsError(t *testing.T) {
	broken := errors.New("broken")
	w := NewDotWriter(failing{broken})
	if _, err := w.Write([]byte("a\r\n")); !errors.Is(err, broken) {
		t.Errorf("Write: %v", err)
	}
	if err := w.Close(); !errors.Is(err, broken) {
		t.Errorf("Close: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// FuzzDotWriter: whatever it is given, in pieces of any size, a DotWriter never
// sends a bare CR or LF; what has neither comes back as it was; anything else is
// an error.
func FuzzDotWriter(f *testing.F) {
	for _, m := range messages {
		f.Add([]byte(m.message), uint8(3))
	}
	f.Fuzz(func(t *testing.T, message []byte, size uint8) {
		whole, wholeErr := stuff(message, len(message)+1)
		sent, err := stuff(message, int(size)+1)
		checkLineEnds(t, sent)
		if (err == nil) != (wholeErr == nil) || err == nil && !bytes.Equal(sent, whole) {
			t.Fatalf("in pieces %q, %v; whole %q, %v", sent, err, whole, wholeErr)
		}
		if clean := hasOnlyCRLF(message); clean != (err == nil) {
			t.Fatalf("%q: error %v", message, err)
		}
		if err != nil {
			return
		}
		want := message
		if len(want) > 0 && !bytes.HasSuffix(want, []byte("\r\n")) {
			want = append(bytes.Clone(want), "\r\n"...)
		}
		if got := unstuff(t, sent); !bytes.Equal(got, want) {
			t.Fatalf("came back as %q, want %q", got, want)
		}
	})
}

// FuzzReadLine: the lines that are read are the input cut at its CRLFs,
// whatever the size of the buffer.
func FuzzReadLine(f *testing.F) {
	f.Add([]byte("NOOP\r\n\r\na\nb\r\nc\rd\r\n\r\r\nQUIT"), uint8(20))
	f.Fuzz(func(t *testing.T, input []byte, limit uint8) {
		r := bufio.NewReaderSize(bytes.NewReader(input), 16)
		rest := input
		for {
			line, err := ReadLine(r, int(limit))
			want, after, found := bytes.Cut(rest, []byte("\r\n"))
			switch {
			case !found && len(rest) == 0 && errors.Is(err, io.EOF), !found && errors.Is(err, io.ErrUnexpectedEOF):
				return
			case !found:
				t.Fatalf("%q: got %q, %v at the end", rest, line, err)
			case len(want) > int(limit) && errors.Is(err, ErrLineTooLong):
			case len(want) <= int(limit) && bytes.ContainsAny(want, "\r\n\x00") && errors.Is(err, ErrBareControl):
			case len(want) <= int(limit) && !bytes.ContainsAny(want, "\r\n\x00") && err == nil && bytes.Equal(line, want):
			default:
				t.Fatalf("%q: got %q, %v", want, line, err)
			}
			rest = after
		}
	})
}

// stuff writes a message through a DotWriter in pieces of size octets.
func stuff(message []byte, size int) ([]byte, error) {
	var sent bytes.Buffer
	w := NewDotWriter(&sent)
	for len(message) > 0 {
		n := min(size, len(message))
		if _, err := w.Write(message[:n]); err != nil {
			return sent.Bytes(), err
		}
		message = message[n:]
	}
	err := w.Close()
	return sent.Bytes(), err
}

// unstuff reads what a DotWriter sent the way a receiver does.
func unstuff(t *testing.T, sent []byte) []byte {
	t.Helper()
	var message []byte
	for {
		line, rest, ok := bytes.Cut(sent, []byte("\r\n"))
		if !ok {
			t.Fatalf("no final dot: %q is left", sent)
		}
		if string(line) == "." {
			if len(rest) > 0 {
				t.Fatalf("%q behind the final dot", rest)
			}
			return message
		}
		message = append(message, bytes.TrimPrefix(line, []byte("."))...)
		message = append(message, "\r\n"...)
		sent = rest
	}
}

func hasOnlyCRLF(b []byte) bool {
	return !bytes.ContainsAny(bytes.ReplaceAll(b, []byte("\r\n"), nil), "\r\n")
}

func checkLineEnds(t *testing.T, sent []byte) {
	t.Helper()
	if !hasOnlyCRLF(sent) {
		t.Errorf("sent a bare CR or LF: %q", sent)
	}
}

func BenchmarkDotWriter(b *testing.B) {
	message := bytes.Repeat([]byte(strings.Repeat("x", 70)+"\r\n"), 57)
	b.SetBytes(int64(len(message)))
	for b.Loop() {
		w := NewDotWriter(io.Discard)
		_, _ = w.Write(message)
		_ = w.Close()
	}
}

func BenchmarkReadLine(b *testing.B) {
	input := bytes.Repeat([]byte("RETR 12345\r\n"), 1000)
	b.SetBytes(int64(len(input)))
	for b.Loop() {
		r := bufio.NewReader(bytes.NewReader(input))
		for range 1000 {
			if _, err := ReadLine(r, 1000); err != nil {
				b.Fatal(err)
			}
		}
	}
}
