package smtpd

import (
	"bytes"
	"io"
)

// maxBodyLine is the longest line of a message, CRLF not counted.
const maxBodyLine = 1 << 20

// A dotReader finds the end of a message, which only CRLF.CRLF is, and takes
// away the dots that the client put in front (RFC 5321 4.5.2). What it passes on
// is otherwise what came, octet for octet.
type dotReader struct {
	sink io.Writer
	err  error // of sink; what follows is read and dropped

	inLine bool // false at the start of a line
	cr     bool // the last octet was a CR
	length int  // of the line so far

	bare bool // there was a CR, LF or NUL that is not part of a CRLF
	long bool // there was a line over maxBodyLine
}

var finalDot = []byte(".\r\n")

// take consumes b, or all but two octets of it, and says how much that was. It
// is done when those octets end with the final dot.
func (d *dotReader) take(b []byte) (n int, done bool) {
	run := 0 // where the octets begin that are not passed on yet
	for n < len(b) {
		if !d.inLine && b[n] == '.' {
			rest := b[n:min(n+3, len(b))]
			if bytes.HasPrefix(finalDot, rest) {
				d.pass(b[run:n])
				if len(rest) < len(finalDot) {
					return n, false // can't tell yet
				}
				return n + len(finalDot), true
			}
			d.pass(b[run:n])
			n++
			run = n
		}
		n += d.segment(b[n:])
	}
	d.pass(b[run:n])
	return n, false
}

func (d *dotReader) pass(b []byte) {
	if len(b) > 0 && d.err == nil {
		_, d.err = d.sink.Write(b)
	}
}

// segment looks at b up to the first LF, or at all of it, and returns how much
// that was.
func (d *dotReader) segment(b []byte) int {
	end := bytes.IndexByte(b, '\n')
	text := b
	if end >= 0 {
		text = b[:end]
	}
	cr := bytes.IndexByte(text, '\r')
	if d.cr && len(text) > 0 || cr >= 0 && cr < len(text)-1 || bytes.IndexByte(text, 0) >= 0 {
		d.bare = true
	}
	endsCR := len(text) == 0 && d.cr || len(text) > 0 && text[len(text)-1] == '\r'
	if d.length += len(text); d.length > maxBodyLine+1 {
		d.long = true
	}
	if end < 0 {
		d.cr, d.inLine = endsCR, true
		return len(b)
	}
	d.bare = d.bare || !endsCR
	d.cr, d.inLine = false, !endsCR
	if endsCR {
		d.length = 0
	}
	return end + 1
}
