package smtpd

import (
	"bytes"
	"io"

	"postroom/smtpd/policy"
)

// MessageOf returns a message as the checks of whole messages see it, for an admin
// who wants to know what they would say. Every line of b ends with CRLF. The
// envelope is the caller's to fill in.
func MessageOf(b []byte) *policy.Message {
	h := parseHeader(b, headerRule{})
	return &policy.Message{
		Header:     b[:h.size],
		Shown:      b[:max(h.size, h.shown)],
		From:       h.authors(b),
		FromFields: len(h.from),
		Size:       int64(len(b)),
		Open:       func() io.Reader { return bytes.NewReader(b) },
	}
}
