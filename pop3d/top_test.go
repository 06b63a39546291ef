package pop3d

import (
	"bytes"
	"io"
	"testing"
)

// FuzzTopReader: however a message is cut into pieces, its top is its header,
// the empty line and so many lines.
func FuzzTopReader(f *testing.F) {
	f.Add([]byte("a: b\r\n\r\n1\r\n\r\n3\r\n"), uint8(2), uint8(0))
	f.Add([]byte("a: b\r\n \r\n\r\n\r\n\r\n"), uint8(1), uint8(1))
	f.Add([]byte("a: b\r\n"), uint8(0), uint8(3))
	f.Add([]byte("\r\na"), uint8(0), uint8(3))
	f.Fuzz(func(t *testing.T, message []byte, lines, size uint8) {
		if bytes.ContainsAny(bytes.ReplaceAll(message, []byte("\r\n"), nil), "\r\n") {
			t.Skip("not what the store keeps")
		}
		r := &topReader{r: &pieces{message, int(size) + 1}, lines: int(lines)}
		got, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if want := naiveTop(message, int(lines)); !bytes.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// naiveTop has the whole message in memory, and so is plainly right.
func naiveTop(message []byte, lines int) []byte {
	all := bytes.SplitAfter(message, []byte("\r\n"))
	for i, line := range all {
		if string(line) == "\r\n" {
			return bytes.Join(all[:min(len(all), i+1+lines)], nil)
		}
	}
	return message
}

// pieces gives its bytes a few at a time.
type pieces struct {
	left []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.left[:min(p.size, len(p.left))])
	p.left = p.left[n:]
	return n, nil
}
