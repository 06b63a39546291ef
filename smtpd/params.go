package smtpd

import (
	"strconv"
	"strings"

	"postroom/store/mail"
)

// eachParam calls f for each ESMTP parameter of s. It stops at the first that
// f objects to, that is given twice, or that is not a parameter.
func eachParam(s string, f func(keyword, value string) error) error {
	var seen [8]string
	n := 0
	for s = strings.TrimLeft(s, " "); s != ""; s = strings.TrimLeft(s, " ") {
		word, rest, _ := strings.Cut(s, " ")
		s = rest
		keyword, value, hasValue := strings.Cut(word, "=")
		keyword = strings.ToUpper(keyword)
		if !isKeyword(keyword) || hasValue && !isParamValue(value) {
			return statusParamSyntax
		}
		for _, k := range seen[:n] {
			if k == keyword {
				return statusParamSyntax
			}
		}
		if n < len(seen) {
			seen[n] = keyword
			n++
		}
		if err := f(keyword, value); err != nil {
			return err
		}
	}
	return nil
}

// isKeyword reports whether s, in upper case, is an esmtp-keyword.
func isKeyword(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' && i > 0) {
			return false
		}
	}
	return s != ""
}

// isParamValue reports whether s is an esmtp-value (RFC 5321 4.1.2, RFC 6531 3.3).
func isParamValue(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == '=' || s[i] == 0x7f {
			return false
		}
	}
	return s != ""
}

// mailParams are what MAIL said besides the sender.
type mailParams struct {
	envelope mail.Envelope
	size     int64 // zero: not said
}

// parseMailParams parses the parameters of MAIL. Its errors are Statuses.
func parseMailParams(s string, maxSize int64) (p mailParams, err error) {
	err = eachParam(s, func(keyword, value string) error { return p.set(keyword, value, maxSize) })
	return p, err
}

func (p *mailParams) set(keyword, value string, maxSize int64) error {
	switch keyword {
	case "SIZE":
		return p.setSize(value, maxSize)
	case "BODY":
		return p.setBody(value)
	case "SMTPUTF8":
		p.envelope.UTF8 = true
		return require(value == "")
	case "REQUIRETLS":
		p.envelope.TLS = mail.TLSRequired
		return require(value == "")
	case "RET":
		return p.setReturn(value)
	case "ENVID":
		id, ok := decodeXtext(value)
		p.envelope.ID = id
		return require(ok && id != "" && len(value) <= 100) // RFC 3461 4.4
	case "AUTH":
		_, ok := decodeXtext(value) // whom the client trusts is no business of ours (RFC 4954 5)
		return require(ok && value != "")
	}
	return statusUnknownParam
}

func (p *mailParams) setSize(value string, maxSize int64) error {
	n, err := strconv.ParseUint(value, 10, 63)
	switch {
	case value == "" || len(value) > 20 || strings.Trim(value, "0123456789") != "":
		return statusParamSyntax
	case err != nil || int64(n) > maxSize:
		return statusTooLarge
	}
	p.size = int64(n)
	return nil
}

func (p *mailParams) setBody(value string) error {
	switch strings.ToUpper(value) {
	case "7BIT":
		return nil
	case "8BITMIME":
		p.envelope.EightBit = true
		return nil
	case "BINARYMIME":
		return statusUnknownParam
	}
	return statusParamSyntax
}

func (p *mailParams) setReturn(value string) error {
	switch strings.ToUpper(value) {
	case "HDRS":
		p.envelope.Return = mail.ReturnHeaders
	case "FULL":
		p.envelope.Return = mail.ReturnFull
	default:
		return statusParamSyntax
	}
	return nil
}

func require(ok bool) error {
	if ok {
		return nil
	}
	return statusParamSyntax
}
