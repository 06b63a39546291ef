package smtpd

import (
	"sync"
	"sync/atomic"
)

// maxSpoolMemory bounds the memory of all messages that are being received,
// those aside that take next to none: beyond it the rest of a message goes to
// its file earlier.
const maxSpoolMemory = 64 << 20

// spoolClasses are the sizes that a spool's memory grows through.
var spoolClasses = [...]int{16 << 10, 64 << 10, spoolMemory}

// buffers are the memory that sessions hand to each other.
type buffers struct {
	inputs sync.Pool // of *[largeBuffer]byte
	spools [len(spoolClasses)]sync.Pool
	held   atomic.Int64 // octets of the largest class that are in use
}

func (b *buffers) large() *[largeBuffer]byte {
	if buffer, ok := b.inputs.Get().(*[largeBuffer]byte); ok {
		return buffer
	}
	return new([largeBuffer]byte)
}

// spool returns an empty buffer of a class.
func (b *buffers) spool(class int) []byte {
	if class == len(spoolClasses)-1 {
		b.held.Add(spoolMemory)
	}
	if buffer, ok := b.spools[class].Get().(*[]byte); ok {
		return (*buffer)[:0]
	}
	return make([]byte, 0, spoolClasses[class])
}

func (b *buffers) putSpool(class int, buffer []byte) {
	if class == len(spoolClasses)-1 {
		b.held.Add(-spoolMemory)
	}
	buffer = buffer[:0]
	b.spools[class].Put(&buffer)
}

// scarce reports whether buffers of the largest class should be left to those
// who can't do without.
func (b *buffers) scarce() bool { return b.held.Load() >= maxSpoolMemory }
