// Package smtpclient speaks the client side of one SMTP connection.
package smtpclient

import (
	"context"
	"net"
)

// Dialer connects to a remote host; *net.Dialer is one.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}
