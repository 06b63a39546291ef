// Package wire reads and writes the text that SMTP and POP3 put on a
// connection: CRLF lines and dot-stuffed bodies. It knows no command of either.
package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// What can be wrong with a line. The reader has consumed the line in each case,
// so that a session may answer and go on.
var (
	// ErrLineTooLong means that a line is longer than the reader's limit.
	ErrLineTooLong = errors.New("line too long")
	// ErrBareControl means that a line holds a CR, LF or NUL that isn't part of
	// its CRLF.
	ErrBareControl = errors.New("bare CR, LF or NUL in a line")
)

// ReadLine reads one line that ends with CRLF and returns it without its
// ending. A lone LF does not end a line (RFC 5321 2.3.8). The line is at most
// limit octets long, CRLF not counted; of a longer one no more than that is held
// in memory, besides r's buffer. The slice is valid until the next read.
//
// At the end of the input it fails with io.EOF, inside a line with
// io.ErrUnexpectedEOF.
func ReadLine(r *bufio.Reader, limit int) ([]byte, error) {
	piece, err := r.ReadSlice('\n')
	if err == nil && endsLine(piece, 0) {
		return checkLine(piece[:len(piece)-2], limit)
	}
	return readLong(r, piece, err, limit)
}

// readLong goes on with a line whose first piece didn't hold its end: the line
// is longer than the buffer, or has an LF in it.
func readLong(r *bufio.Reader, piece []byte, err error, limit int) ([]byte, error) {
	var line []byte
	var last byte // of the pieces before
	began, tooLong := false, false
	for {
		began = began || len(piece) > 0
		if tooLong = tooLong || len(line)+len(piece) > limit+2; tooLong {
			line = nil
		} else {
			line = append(line, piece...)
		}
		switch {
		case err == nil && endsLine(piece, last) && tooLong:
			return nil, ErrLineTooLong
		case err == nil && endsLine(piece, last):
			return checkLine(line[:len(line)-2], limit)
		case errors.Is(err, io.EOF) && began:
			return nil, io.ErrUnexpectedEOF
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
		last = piece[len(piece)-1]
		piece, err = r.ReadSlice('\n')
	}
}

// endsLine reports whether piece, which ends with LF, ends with CRLF. before is
// the octet in front of it.
func endsLine(piece []byte, before byte) bool {
	if n := len(piece); n > 1 {
		before = piece[n-2]
	}
	return before == '\r'
}

func checkLine(line []byte, limit int) ([]byte, error) {
	switch {
	case len(line) > limit:
		return nil, ErrLineTooLong
	case bytes.IndexByte(line, '\r') >= 0 || bytes.IndexByte(line, '\n') >= 0 || bytes.IndexByte(line, 0) >= 0:
		return nil, ErrBareControl
	}
	return line, nil
}
