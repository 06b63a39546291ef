package zone

import (
	"context"
	"net"
	"net/netip"
)

// Lookups ask the DNS. Their errors are *net.DNSError, with IsNotFound if a name
// doesn't exist; a name without records of the type gives an empty list.
type Lookups interface {
	LookupMX(ctx context.Context, domain string) ([]*net.MX, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
	LookupCNAME(ctx context.Context, name string) (string, error)
	LookupSRV(ctx context.Context, name string) ([]*net.SRV, error)
}
