package zone

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// A Policy is the MTA-STS policy of a domain of ours (RFC 8461 section 3.2).
type Policy struct {
	Mode   string // "testing", "enforce"
	MX     []string
	MaxAge time.Duration
}

// How long others may keep a policy: one that is only tried must be quick to
// change, one that counts is of use as long as it is remembered.
const (
	testingAge = 24 * time.Hour
	enforceAge = 14 * 24 * time.Hour
)

// Policy returns the policy that is served for each of our domains; ok is false if
// none is.
func (s Server) Policy() (p Policy, ok bool) {
	switch s.STS {
	case "testing":
		return Policy{s.STS, []string{s.Hostname}, testingAge}, true
	case "enforce":
		return Policy{s.STS, []string{s.Hostname}, enforceAge}, true
	}
	return Policy{}, false
}

// Text returns the file as it is served.
func (p Policy) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "version: STSv1\r\nmode: %s\r\n", p.Mode)
	for _, mx := range p.MX {
		fmt.Fprintf(&b, "mx: %s\r\n", mx)
	}
	fmt.Fprintf(&b, "max_age: %d\r\n", int(p.MaxAge.Seconds()))
	return b.String()
}

// ID returns what the TXT record says, so that others see when the policy has
// changed: it is made of the text, and so changes with it and not else.
func (p Policy) ID() string {
	sum := sha256.Sum256([]byte(p.Text()))
	return hex.EncodeToString(sum[:10])
}
