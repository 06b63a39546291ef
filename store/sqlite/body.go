package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"

	"postroom/store"
)

// chunkSize is how many octets a row of a body holds. A reader has one chunk in
// memory, and a message up to this size is committed as it is.
const chunkSize = 256 << 10

// stageSize is how much of a large body is written at a time, before the change
// that commits the message.
const stageSize = 4 * chunkSize

// A stagedBody is a body on its way into the database: either small, and still
// in memory, or large, and already in chunks that nothing refers to yet.
type stagedBody struct {
	s      *Store
	first  int64
	chunks int64
	small  []byte // nil if the chunks are written
}

// stage reads a body of size octets. A large one is written here, so that the
// change that commits the message stays small.
func (s *Store) stage(ctx context.Context, r io.Reader, size int64) (*stagedBody, error) {
	b := &stagedBody{s: s, chunks: max(1, (size+chunkSize-1)/chunkSize)}
	b.first = s.nextChunk.Add(b.chunks) - b.chunks + 1
	if size <= chunkSize {
		b.small = make([]byte, size)
		if err := readBody(r, b.small, true); err != nil {
			return nil, err
		}
		return b, nil
	}
	if err := b.write(ctx, r, size); err != nil {
		b.abandon()
		return nil, err
	}
	return b, nil
}

// write puts a large body into chunks, listed in staging until it is committed.
func (b *stagedBody) write(ctx context.Context, r io.Reader, size int64) error {
	err := b.s.write(ctx, 0, func(tx *tx) error {
		_, err := tx.exec(`INSERT INTO staging (first_chunk, chunks) VALUES (?, ?)`, b.first, b.chunks)
		return err
	})
	if err != nil {
		return fmt.Errorf("stage body: %w", err)
	}
	buf := make([]byte, min(size, stageSize))
	for at := int64(0); at < size; at += int64(len(buf)) {
		buf = buf[:min(size-at, stageSize)]
		if err := readBody(r, buf, at+int64(len(buf)) == size); err != nil {
			return err
		}
		if err := b.writePart(ctx, b.first+at/chunkSize, buf); err != nil {
			return err
		}
	}
	return nil
}

func (b *stagedBody) writePart(ctx context.Context, chunk int64, part []byte) error {
	err := b.s.write(ctx, int64(len(part)), func(tx *tx) error {
		for id, at := chunk, 0; at < len(part); id, at = id+1, at+chunkSize {
			if err := insertChunk(tx, id, part[at:min(at+chunkSize, len(part))]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("stage body: %w", err)
	}
	return nil
}

// readBody fills part from r, and makes sure that r has no more if this is the
// last part.
func readBody(r io.Reader, part []byte, last bool) error {
	if _, err := io.ReadFull(r, part); err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	if !last {
		return nil
	}
	var more [1]byte
	if n, err := io.ReadFull(r, more[:]); n > 0 || !errors.Is(err, io.EOF) {
		return fmt.Errorf("read body: it has more octets than its size says (%w)", err)
	}
	return nil
}

// unwritten returns how many octets commit will write.
func (b *stagedBody) unwritten() int64 { return int64(len(b.small)) }

// commit makes the body part of the message that the change inserts.
func (b *stagedBody) commit(tx *tx) error {
	if b.small != nil {
		return insertChunk(tx, b.first, b.small)
	}
	if _, err := tx.exec(`DELETE FROM staging WHERE first_chunk = ?`, b.first); err != nil {
		return fmt.Errorf("unlist staged body: %w", err)
	}
	return nil
}

// abandon gives up a body whose message was not accepted. The reaper removes
// what was written of it.
func (b *stagedBody) abandon() {
	if b.small == nil {
		b.s.staged.abandon(b.first)
		b.s.reapSoon()
	}
}

func insertChunk(tx *tx, id int64, data []byte) error {
	if _, err := tx.exec(`INSERT INTO chunk (id, data) VALUES (?, ?)`, id, data); err != nil {
		return fmt.Errorf("insert chunk: %w", err)
	}
	return nil
}

// OpenMessage opens a message as it is kept, for sending. The caller closes it.
// It fails with store.ErrNotFound if there is no such message.
func (s *Store) OpenMessage(ctx context.Context, id store.MessageID) (*store.Body, error) {
	if b := s.recent.open(id); b != nil {
		return b, nil
	}
	b := &body{s: s}
	var size int64
	err := s.queryRow(`
		SELECT m.size, m.first_chunk, m.chunks, c.data
		FROM message m JOIN chunk c ON c.id = m.first_chunk
		WHERE m.id = ?`, id).Scan(&size, &b.next, &b.left, &b.loaded)
	if err != nil {
		return nil, fmt.Errorf("open message %v: %w", id, noRows(err, store.ErrNotFound))
	}
	return b.opened(size), nil
}

// OpenEntry opens a message as its maildrop shows it, Return-Path and
// Delivered-To in front. The caller closes it. It fails with store.ErrNotFound
// if the maildrop doesn't hold the message.
func (s *Store) OpenEntry(ctx context.Context, account store.AccountID, id store.MessageID) (*store.Body, error) {
	b := &body{s: s}
	var size int64
	var sender, recipient string
	err := s.queryRow(`
		SELECT e.size, m.sender, e.recipient, m.first_chunk, m.chunks, c.data
		FROM entry e JOIN message m ON m.id = e.message JOIN chunk c ON c.id = m.first_chunk
		WHERE e.account = ? AND e.message = ?`, account, id).Scan(&size, &sender, &recipient, &b.next, &b.left, &b.loaded)
	if err != nil {
		return nil, fmt.Errorf("open entry %v of account %d: %w", id, account, noRows(err, store.ErrNotFound))
	}
	b.prefix = retrievalPrefix(sender, recipient)
	return b.opened(size), nil
}

// retrievalPrefix returns the two fields that a message gets when it is
// collected (RFC 5321 4.4). They can't be kept with the body, which is the same
// for all recipients.
func retrievalPrefix(sender, recipient string) string {
	return "Return-Path: <" + sender + ">\r\nDelivered-To: " + recipient + "\r\n"
}

// A body reads a stored message chunk by chunk.
type body struct {
	s      *Store
	prefix string
	next   int64 // the chunk to read after the loaded one
	left   int64 // how many chunks follow the loaded one
	loaded chunkData
	at     int // what of loaded has been read
	unread int64
}

// opened finishes a body whose first chunk came with the row that names it.
func (b *body) opened(size int64) *store.Body {
	b.next, b.left, b.unread = b.next+1, b.left-1, size
	return &store.Body{ReadCloser: b, Size: size}
}

// Read reads on. A body that ends before its size, or after it, is an error: to
// take it for whole would cut a message short.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.read(p)
	if b.unread -= int64(n); b.unread < 0 || errors.Is(err, io.EOF) && b.unread != 0 {
		return 0, fmt.Errorf("stored body and its size differ by %d octets", b.unread)
	}
	return n, err
}

func (b *body) read(p []byte) (int, error) {
	if b.prefix != "" {
		n := copy(p, b.prefix)
		b.prefix = b.prefix[n:]
		return n, nil
	}
	for b.at == len(b.loaded) {
		if b.left == 0 {
			return 0, io.EOF
		}
		if err := b.load(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.loaded[b.at:])
	b.at += n
	return n, nil
}

func (b *body) load() error {
	err := b.s.queryRow(`SELECT data FROM chunk WHERE id = ?`, b.next).Scan(&b.loaded)
	if err != nil {
		return fmt.Errorf("read chunk %d: %w", b.next, noRows(err, store.ErrNotFound))
	}
	b.at, b.next, b.left = 0, b.next+1, b.left-1
	return nil
}

// Close lets go of the loaded chunk.
func (b *body) Close() error {
	b.loaded, b.at, b.left, b.prefix = nil, 0, 0, ""
	return nil
}

// chunkData takes a blob as the driver gives it, which is a copy already.
type chunkData []byte

// Scan implements sql.Scanner.
func (d *chunkData) Scan(v any) error {
	b, ok := v.([]byte)
	if !ok {
		return fmt.Errorf("a chunk is %T", v)
	}
	*d = b
	return nil
}
