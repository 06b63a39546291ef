package dkim

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"sync"
)

// verifyBody hashes the body in each form that is needed, in one pass, and ends the
// signatures of another body.
func (v *Verifier) verifyBody(m Message, list []*signature) error {
	hashers := make(map[form]*bodyHasher, 1)
	for _, s := range list {
		if s.Result == "" && hashers[s.form()] == nil {
			hashers[s.form()] = newBodyHasher(s.form())
		}
	}
	if len(hashers) == 0 {
		return nil
	}
	if err := readBody(m, hashers); err != nil {
		return err
	}
	for _, h := range hashers {
		h.finish()
	}
	for _, s := range list {
		if s.Result != "" {
			continue
		}
		h := hashers[s.form()]
		s.onlyPartial = s.length >= 0 && h.size > s.length
		if s.length > h.size || !bytes.Equal(h.sum, s.bodyHash) {
			s.end(Fail, "the body is not as it was")
		}
	}
	return nil
}

// A form is how a body is hashed.
type form struct {
	relaxed bool
	length  int64 // of the part that counts; -1: all
}

func (s *signature) form() form { return form{s.body, s.length} }

var pieces = sync.Pool{New: func() any { b := make([]byte, 16<<10); return &b }}

// readBody reads what follows the header and the empty line.
func readBody(m Message, hashers map[form]*bodyHasher) error {
	p := pieces.Get().(*[]byte)
	defer pieces.Put(p)
	r := m.Open()
	skip := int64(len(m.Header))
	start := true // an empty line may be next
	var kept []byte
	for {
		n, err := r.Read(*p)
		piece := (*p)[:n]
		if skip > 0 {
			cut := min(int64(n), skip)
			skip, piece = skip-cut, piece[cut:]
		}
		if start && skip == 0 && (len(piece) > 0 || err != nil) {
			kept = append(kept, piece...)
			if piece = nil; len(kept) >= 2 || err != nil {
				start, piece = false, bytes.TrimPrefix(kept, []byte("\r\n"))
			}
		}
		for _, h := range hashers {
			h.write(piece)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// A bodyHasher hashes a body in one form (RFC 6376 sections 3.4.3 and 3.4.4). What
// it is given has CRLF at the ends of its lines.
type bodyHasher struct {
	form
	hash  hash.Hash
	out   []byte // hashed when there is some of it
	size  int64  // of what was to be hashed, also what doesn't count
	blank bool   // white space was read that isn't written yet
	ends  int64  // line ends that were read and aren't written yet
	cr    bool   // the last octet was a CR
	sum   []byte
}

func newBodyHasher(f form) *bodyHasher {
	return &bodyHasher{form: f, hash: sha256.New(), out: make([]byte, 0, 1024)}
}

// write takes the next piece of the body. Each octet is looked at a few times at
// most, whatever the body is made of.
func (h *bodyHasher) write(b []byte) {
	whole := true // lines may follow that stay as they are
	for len(b) > 0 {
		if whole && !h.cr {
			whole = false
			if n := h.lines(b); n > 0 {
				h.text(b[:n-2])
				h.ends, b = 1, b[n:]
				continue
			}
		}
		if h.cr {
			h.cr = false
			if b[0] == '\n' {
				h.ends, h.blank = h.ends+1, false
				b, whole = b[1:], true
				continue
			}
			h.text([]byte{'\r'})
		}
		n := h.plain(b)
		if n > 0 {
			h.text(b[:n])
			b = b[n:]
			continue
		}
		switch {
		case b[0] == '\r':
			h.cr = true
		default: // white space of a relaxed body
			h.blank = true
		}
		b = b[1:]
	}
}

// lines returns how many octets at the front of b are whole lines, none of them
// empty, that stay as they are: nearly all there is in most mail.
func (h *bodyHasher) lines(b []byte) (n int) {
	for {
		end := bytes.IndexByte(b[n:], '\r')
		if end <= 0 || n+end+1 >= len(b) || b[n+end+1] != '\n' {
			return n
		}
		line := b[n : n+end]
		if h.relaxed && (line[0] == ' ' || line[end-1] == ' ' || bytes.IndexByte(line, '\t') >= 0 || bytes.Contains(line, []byte("  "))) {
			return n
		}
		n += end + 2
	}
}

// plain returns how many octets at the front of b stay as they are: up to a line's
// end, or to white space that isn't a single blank between others.
func (h *bodyHasher) plain(b []byte) int {
	if !h.relaxed {
		if end := bytes.IndexByte(b, '\r'); end >= 0 {
			return end
		}
		return len(b)
	}
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case ' ':
			if i > 0 && i+1 < len(b) && !isSpace(b[i+1]) {
				continue
			}
			return i
		case '\t', '\r':
			return i
		}
	}
	return len(b)
}

// text writes octets that aren't white space at a line's end, after what has waited
// for it.
func (h *bodyHasher) text(b []byte) {
	h.flushEnds()
	if h.blank {
		h.emit([]byte{' '})
		h.blank = false
	}
	h.emit(b)
}

func (h *bodyHasher) flushEnds() {
	for ; h.ends > 0; h.ends-- {
		h.emit([]byte("\r\n"))
	}
}

// emit hashes what counts.
func (h *bodyHasher) emit(b []byte) {
	counts := int64(len(b))
	if h.length >= 0 {
		counts = min(counts, max(0, h.length-h.size))
	}
	h.size += int64(len(b))
	b = b[:counts]
	if len(h.out)+len(b) > cap(h.out) {
		h.hash.Write(h.out)
		h.out = h.out[:0]
	}
	if len(b) > cap(h.out) {
		h.hash.Write(b)
		return
	}
	h.out = append(h.out, b...)
}

// finish ends the body: with one line end, or, relaxed and empty, with none.
func (h *bodyHasher) finish() {
	if h.cr {
		h.cr = false
		h.text([]byte{'\r'})
	}
	if h.size > 0 || !h.relaxed {
		h.emit([]byte("\r\n"))
	}
	h.hash.Write(h.out)
	h.sum = h.hash.Sum(nil)
}
