// Package dkim verifies the signatures of messages (RFC 6376, with the algorithms
// of RFC 8301 and RFC 8463). It reads a body once, however many signatures there
// are, and canonicalizes without copies: it is asked for every message that comes.
package dkim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// A Result is what becomes of a signature, as Authentication-Results names it (RFC
// 8601 section 2.7.1).
type Result string

// The results.
const (
	Pass      Result = "pass"
	Fail      Result = "fail"
	Policy    Result = "policy"    // it verifies, but we don't accept what it covers
	TempError Result = "temperror" // the key can't be had at the moment
	PermError Result = "permerror" // the signature or its key can't be understood
)

// A Verification is what became of one signature. Domain, Selector, Algorithm and
// Start are well-formed, or empty.
type Verification struct {
	Result    Result
	Reason    string // what is wrong, in our words
	Domain    string // in lower case
	Selector  string
	Algorithm string
	Start     string // the first octets of the signature, which tell it from others (RFC 6008)
}

// A Resolver looks up keys. A name that doesn't exist is a *net.DNSError with
// IsNotFound; any other error is taken for a temporary one.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// A Verifier verifies signatures, and remembers the keys that it has parsed. It may
// be used by many goroutines at once.
type Verifier struct {
	DNS Resolver
	Max int              // signatures of a message to look at, the first ones; zero: 5
	Now func() time.Time // nil: time.Now

	mu   sync.Mutex
	keys map[string]parsedKey // by their records
}

const (
	defaultMax = 5
	maxKeys    = 1000 // remembered
)

// A Message is what may be signed: its header, every line with CRLF and without the
// empty line, and the whole of it.
type Message struct {
	Header  []byte
	Open    func() io.Reader                 // header and all
	Explain func(format string, args ...any) // is told each step; nil: nobody
}

// Verify verifies the signatures of a message, in their order. An error means that
// the message couldn't be read.
func (v *Verifier) Verify(ctx context.Context, m Message) ([]Verification, error) {
	found := signatures(m.Header, v.max())
	if len(found) == 0 {
		return nil, nil
	}
	if m.Explain == nil {
		m.Explain = func(string, ...any) {}
	}
	v.fetch(ctx, found, m.Explain)
	if err := v.verifyBody(m, found); err != nil {
		return nil, fmt.Errorf("read a message to verify it: %w", err)
	}
	fields := splitHeader(m.Header)
	list := make([]Verification, len(found))
	for i, s := range found {
		if s.Result == "" {
			s.verifyHeader(fields)
		}
		list[i] = s.Verification
		m.Explain("DKIM: signature %d (d=%s s=%s a=%s): %s %s", i+1, s.Domain, s.Selector, s.Algorithm, s.Result, s.Reason)
	}
	return list, nil
}

func (v *Verifier) max() int {
	if v.Max == 0 {
		return defaultMax
	}
	return v.Max
}

func (v *Verifier) now() time.Time {
	if v.Now == nil {
		return time.Now()
	}
	return v.Now()
}

// signatures reads the first signatures in a header.
func signatures(header []byte, most int) (found []*signature) {
	for f := range allFields(header) {
		if len(found) == most {
			break
		}
		if isSignature(f.name) {
			found = append(found, parseSignature(f.raw, f.value))
		}
	}
	return found
}

// fetch finds the keys of all signatures at once.
func (v *Verifier) fetch(ctx context.Context, list []*signature, explain func(string, ...any)) {
	var asking sync.WaitGroup
	for i, s := range list {
		switch {
		case s.Result != "":
		case s.expired(v.now()):
			s.end(PermError, "the signature has expired")
		case i == len(list)-1:
			v.fetchKey(ctx, s, explain) // the only one mostly
		default:
			asking.Go(func() { v.fetchKey(ctx, s, explain) })
		}
	}
	asking.Wait()
}

func (v *Verifier) fetchKey(ctx context.Context, s *signature, explain func(string, ...any)) {
	name := s.Selector + "._domainkey." + s.Domain
	records, err := v.DNS.LookupTXT(ctx, name)
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
		s.end(PermError, "there is no key "+name)
		return
	} else if err != nil {
		s.end(TempError, "the key "+name+" can't be looked up")
		explain("DKIM: %s: %v", name, err)
		return
	}
	record, n := "", 0
	for _, r := range records {
		if strings.Contains(r, "p=") || strings.Contains(r, "p =") { // others are about something else
			record, n = r, n+1
		}
	}
	switch n {
	case 0:
		s.end(PermError, "there is no key "+name)
	case 1:
		explain("DKIM: %s: %s", name, record)
		s.setKey(v.key(record))
	default:
		s.end(PermError, "there is more than one key "+name)
	}
}

// key parses a key's record, once.
func (v *Verifier) key(record string) parsedKey {
	v.mu.Lock()
	defer v.mu.Unlock()
	k, ok := v.keys[record]
	if ok {
		return k
	}
	k = parseKey(record)
	if len(v.keys) >= maxKeys || v.keys == nil {
		v.keys = make(map[string]parsedKey)
	}
	if len(record) <= maxRecord {
		v.keys[record] = k
	}
	return k
}

// maxRecord is the largest record of a key that is looked at: four times what an
// RSA key of 4096 bits needs.
const maxRecord = 4096
