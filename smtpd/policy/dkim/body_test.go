package dkim

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

// White space that is nowhere as it is to be hashed, in lines of a megabyte, costs
// no more than its length: each octet was once looked at with all behind it.
func TestBodyOfBlanks(t *testing.T) {
	for _, unit := range []string{"a  ", "a \t", "a\t", "a  b\r\n", "  ", "\r\n"} {
		h := newBodyHasher(form{relaxed: true, length: -1})
		began := time.Now()
		for piece := range slices.Chunk(bytes.Repeat([]byte(unit), 4<<20/len(unit)), 16<<10) {
			h.write(piece)
		}
		h.finish()
		if d := time.Since(began); d > 3*time.Second {
			t.Errorf("4 MB of %q take %v", unit, d)
		}
	}
}

// However a body is cut into pieces, its hash is the same.
func TestBodyInPieces(t *testing.T) {
	body := []byte("one two\r\n three \t four \r\n\r\n\tfive  six\r\nseven\t\r\n\r\n \r\neight\r\n\r\n")
	for _, relaxed := range []bool{false, true} {
		whole := newBodyHasher(form{relaxed: relaxed, length: -1})
		whole.write(body)
		whole.finish()
		for cut := range body {
			for _, next := range []int{cut + 1, cut + 2, len(body)} {
				next = min(next, len(body))
				h := newBodyHasher(form{relaxed: relaxed, length: -1})
				h.write(body[:cut])
				h.write(body[cut:next])
				h.write(body[next:])
				h.finish()
				if !bytes.Equal(h.sum, whole.sum) || h.size != whole.size {
					t.Fatalf("relaxed %v: cut at %d and %d it has another hash", relaxed, cut, next)
				}
			}
		}
	}
}
