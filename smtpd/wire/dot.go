package wire

import (
	"bytes"
	"io"
)

// A DotWriter sends a message the way DATA and RETR do: each line that begins
// with a dot gets a second one, and Close ends it with CRLF.CRLF (RFC 5321
// 4.5.2, RFC 1939 section 3). It writes nothing but what it is given: a CR or LF
// that isn't part of a CRLF is an error, because some other program would take
// it for the end of a line, or of the message.
type DotWriter struct {
	w     io.Writer
	state dotState
	err   error
}

type dotState uint8

const (
	lineStart dotState = iota
	inLine
	afterCR
)

// NewDotWriter returns a DotWriter to w, which should be buffered.
func NewDotWriter(w io.Writer) *DotWriter { return &DotWriter{w: w} }

// Write sends p, stuffed.
func (d *DotWriter) Write(p []byte) (n int, err error) {
	for n < len(p) && d.err == nil {
		n += d.writeSome(p[n:])
	}
	return n, d.err
}

// writeSome sends p up to the end of its first line, or all of it, and returns
// how much that was.
func (d *DotWriter) writeSome(p []byte) int {
	if d.state == afterCR {
		if p[0] != '\n' {
			d.err = ErrBareControl
			return 0
		}
		d.put(p[:1])
		d.state = lineStart
		return 1
	}
	if d.state == lineStart && p[0] == '.' {
		d.put(dot)
	}
	end := bytes.IndexByte(p, '\n') + 1
	line := p
	if end > 0 {
		line = p[:end]
	}
	cr := bytes.IndexByte(line, '\r')
	switch {
	case end > 0 && (end < 2 || cr != end-2), end == 0 && cr >= 0 && cr != len(line)-1:
		d.err = ErrBareControl
		return 0
	case end > 0:
		d.state = lineStart
	case cr >= 0:
		d.state = afterCR
	default:
		d.state = inLine
	}
	d.put(line)
	return len(line)
}

// Close ends the message: with a line end, if it has none, and the final dot.
// It must not be called after a failure to read the message, which has to close
// the connection instead.
func (d *DotWriter) Close() error {
	switch d.state {
	case inLine:
		d.put(crlf)
	case afterCR:
		d.err = ErrBareControl
	}
	if d.err == nil {
		d.put(final)
	}
	return d.err
}

func (d *DotWriter) put(p []byte) {
	if d.err == nil {
		_, d.err = d.w.Write(p)
	}
}

var (
	dot   = []byte(".")
	crlf  = []byte("\r\n")
	final = []byte(".\r\n")
)
