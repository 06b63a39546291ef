package dkim

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"math"
	"strconv"
	"strings"
	"time"
)

// A signature is a field DKIM-Signature on its way; Result is empty until something
// is found wrong with it, or the end is reached.
type signature struct {
	Verification
	raw         []byte // the whole field
	cut         [2]int // where the value of b= is in it
	tags        tags
	names       []string // of the signed fields
	identity    string   // the domain of i=, empty without
	bodyHash    []byte
	sig         []byte
	header      bool  // the header is relaxed
	body        bool  // the body is relaxed
	length      int64 // of the signed part of the body; -1: all of it
	key         parsedKey
	onlyPartial bool // the body goes on behind the signed part
}

func (s *signature) end(result Result, reason string) { s.Result, s.Reason = result, reason }

// maxNames is how many fields a signature may name.
const maxNames = 256

// parseSignature reads a field. value is where its value begins in raw.
func parseSignature(raw []byte, value int) *signature {
	s := &signature{raw: raw, length: -1}
	var ok bool
	if s.tags, ok = parseTags(string(raw[value:])); !ok {
		s.end(PermError, "the signature can't be understood")
		return s
	}
	for _, t := range s.tags {
		if t.name == "b" {
			s.cut = [2]int{value + t.at, value + t.end}
		}
	}
	for _, step := range []func() string{s.readNames, s.readAlgorithm, s.readCoverage, s.readSignature, s.readBodyHash, s.readTimes} {
		if problem := step(); problem != "" {
			s.end(PermError, problem)
		}
		if s.Result != "" {
			break
		}
	}
	return s
}

// tag returns the value of a tag without white space.
func (s *signature) tag(name string) string {
	value, _ := s.tags.get(name)
	return withoutSpace(value)
}

// readNames reads who signs.
func (s *signature) readNames() string {
	domain, selector := strings.ToLower(s.tag("d")), s.tag("s")
	if !isName(domain) || !strings.Contains(domain, ".") {
		return "the signature names no domain"
	}
	s.Domain = domain
	if !isName(selector) {
		return "the signature names no key"
	}
	s.Selector = selector
	if v := s.tag("v"); v != "1" && v != "0.5" && v != "" { // drafts of RFC 4871 are the same to us
		return "the signature is of another version"
	}
	if i := unquote(s.tag("i")); i != "" {
		s.identity = strings.ToLower(i[strings.LastIndexByte(i, '@')+1:])
		if !strings.Contains(i, "@") || s.identity != domain && !strings.HasSuffix(s.identity, "."+domain) {
			return "the signature is for an identity in another domain"
		}
	}
	return ""
}

// unquote undoes DKIM's quoted-printable (section 2.11).
func unquote(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "=")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		c, err := strconv.ParseUint(after[:min(2, len(after))], 16, 8)
		if err != nil || len(after) < 2 {
			return ""
		}
		b.WriteByte(byte(c))
		s = after[2:]
	}
}

// isName reports whether s can stand in the DNS, and in a header field.
func isName(s string) bool {
	if len(s) == 0 || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for i := range len(label) {
			if c := label[i] | 0x20; !('a' <= c && c <= 'z') && !('0' <= label[i] && label[i] <= '9') && label[i] != '-' && label[i] != '_' {
				return false
			}
		}
	}
	return true
}

func (s *signature) readAlgorithm() string {
	switch a := strings.ToLower(s.tag("a")); a {
	case "rsa-sha256", "ed25519-sha256", "rsa-sha1":
		s.Algorithm = a
	default:
		return "the signature is of an unknown algorithm"
	}
	if q := s.tag("q"); q != "" && !listed(q, "dns/txt") && !listed(q, "dns") {
		return "the key is kept in an unknown way"
	}
	return ""
}

// readCoverage reads what is signed, and in which form.
func (s *signature) readCoverage() string {
	names := strings.ToLower(s.tag("h"))
	if !listed(names, "from") {
		return "the signature doesn't cover From"
	}
	if strings.Count(names, ":") >= maxNames {
		return "the signature names too many fields"
	}
	s.names = strings.Split(names, ":")
	header, body, both := strings.Cut(s.tag("c"), "/")
	if !both {
		body = "simple"
	}
	switch strings.ToLower(header) {
	case "relaxed":
		s.header = true
	case "simple", "":
	default:
		return "the header is in an unknown form"
	}
	switch strings.ToLower(body) {
	case "relaxed":
		s.body = true
	case "simple":
	default:
		return "the body is in an unknown form"
	}
	if l := s.tag("l"); l != "" {
		n, err := strconv.ParseUint(l, 10, 63)
		if err != nil {
			return "the signed length of the body is no number"
		}
		s.length = int64(n)
	}
	return ""
}

func (s *signature) readSignature() string {
	var err error
	sig := s.tag("b")
	if s.sig, err = base64.StdEncoding.DecodeString(sig); err != nil || len(s.sig) == 0 {
		return "the signature isn't base64"
	}
	s.Start = sig[:min(8, len(sig))]
	if s.Algorithm == "rsa-sha1" {
		s.end(Fail, "signatures by rsa-sha1 are no longer believed (RFC 8301)")
	}
	return ""
}

func (s *signature) readBodyHash() string {
	var err error
	if s.bodyHash, err = base64.StdEncoding.DecodeString(s.tag("bh")); err != nil || len(s.bodyHash) == 0 {
		return "the body's hash isn't base64"
	}
	return ""
}

func (s *signature) readTimes() string {
	from, err := seconds(s.tag("t"), 0)
	until, err2 := seconds(s.tag("x"), math.MaxInt64)
	if err != nil || err2 != nil || until < from {
		return "the signature's times can't be understood"
	}
	return ""
}

func seconds(s string, without int64) (int64, error) {
	if s == "" {
		return without, nil
	}
	return strconv.ParseInt(s, 10, 64)
}

func (s *signature) expired(now time.Time) bool {
	until, err := seconds(s.tag("x"), math.MaxInt64)
	return err != nil || now.Unix() > until
}

func (s *signature) setKey(k parsedKey) {
	kind, _, _ := strings.Cut(s.Algorithm, "-")
	switch {
	case k.result != "":
		s.end(k.result, k.reason)
	case (kind == "rsa") != (k.rsa != nil):
		s.end(PermError, "the key is of another kind than the signature")
	case k.strict && s.identity != "" && s.identity != s.Domain:
		s.end(PermError, "the key isn't for subdomains")
	default:
		s.key = k
	}
}

// verifyHeader verifies the signature of a message whose body is known to be the
// signed one.
func (s *signature) verifyHeader(header fields) {
	picked := header.pick(s.names)
	h := sha256.New()
	b := make([]byte, 0, 2048)
	for _, f := range picked {
		b = appendField(b, f, s.header)
		if len(b) > 1<<16 {
			h.Write(b)
			b = b[:0]
		}
	}
	b = append(b, s.withoutValue()...)
	h.Write(b)
	switch {
	case !s.key.verify(h.Sum(nil), s.sig):
		s.end(Fail, "the signed header fields are not as they were")
	case s.onlyPartial:
		s.end(Policy, "the body goes on behind the signed part")
	default:
		s.end(Pass, "")
	}
}

// withoutValue returns the signature's own field as it is signed: without the
// signature, and without its final CRLF.
func (s *signature) withoutValue() []byte {
	own := make([]byte, 0, len(s.raw))
	own = append(append(own, s.raw[:s.cut[0]]...), s.raw[s.cut[1]:]...)
	if s.cut[1] == len(s.raw) { // b= is the last: its value has taken the CRLF along
		own = append(own, "\r\n"...)
	}
	colon := bytes.IndexByte(own, ':')
	own = appendField(make([]byte, 0, len(own)+2), field{raw: own, name: own[:colon], value: colon + 1}, s.header)
	return bytes.TrimSuffix(own, []byte("\r\n"))
}
