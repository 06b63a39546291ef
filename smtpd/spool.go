package smtpd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// spoolMemory is how much of a message is kept in memory; the rest goes to a
// file. A header must fit into it.
const spoolMemory = 256 << 10

// A spool keeps a message between the client's final dot and the commit: its
// beginning in memory, the rest in a file that has no name, so that a crash
// leaves nothing behind.
type spool struct {
	dir    string
	limit  int64 // octets that are kept; beyond it they are counted only
	memory *buffers
	head   []byte
	class  int // of head's buffer
	file   *os.File
	size   int64 // of everything written, kept or not
	err    error
}

func newSpool(dir string, limit int64, memory *buffers) *spool {
	return &spool{dir: dir, limit: limit, memory: memory, head: memory.spool(0)}
}

// tooLarge reports whether more was written than the limit allows.
func (sp *spool) tooLarge() bool { return sp.size > sp.limit }

// Write keeps b. After a failure, and over the limit, it only counts: the
// client is read to its final dot in any case. It never fails; see err.
func (sp *spool) Write(b []byte) (int, error) {
	sp.size += int64(len(b))
	if sp.err != nil || sp.tooLarge() {
		return len(b), nil
	}
	rest := sp.writeHead(b)
	if len(rest) > 0 {
		sp.err = sp.writeFile(rest)
	}
	return len(b), nil
}

// writeHead fills the memory and returns what didn't fit.
func (sp *spool) writeHead(b []byte) (rest []byte) {
	for len(sp.head)+len(b) > cap(sp.head) && sp.mayGrow() {
		larger := append(sp.memory.spool(sp.class+1), sp.head...)
		sp.memory.putSpool(sp.class, sp.head)
		sp.head = larger
		sp.class++
	}
	n := min(len(b), cap(sp.head)-len(sp.head))
	sp.head = append(sp.head, b[:n]...)
	return b[n:]
}

// mayGrow reports whether there is a larger buffer for the beginning, and memory
// for it unless the header has not ended.
func (sp *spool) mayGrow() bool {
	if sp.class == len(spoolClasses)-1 || sp.file != nil {
		return false
	}
	return sp.class < len(spoolClasses)-2 || !sp.memory.scarce() || !bytes.Contains(sp.head, []byte("\r\n\r\n"))
}

func (sp *spool) writeFile(b []byte) error {
	if sp.file == nil {
		f, err := os.CreateTemp(sp.dir, "spool-*")
		if err != nil {
			return fmt.Errorf("spool a message: %w", err)
		}
		sp.file = f
		if err := os.Remove(f.Name()); err != nil {
			return fmt.Errorf("spool a message: %w", err)
		}
	}
	if _, err := sp.file.Write(b); err != nil {
		return fmt.Errorf("spool a message: %w", err)
	}
	return nil
}

// close gives everything back. What reader has returned must not be used after.
func (sp *spool) close() {
	if sp.head == nil {
		return
	}
	sp.memory.putSpool(sp.class, sp.head)
	sp.head = nil
	if sp.file != nil {
		sp.file.Close()
	}
}

// A span is a part of the spool's memory, by its first octet and the one after
// its last.
type span struct{ from, to int }

// reader returns front, then the message without the parts in cut, which are in
// order and all in memory. It is another reader each time.
func (sp *spool) reader(front []byte, cut []span) io.Reader {
	r := &spoolReader{sp: sp, parts: make([][]byte, 0, len(cut)+2)}
	r.add(front)
	at := 0
	for _, s := range cut {
		r.add(sp.head[at:s.from])
		at = s.to
	}
	r.add(sp.head[at:])
	return r
}

type spoolReader struct {
	sp    *spool
	parts [][]byte
	off   int64 // in the file
}

func (r *spoolReader) add(b []byte) {
	if len(b) > 0 {
		r.parts = append(r.parts, b)
	}
}

func (r *spoolReader) Read(p []byte) (n int, err error) {
	for len(r.parts) > 0 && n < len(p) {
		c := copy(p[n:], r.parts[0])
		n += c
		if r.parts[0] = r.parts[0][c:]; len(r.parts[0]) == 0 {
			r.parts = r.parts[1:]
		}
	}
	if n > 0 || len(p) == 0 {
		return n, nil
	}
	if r.sp.file == nil {
		return 0, io.EOF
	}
	n, err = r.sp.file.ReadAt(p, r.off)
	r.off += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}
