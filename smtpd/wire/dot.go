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

// Write sends p, stuffed. It fails with ErrBareControl at a CR or LF that stands
// alone, which is not sent, nor anything behind it; the message can't be ended
// then.
func (d *DotWriter) Write(p []byte) (int, error) {
	rest := p
	if d.state == afterCR && len(p) > 0 {
		if p[0] != '\n' {
			d.fail(ErrBareControl)
			return 0, d.err
		}
		d.put(crlf)
		d.state = lineStart
		rest = p[1:]
	}
	d.stuff(rest)
	if d.err != nil {
		return 0, d.err
	}
	return len(p), nil
}

// stuff sends p in runs that are as long as can be: up to the next line that
// begins with a dot.
func (d *DotWriter) stuff(p []byte) {
	run, at := 0, 0
	for at < len(p) {
		if d.state == lineStart && p[at] == '.' {
			d.put(p[run:at])
			d.put(dot)
			run = at
		}
		end := bytes.IndexByte(p[at:], '\n')
		if end < 0 {
			d.partOfLine(p[run:], bytes.IndexByte(p[at:], '\r'), len(p)-at)
			return
		}
		if cr := bytes.IndexByte(p[at:at+end], '\r'); cr < 0 || cr != end-1 {
			d.fail(ErrBareControl)
			return
		}
		at += end + 1
		d.state = lineStart
	}
	d.put(p[run:])
}

// partOfLine sends a run whose last line, of n octets, has no end yet and its
// first CR at cr. A CR at the end of it waits for its LF.
func (d *DotWriter) partOfLine(run []byte, cr, n int) {
	switch cr {
	case -1:
		d.state = inLine
		d.put(run)
	case n - 1:
		d.state = afterCR
		d.put(run[:len(run)-1])
	default:
		d.fail(ErrBareControl)
	}
}

// Close ends the message: with a line end, if it has none, and the final dot.
// It must not be called after a failure to read the message, which has to close
// the connection instead.
func (d *DotWriter) Close() error {
	switch d.state {
	case inLine:
		d.put(crlf)
	case afterCR:
		d.fail(ErrBareControl)
	}
	d.put(final)
	return d.err
}

// put sends p, unless something has gone wrong before.
func (d *DotWriter) put(p []byte) {
	if d.err == nil && len(p) > 0 {
		_, d.err = d.w.Write(p)
	}
}

func (d *DotWriter) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

var (
	dot   = []byte(".")
	crlf  = []byte("\r\n")
	final = []byte(".\r\n")
)
