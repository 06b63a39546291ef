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
// limit octets long, CRLF not counted; of a longer one no more than r's buffer
// is held in memory. The slice is valid until the next read.
func ReadLine(r *bufio.Reader, limit int) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err == nil && isWhole(line) {
		return checkLine(line[:len(line)-2], limit)
	}
	return readLong(r, line, err, limit)
}

// readLong goes on with a line whose first piece didn't hold its end.
func readLong(r *bufio.Reader, piece []byte, err error, limit int) ([]byte, error) {
	var line []byte
	tooLong := false
	var last, before byte
	for {
		if n := len(piece); n > 1 {
			before, last = piece[n-2], piece[n-1]
		} else if n == 1 {
			before, last = last, piece[0]
		}
		if tooLong = tooLong || len(line)+len(piece) > limit+2; !tooLong {
			line = append(line, piece...)
		}
		switch {
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			if errors.Is(err, io.EOF) && len(line) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		case err == nil && before == '\r' && last == '\n':
			if tooLong {
				return nil, ErrLineTooLong
			}
			return checkLine(line[:len(line)-2], limit)
		}
		piece, err = r.ReadSlice('\n')
	}
}

func isWhole(line []byte) bool {
	return len(line) >= 2 && line[len(line)-2] == '\r'
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
