package delivery

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"postroom/delivery/dkim"
	"postroom/store"
)

// What is remembered of messages that were signed.
const (
	sealAge   = 5 * time.Minute // how long signatures are used again, for other destinations
	maxSeals  = 2000
	maxHashes = 20_000
	maxParsed = 10_000
	// maxContent is how large a message is read once, to be signed and to be sent.
	// Others are read twice: what is in front of them depends on their last octet.
	maxContent = 64 << 10
)

// A sealed message is how one goes out: with what signatures in front.
type sealed struct {
	fields  string
	words   string // for the trace; empty if it isn't ours to sign
	content []byte // the message itself, if it has been read whole
}

// A signer signs what our own users, devices and reports send. A message to many
// destinations is hashed and signed once. It can't fail: what can't be signed goes
// out as it is, and the log and the trace say why.
type signer struct {
	d *Dispatcher

	mu     sync.Mutex
	seals  recent[sealKey, *seal]
	hashes recent[store.MessageID, [32]byte] // of bodies: each retry signs afresh
	parsed recent[int64, dkim.Key]           // by store.DKIMKey.ID
}

// A sealKey names the signatures of one round of attempts.
type sealKey struct {
	message  store.MessageID
	attempts int
}

// A seal is what somebody is making, or has made.
type seal struct {
	ready chan struct{} // closed: the rest is filled in
	at    time.Time
	sealed
	undone bool // whoever was at it was stopped
}

func newSigner(d *Dispatcher) *signer {
	return &signer{
		d:      d,
		seals:  recent[sealKey, *seal]{max: maxSeals},
		hashes: recent[store.MessageID, [32]byte]{max: maxHashes},
		parsed: recent[int64, dkim.Key]{max: maxParsed},
	}
}

// isOurs reports whether we answer for an item's content. What strangers have us
// send on goes as it came.
func isOurs(item store.QueueItem) bool { return item.Account != 0 || item.Ours }

// seal returns an item's message as it is to be sent. If ctx ends, that may be
// unsigned: it isn't sent then.
func (s *signer) seal(ctx context.Context, item store.QueueItem) sealed {
	if s.d.Keys == nil || !isOurs(item) {
		return sealed{}
	}
	for ctx.Err() == nil {
		one, mine := s.begin(sealKey{item.Message, item.Attempts})
		if mine {
			return s.make(ctx, one, item)
		}
		select {
		case <-one.ready:
		case <-ctx.Done():
		}
		if ctx.Err() == nil && !one.undone {
			return one.sealed
		}
	}
	return sealed{}
}

// begin returns the seal of a round. It is mine to make if nobody has begun it, or
// not lately, or not to its end.
func (s *signer) begin(key sealKey) (one *seal, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.d.Now()
	if one, ok := s.seals.get(key); ok && now.Sub(one.at) < sealAge && !one.isUndone() {
		return one, false
	}
	one = &seal{ready: make(chan struct{}), at: now}
	s.seals.put(key, one)
	return one, true
}

func (s *seal) isUndone() bool {
	select {
	case <-s.ready:
		return s.undone
	default:
		return false
	}
}

// make fills in a seal for all who wait for it. The content is for the caller alone.
func (s *signer) make(ctx context.Context, one *seal, item store.QueueItem) sealed {
	one.undone = true // unless this comes to its end
	defer close(one.ready)
	fields, words, content, err := s.sign(ctx, item)
	if ctx.Err() != nil {
		return sealed{}
	}
	if err != nil {
		words = "not signed: " + reason(err)
		s.d.Log.ErrorContext(ctx, "message not signed", "message", item.Message, "err", err)
	}
	one.sealed, one.undone = sealed{fields: fields, words: words}, false
	return sealed{fields, words, content}
}

// reason is what the trace says of an error. Of our own troubles the log tells.
func reason(err error) string {
	for _, known := range []error{dkim.ErrFrom, dkim.ErrFields, dkim.ErrHeaderSize, errNoKey} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "internal error, see the log"
}

// sign reads a message and signs it, if its author is of a domain with keys.
func (s *signer) sign(ctx context.Context, item store.QueueItem) (fields, words string, content []byte, err error) {
	var from sealed
	if item.Size <= maxContent {
		if content, err = s.read(ctx, item.Message); err != nil {
			return "", "", nil, err
		}
		from.content = content
	}
	message, err := from.open(ctx, s.d.Queue, item.Message)
	if err != nil {
		return "", "", nil, err
	}
	defer message.Close()
	header, body, err := dkim.Read(message)
	if err != nil {
		return "", "", content, err
	}
	domain := header.FromDomain()
	if domain == "" {
		domain = item.Envelope.Sender.Domain
	}
	keys, err := s.keys(ctx, domain)
	if err != nil || len(keys) == 0 {
		return "", "", content, err
	}
	hash, err := s.hash(item.Message, body)
	if err != nil {
		return "", "", content, err
	}
	fields, err = header.Sign(hash, s.d.Now(), keys...)
	return fields, signedBy(keys), content, err
}

func (s *signer) read(ctx context.Context, id store.MessageID) ([]byte, error) {
	body, err := s.d.Queue.OpenMessage(ctx, id)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	content := make([]byte, body.Size)
	_, err = io.ReadFull(body, content)
	return content, err
}

// keys returns the keys that sign for a domain at the moment; none if that isn't
// ours.
func (s *signer) keys(ctx context.Context, domain string) ([]dkim.Key, error) {
	owner, all, err := s.d.Keys.SigningKeys(ctx, domain)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var keys []dkim.Key
	var broken []error
	for _, k := range store.DKIMSigners(all, s.d.Now()) {
		key, err := s.parse(owner, k)
		if err != nil {
			broken = append(broken, err)
			s.d.Log.ErrorContext(ctx, "DKIM key can't be used", "domain", owner, "selector", k.Selector, "err", err)
			continue
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.Join(append(broken, errNoKey)...)
	}
	return keys, nil
}

var errNoKey = errors.New("the domain has no key that signs")

// parse reads a key, once: preparing one takes longer than signing with it.
func (s *signer) parse(owner string, k store.DKIMKey) (dkim.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key, ok := s.parsed.get(k.ID); ok {
		return key, nil
	}
	private, err := dkim.ParseKey(k.Private)
	if err != nil {
		return dkim.Key{}, err
	}
	key := dkim.Key{Domain: owner, Selector: k.Selector, Signer: private}
	s.parsed.put(k.ID, key)
	return key, nil
}

// hash returns the hash of a message's body, which may be known.
func (s *signer) hash(id store.MessageID, body io.Reader) ([32]byte, error) {
	s.mu.Lock()
	hash, ok := s.hashes.get(id)
	s.mu.Unlock()
	if ok {
		return hash, nil
	}
	hash, err := dkim.HashBody(body)
	if err != nil {
		return hash, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hashes.put(id, hash)
	return hash, nil
}

func signedBy(keys []dkim.Key) string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.Selector
	}
	return keys[0].Domain + " " + strings.Join(names, ", ")
}

// open opens the message without what goes in front of it.
func (s sealed) open(ctx context.Context, queue Queue, id store.MessageID) (io.ReadCloser, error) {
	if s.content != nil {
		return io.NopCloser(bytes.NewReader(s.content)), nil
	}
	body, err := queue.OpenMessage(ctx, id)
	if err != nil {
		return nil, err
	}
	return body, nil
}

// prefixed puts fields in front of a message.
func prefixed(fields string, message io.ReadCloser) io.ReadCloser {
	if fields == "" {
		return message
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(strings.NewReader(fields), message), message}
}

// recent holds the last max things that were put into it.
type recent[K comparable, V any] struct {
	max   int
	by    map[K]V
	order []K // oldest first
}

func (r *recent[K, V]) get(k K) (V, bool) {
	v, ok := r.by[k]
	return v, ok
}

func (r *recent[K, V]) put(k K, v V) {
	if r.by == nil {
		r.by = make(map[K]V)
	}
	if _, ok := r.by[k]; !ok {
		r.order = append(r.order, k)
	}
	r.by[k] = v
	if len(r.order) > r.max {
		delete(r.by, r.order[0])
		r.order = r.order[1:]
	}
}
