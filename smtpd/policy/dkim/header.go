package dkim

import (
	"bytes"
	"iter"
)

// A field is one of a header.
type field struct {
	raw   []byte // all of it, with its CRLF
	name  []byte // a part of raw
	value int    // where the value begins in raw
	hash  uint32 // of the name
}

// fields are a header's, in their order.
type fields []field

// allFields goes through a header.
func allFields(header []byte) iter.Seq[field] {
	return func(yield func(field) bool) {
		for at := 0; at < len(header); {
			end := at + fieldLength(header[at:])
			raw := header[at:end]
			at = end
			colon := bytes.IndexByte(raw, ':')
			if colon < 0 {
				continue
			}
			if !yield(field{raw: raw, name: bytes.TrimRight(raw[:colon], " \t"), value: colon + 1}) {
				return
			}
		}
	}
}

// fieldLength returns where the first field of b ends: with a line after which none
// begins with white space.
func fieldLength(b []byte) int {
	for i := 0; ; {
		n := bytes.IndexByte(b[i:], '\n')
		if n < 0 {
			return len(b)
		}
		i += n + 1
		if i == len(b) || b[i] != ' ' && b[i] != '\t' {
			return i
		}
	}
}

func splitHeader(header []byte) fields {
	list := make(fields, 0, 32)
	for f := range allFields(header) {
		f.hash = hashName(f.name)
		list = append(list, f)
	}
	return list
}

// hashName is FNV-1a of a name in lower case: names are compared by it first, so
// that a header of nothing but fields costs no more than its length.
func hashName[T []byte | string](name T) uint32 {
	h := uint32(2166136261)
	for i := range len(name) {
		h = (h ^ uint32(lower(name[i]))) * 16777619
	}
	return h
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// pick returns the fields that a signature covers: of each name the lowest that
// isn't taken yet (RFC 6376 section 5.4.2).
func (list fields) pick(names []string) []field {
	picked := make([]field, 0, len(names))
	from := make([]int, len(names)) // below which field to look on for a name
	for i, name := range names {
		from[i] = len(list)
		for j := range i {
			if names[j] == name {
				from[i] = from[j]
			}
		}
		h := hashName(name)
		for from[i]--; from[i] >= 0; from[i]-- {
			if f := list[from[i]]; f.hash == h && equalFold(f.name, name) {
				picked = append(picked, f)
				break
			}
		}
		from[i] = max(from[i], 0)
	}
	return picked
}

// equalFold compares with a name in lower case.
func equalFold(name []byte, folded string) bool {
	if len(name) != len(folded) {
		return false
	}
	for i := range name {
		if lower(name[i]) != folded[i] {
			return false
		}
	}
	return true
}

func isSignature(name []byte) bool { return equalFold(name, "dkim-signature") }

// appendField appends a field in the form in which it is signed (RFC 6376 sections
// 3.4.1 and 3.4.2).
func appendField(b []byte, f field, relaxed bool) []byte {
	if !relaxed {
		return append(b, f.raw...)
	}
	for _, c := range f.name {
		b = append(b, lower(c))
	}
	b = append(b, ':')
	start := len(b)
	blank := false
	for _, c := range f.raw[f.value:] {
		switch {
		case isSpace(c):
			blank = true
			continue
		case blank && len(b) > start:
			b = append(b, ' ')
		}
		blank = false
		b = append(b, c)
	}
	return append(b, "\r\n"...)
}
