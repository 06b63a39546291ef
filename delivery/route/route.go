// Package route finds the hosts that take mail for a domain, and their order.
package route

import (
	"context"
	"net"
	"net/netip"
)

// Resolver looks up hosts; *net.Resolver is one. A name that doesn't exist is a
// *net.DNSError with IsNotFound; a name without such records is an empty list,
// or the same error; any other error is temporary.
type Resolver interface {
	// LookupMX returns the MX records of a domain; "." stands for the root.
	LookupMX(ctx context.Context, domain string) ([]*net.MX, error)
	// LookupNetIP returns the addresses of a host; network is "ip".
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}
