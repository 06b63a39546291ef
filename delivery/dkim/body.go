package dkim

import (
	"crypto/sha256"
	"hash"
	"io"
)

// HashBody returns the SHA-256 of a body in its relaxed canonical form (RFC 6376
// section 3.4.4). It needs the same little memory for any body.
func HashBody(r io.Reader) ([sha256.Size]byte, error) {
	b := newBodyHash()
	if _, err := io.Copy(b, r); err != nil {
		return [sha256.Size]byte{}, err
	}
	return b.sum(), nil
}

// A bodyHash takes a body and hashes its canonical form. What may turn out to be
// the end of a line, or of the body, is only counted.
type bodyHash struct {
	hash  hash.Hash
	out   []byte // not yet in hash
	cr    bool   // the last octet was CR
	space bool   // white space came before what comes next
	lines int64  // line ends that did so
	began bool   // some line isn't empty
}

// hashBlock is how much is hashed at a time.
const hashBlock = 4 << 10

func newBodyHash() *bodyHash {
	return &bodyHash{hash: sha256.New(), out: make([]byte, 0, hashBlock)}
}

// Write never fails.
func (b *bodyHash) Write(p []byte) (int, error) {
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case b.cr && c == '\n':
			b.cr, b.space = false, false
			b.lines++
		case c == '\r':
			b.bareCR()
			b.cr = true
		case c == ' ' || c == '\t':
			b.bareCR()
			b.space = true
		default:
			b.bareCR()
			b.flow()
			i += b.word(p[i:]) - 1
		}
	}
	return len(p), nil
}

// bareCR: what isn't followed by LF is an octet as any other.
func (b *bodyHash) bareCR() {
	if b.cr {
		b.cr = false
		b.flow()
		b.put('\r')
	}
}

// flow writes what came before an octet that counts.
func (b *bodyHash) flow() {
	for ; b.lines > 0; b.lines-- {
		b.put('\r')
		b.put('\n')
	}
	if b.space {
		b.space = false
		b.put(' ')
	}
	b.began = true
}

func (b *bodyHash) put(c byte) {
	if b.out = append(b.out, c); len(b.out) >= hashBlock-1 {
		b.flush()
	}
}

func (b *bodyHash) flush() {
	b.hash.Write(b.out)
	b.out = b.out[:0]
}

// word writes the octets that p begins with up to the next white space or line
// end, at least one, and returns how many there are.
func (b *bodyHash) word(p []byte) int {
	n := 1
	for n < len(p) && n < hashBlock && p[n] != ' ' && p[n] != '\r' && p[n] != '\t' {
		n++
	}
	if len(b.out)+n > hashBlock {
		b.flush()
	}
	b.out = append(b.out, p[:n]...)
	return n
}

// sum ends the body: with one line end, unless it is empty.
func (b *bodyHash) sum() [sha256.Size]byte {
	b.bareCR()
	if b.began {
		b.put('\r')
		b.put('\n')
	}
	b.flush()
	return [sha256.Size]byte(b.hash.Sum(nil))
}
