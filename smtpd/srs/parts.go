package srs

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"strconv"
	"strings"
	"time"

	"postroom/store/mail"
)

const (
	hashSize = 8 // letters of five bits each: a guess is right once in 10^12 times
	daySize  = 2
	dayRange = 1 << (5 * daySize) // of the days that can be told apart in an address
)

// parts are what an address of ours is made of.
type parts struct {
	kind   byte   // '0' or '1'
	host   string // the sender's domain, or the first forwarder
	rest   string // the sender's local part, or what follows "SRS0" in that of the first forwarder
	domain string // ours
	day    int64  // since 1970; from parse modulo dayRange
}

// local returns the local part of the address. The day of an SRS1 address stands
// in front of the hash, where others see nothing but a longer hash.
func (p parts) local(hash string) string {
	if p.kind == '0' {
		return "SRS0=" + hash + "=" + stamp(p.day) + "=" + p.host + "=" + p.rest
	}
	return "SRS1=" + stamp(p.day) + hash + "=" + p.host + "=" + p.rest
}

// parse is the inverse of local. It says nothing about whether the hash is good.
func parse(a mail.Address) (p parts, hash string, ok bool) {
	fields := strings.SplitN(a.Local, "=", 5)
	switch {
	case len(fields) == 5 && fold(fields[0]) == "srs0" && len(fields[1]) == hashSize:
		p, hash = parts{kind: '0', host: fields[3], rest: fields[4]}, fields[1]
		p.day, ok = unstamp(fields[2])
	case len(fields) >= 4 && fold(fields[0]) == "srs1" && len(fields[1]) == daySize+hashSize:
		fields = strings.SplitN(a.Local, "=", 4)
		p, hash = parts{kind: '1', host: fields[2], rest: fields[3]}, fields[1][daySize:]
		p.day, ok = unstamp(fields[1][:daySize])
	}
	p.domain = a.Domain
	return p, hash, ok
}

// original returns the address that p stands for.
func (p parts) original() mail.Address {
	if p.kind == '0' {
		return mail.Address{Local: p.rest, Domain: p.host}
	}
	return mail.Address{Local: "SRS0" + p.rest, Domain: p.host}
}

// hash signs all of p, without regard to case, which some servers change. It signs
// the whole day, of which the address has only a part.
func (p parts) hash(secret []byte) string {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(fold(string(p.kind) + " " + strconv.FormatInt(p.day, 10) + " " + p.domain + "=" + p.host + "=" + p.rest)))
	return base32.StdEncoding.EncodeToString(h.Sum(nil))[:hashSize]
}

// fold makes the letters of ASCII small. What isn't ASCII is nobody's to change.
func fold(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

const digits = "abcdefghijklmnopqrstuvwxyz234567"

// stamp returns the last part of a day as letters.
func stamp(day int64) string {
	return strings.ToUpper(string([]byte{digits[day/32%32], digits[day%32]}))
}

func unstamp(s string) (day int64, ok bool) {
	if len(s) != daySize {
		return 0, false
	}
	for _, c := range []byte(fold(s)) {
		d := strings.IndexByte(digits, c)
		if d < 0 {
			return 0, false
		}
		day = day*32 + int64(d)
	}
	return day, true
}

func (r *Rewriter) today() int64 {
	now := time.Now
	if r.Now != nil {
		now = r.Now
	}
	return now().Unix() / (24 * 60 * 60)
}

// date makes p's day the latest that it can be, and returns how many days ago that
// was: -1 if our clock has been set back meanwhile.
func (r *Rewriter) date(p *parts) (age int64) {
	today := r.today()
	age = ((today-p.day)%dayRange + dayRange) % dayRange
	if age == dayRange-1 {
		age = -1
	}
	p.day = today - age
	return age
}
