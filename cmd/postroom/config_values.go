package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"postroom/store/mail"
)

// A value is one setting: it takes what TOML gives (string, int64, bool, []any)
// and shows itself as TOML.
type value interface {
	set(v any) error
	fromText(s string) any // what TOML would give for the text of an environment variable
	String() string
}

// asText is embedded by the values that TOML writes as strings.
type asText struct{}

func (asText) fromText(s string) any { return s }

// needs is the error of a value that is of the wrong type.
func needs(what string, got any) error {
	return fmt.Errorf("needs %s, not %s", what, shown(got))
}

func shown(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	case bool, int64, float64:
		return fmt.Sprint(v)
	}
	return "a date"
}

// A textValue is a string that check, if there is one, agrees with.
type textValue struct {
	asText
	p     *string
	check func(string) error
}

func (v textValue) set(got any) error {
	s, ok := got.(string)
	if !ok {
		return needs("a string in quotes", got)
	}
	if v.check != nil && s != "" {
		if err := v.check(s); err != nil {
			return err
		}
	}
	*v.p = s
	return nil
}

func (v textValue) String() string { return quote(*v.p) }

// A choiceValue is one of a few words.
type choiceValue struct {
	asText
	p    *string
	from []string
}

func (v choiceValue) set(got any) error {
	s, ok := got.(string)
	if !ok || !slices.Contains(v.from, s) {
		return needs("one of "+strings.Join(v.from, ", "), got)
	}
	*v.p = s
	return nil
}

func (v choiceValue) String() string { return quote(*v.p) }

// A switchValue is true or false.
type switchValue struct{ p *bool }

func (v switchValue) set(got any) error {
	b, ok := got.(bool)
	if !ok {
		return needs("true or false", got)
	}
	*v.p = b
	return nil
}

func (v switchValue) fromText(s string) any {
	if b, err := strconv.ParseBool(s); err == nil {
		return b
	}
	return s
}

func (v switchValue) String() string { return strconv.FormatBool(*v.p) }

// A countValue is a whole number from least to most.
type countValue struct {
	p           *int
	least, most int64
}

func (v countValue) set(got any) error {
	n, ok := got.(int64)
	if !ok || n < v.least || n > v.most {
		if v.most == math.MaxInt32 {
			return needs(fmt.Sprintf("a whole number, %d or more", v.least), got)
		}
		return needs(fmt.Sprintf("a whole number from %d to %d", v.least, v.most), got)
	}
	*v.p = int(n)
	return nil
}

func (v countValue) fromText(s string) any {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	return s
}

func (v countValue) String() string { return strconv.Itoa(*v.p) }

// A sizeValue is a number of octets.
type sizeValue struct {
	asText
	p *int64
}

func (v sizeValue) set(got any) error {
	s, _ := got.(string)
	n, err := parseSize(s)
	if err != nil {
		return needs(`a size such as "50MB"`, got)
	}
	*v.p = n
	return nil
}

func (v sizeValue) String() string { return quote(formatSize(*v.p)) }

// A durationValue is a length of time, at least least.
type durationValue struct {
	asText
	p     *time.Duration
	least time.Duration
}

func (v durationValue) set(got any) error {
	s, _ := got.(string)
	d, err := parseDuration(s)
	if err != nil {
		return needs(`a duration such as "90s", "5m", "4h" or "5d"`, got)
	}
	if d < v.least {
		return needs("a duration of at least "+formatDuration(v.least), got)
	}
	*v.p = d
	return nil
}

func (v durationValue) String() string { return quote(formatDuration(*v.p)) }

// A listValue is a list whose elements are written as strings.
type listValue[T any] struct {
	p      *[]T
	what   string // the elements, for the error
	parse  func(string) (T, error)
	format func(T) string
	filled bool // may not be empty
}

func (v listValue[T]) set(got any) error {
	elements, ok := got.([]any)
	if !ok {
		return needs("a list of "+v.what, got)
	}
	if v.filled && len(elements) == 0 {
		return errors.New("needs at least one element")
	}
	list := make([]T, 0, len(elements))
	for _, e := range elements {
		s, ok := e.(string)
		if !ok {
			return needs("a list of "+v.what, e)
		}
		t, err := v.parse(s)
		if err != nil {
			return needs("a list of "+v.what, s)
		}
		list = append(list, t)
	}
	*v.p = list
	return nil
}

func (v listValue[T]) fromText(s string) any {
	list := []any{}
	for e := range strings.SplitSeq(s, ",") {
		if e = strings.TrimSpace(e); e != "" {
			list = append(list, e)
		}
	}
	return list
}

func (v listValue[T]) String() string {
	shown := make([]string, len(*v.p))
	for i, t := range *v.p {
		shown[i] = quote(v.format(t))
	}
	return "[" + strings.Join(shown, ", ") + "]"
}

func addresses(p *[]string) value {
	return listValue[string]{p: p, what: `addresses such as "0.0.0.0:25"`, parse: parseHostPort, format: identity}
}

func networks(p *[]netip.Prefix) value {
	return listValue[netip.Prefix]{p: p, what: `networks such as "10.0.0.0/8"`, parse: parseNetwork, format: netip.Prefix.String}
}

func zones(p *[]string) value {
	return listValue[string]{p: p, what: `DNS zones such as "zen.spamhaus.org"`, parse: mail.ParseDomain, format: identity}
}

func durations(p *[]time.Duration) value {
	return listValue[time.Duration]{p: p, what: `durations such as "5m"`, parse: parseWait, format: formatDuration, filled: true}
}

func identity(s string) string { return s }

func parseWait(s string) (time.Duration, error) {
	d, err := parseDuration(s)
	if err == nil && d <= 0 {
		err = errors.New("not positive")
	}
	return d, err
}

// parseHostPort checks an address to listen on or to connect to.
func parseHostPort(s string) (string, error) {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", err
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", err
	}
	return s, nil
}

// parseServer checks the "ip:port" of a DNS server; the port may be left out.
func parseServer(s string) (string, error) {
	if ip, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(ip, 53).String(), nil
	}
	ap, err := netip.ParseAddrPort(s)
	return ap.String(), err
}

// parseNetwork reads a network, or the address of one host.
func parseNetwork(s string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}

func checkHostname(s string) error {
	if _, err := mail.ParseDomain(s); err != nil {
		return fmt.Errorf(`needs a host name such as "mail.example.org", not %s`, quote(s))
	}
	return nil
}

// checkHostPort wants a server to connect to: a name or an IP address, and a port.
func checkHostPort(s string) error {
	host, port, err := net.SplitHostPort(s)
	n, notPort := strconv.ParseUint(port, 10, 16)
	_, notName := mail.ParseDomain(strings.TrimSuffix(host, "."))
	_, notIP := netip.ParseAddr(host)
	if err != nil || notPort != nil || n == 0 || notName != nil && notIP != nil {
		return fmt.Errorf(`needs "host:port", not %s`, quote(s))
	}
	return nil
}

// checkDirectory wants the URL of an ACME directory. Without TLS anybody on the way
// could give us a certificate.
func checkDirectory(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return fmt.Errorf(`needs a URL such as "https://acme-v02.api.letsencrypt.org/directory", not %s`, quote(s))
	}
	return nil
}

// checkBase64 wants a key. It doesn't say what it got instead.
func checkBase64(s string) error {
	if key, err := base64.StdEncoding.DecodeString(s); err != nil || len(key) == 0 {
		return errors.New("needs a key in base64")
	}
	return nil
}

// quote writes s as a basic string of TOML.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
