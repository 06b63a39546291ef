package pop3d

import (
	"bytes"
	"io"
)

// A topReader gives the top of a message (RFC 1939, TOP): its header, the empty
// line behind that, and so many lines of the body; of a message without a body,
// all of it.
type topReader struct {
	r     io.Reader
	lines int // of the body, still to come

	body   bool // the header and the empty line are over
	inLine bool // something of the current line has been read
	cr     bool // and it is a lone CR so far
}

// Read implements io.Reader.
func (t *topReader) Read(p []byte) (int, error) {
	if t.over() {
		return 0, io.EOF
	}
	n, err := t.r.Read(p)
	return t.cut(p[:n]), err
}

func (t *topReader) over() bool { return t.body && t.lines <= 0 }

// cut returns how many octets of p belong to the top.
func (t *topReader) cut(p []byte) int {
	done := 0
	for done < len(p) && !t.over() {
		end := bytes.IndexByte(p[done:], '\n') + 1
		if end == 0 {
			t.partOfLine(p[done:])
			return len(p)
		}
		t.endOfLine(p[done : done+end])
		done += end
	}
	return done
}

// partOfLine goes on with a line whose end is still to come.
func (t *topReader) partOfLine(part []byte) {
	t.cr = !t.inLine && string(part) == "\r"
	t.inLine = true
}

// endOfLine ends a line; rest is what hasn't been read of it yet.
func (t *topReader) endOfLine(rest []byte) {
	empty := !t.inLine && len(rest) <= 2 && rest[0] == '\r' || t.cr && len(rest) == 1
	t.inLine, t.cr = false, false
	switch {
	case t.body:
		t.lines--
	case empty:
		t.body = true
	}
}
