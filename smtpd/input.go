package smtpd

import (
	"bytes"
	"errors"
)

// Sizes of the buffers that a connection reads into. An idle session has the
// small one alone, so that thousands of them cost little.
const (
	smallBuffer = 4 << 10
	largeBuffer = 32 << 10

	// maxLine is the longest command line we read, CRLF not counted. RFC 5321
	// 4.5.3.1.4 asks for 512 and what extensions add; ORCPT, ENVID and a SASL
	// response add up to about 2,000.
	maxLine = smallBuffer - 2
)

var (
	errLineTooLong = errors.New("command line too long")
	errBareControl = errors.New("bare CR, LF or NUL in a command line")
)

// An input is what a client has sent and we have not read yet.
type input struct {
	buf   []byte
	r, w  int
	seen  int  // octets after r that hold no line end
	long  bool // the line at r has lost its beginning
	large *[largeBuffer]byte
	small [smallBuffer]byte
}

func (in *input) pending() []byte { return in.buf[in.r:in.w] }

// discard forgets everything that was read ahead.
func (in *input) discard() { in.r, in.w, in.seen, in.long = 0, 0, 0, false }

// line takes one line off the front, without its CRLF. A lone LF ends no line
// (RFC 5321 2.3.8). It returns ok false if the line's end is still to come.
// Its error is errLineTooLong or errBareControl; the line is consumed then too.
// The slice is valid until more is read.
func (in *input) line() (line []byte, ok bool, err error) {
	for {
		from := in.r + in.seen
		i := bytes.IndexByte(in.buf[from:in.w], '\n')
		if i < 0 {
			in.seen = in.w - in.r
			in.dropOverlong()
			return nil, false, nil
		}
		end := from + i
		if in.seen += i + 1; end > in.r && in.buf[end-1] == '\r' {
			line, long := in.buf[in.r:end-1], in.long
			in.r, in.seen, in.long = end+1, 0, false
			return line, true, checkLine(line, long)
		}
	}
}

func checkLine(line []byte, long bool) error {
	switch {
	case long || len(line) > maxLine:
		return errLineTooLong
	case bytes.IndexByte(line, '\r') >= 0 || bytes.IndexByte(line, '\n') >= 0 || bytes.IndexByte(line, 0) >= 0:
		return errBareControl
	}
	return nil
}

// dropOverlong makes room in a full buffer that holds no line end. It keeps the
// last octet, which may be the CR of one.
func (in *input) dropOverlong() {
	if in.w-in.r < len(in.buf) {
		return
	}
	in.buf[0] = in.buf[in.w-1]
	in.r, in.w, in.seen, in.long = 0, 1, 1, true
}

// space returns where more can be read to, at least one octet.
func (in *input) space() []byte {
	switch {
	case in.r == in.w:
		in.r, in.w = 0, 0
	case in.r > 0 && in.w == len(in.buf):
		in.w = copy(in.buf, in.pending())
		in.r = 0
	}
	return in.buf[in.w:]
}

// grow changes to a large buffer, for the time of a message. shrink takes it back.
func (in *input) grow(from *buffers) {
	if in.large != nil {
		return
	}
	in.large = from.large()
	in.w = copy(in.large[:], in.pending())
	in.r, in.buf = 0, in.large[:]
}

// shrink changes back to the small buffer once what is pending fits.
func (in *input) shrink(to *buffers) {
	if in.large == nil || in.w-in.r > smallBuffer/2 {
		return
	}
	in.w = copy(in.small[:], in.pending())
	in.r, in.buf = 0, in.small[:]
	to.inputs.Put(in.large)
	in.large = nil
}
