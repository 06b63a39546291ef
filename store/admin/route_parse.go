package admin

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"postroom/store"
	"postroom/store/mail"
)

const (
	byMX        = "mx" // the host of a route that leads where the MX records do
	defaultPort = 25
	submissions = 465 // TLS from the first byte (RFC 8314)
)

var tlsWords = map[store.TLSPolicy]string{store.TLSMay: "may", store.TLSNone: "none", store.TLSMust: "must"}

// parseRoute reads everything of a route but whose mail it is for.
func parseRoute(request AddRoute) (r store.Route, err error) {
	if r.Domain, err = parseRouteDomain(request.Domain); err != nil {
		return r, err
	}
	if r.Host, r.Port, err = parseServer(request.Host); err != nil {
		return r, err
	}
	r.User, r.Password = request.User, request.Password
	if err := checkCredentials(r); err != nil {
		return r, err
	}
	if r.TLS, err = parseTLS(request.TLS, r); err != nil {
		return r, err
	}
	return r, nil
}

func parseRouteDomain(text string) (string, error) {
	if strings.TrimSpace(text) == store.AnyDomain {
		return store.AnyDomain, nil
	}
	return parseDestination(text)
}

// parseServer reads HOST or HOST:PORT. An IPv6 address may stand in brackets, and
// must if a port follows. A host of "" means "by MX".
func parseServer(text string) (host string, port int, err error) {
	text = strings.TrimSpace(text)
	if strings.EqualFold(text, byMX) {
		return "", 0, nil
	}
	name, number := cutPort(text)
	if host, err = parseHost(name, text); err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n == 0 {
		return "", 0, invalid("%q is not a port. It should be a number from 1 to 65535.", number)
	}
	return host, int(n), nil
}

func cutPort(text string) (host, port string) {
	if _, err := netip.ParseAddr(text); err == nil { // the colons of IPv6
		return text, strconv.Itoa(defaultPort)
	}
	if host, port, err := net.SplitHostPort(text); err == nil {
		return host, port
	}
	host = text
	if inner, ok := strings.CutPrefix(text, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	return host, strconv.Itoa(defaultPort)
}

func parseHost(host, text string) (string, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast() {
			return "", invalid("%s is not the address of a server.", host)
		}
		return ip.Unmap().String(), nil
	}
	name, err := mail.ParseDomain(strings.TrimSuffix(host, "."))
	if err != nil {
		return "", invalid(`%q is not a server. It should look like smtp.example.net, smtp.example.net:587 or [2001:db8::1]:25, or be "mx".`, text)
	}
	return name, nil
}

func checkCredentials(r store.Route) error {
	switch {
	case strings.ContainsAny(r.User+r.Password, "\r\n\x00"):
		return invalid("A user name and a password are one line of text each.")
	case r.User == "" && r.Password != "":
		return invalid("There is a password, but no user name. Give both, or neither.")
	case r.User != "" && r.Password == "":
		return invalid("There is no password for the user %s. Give both, or neither.", r.User)
	case r.User != "" && r.Host == "":
		return invalid(`A user name and a password are for one server. Name it instead of "mx".`)
	}
	return nil
}

// parseTLS reads a policy. A password is not to be sent in the clear unless the
// admin says so.
func parseTLS(text string, r store.Route) (store.TLSPolicy, error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "":
		if r.User != "" && !isLoopback(r.Host) {
			return store.TLSMust, nil
		}
		return store.TLSMay, nil
	case "may":
		return store.TLSMay, nil
	case "must":
		return store.TLSMust, nil
	case "none":
		if r.Port == submissions {
			return 0, invalid("On port 465 TLS begins with the first byte. Choose another port, or allow TLS.")
		}
		return store.TLSNone, nil
	}
	return 0, invalid("%q is not a TLS policy. It is none, may or must.", text)
}

func isLoopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") // RFC 6761 6.3
}
