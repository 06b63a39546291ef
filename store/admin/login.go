package admin

import (
	"context"
	"errors"
	"time"
)

// A LoginBlock is a network that guessed passwords, and may not log in for a while.
type LoginBlock struct {
	Network  string    `json:"network"` // "192.0.2.7" or "192.0.2.0/24"
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until"`
	Failures int       `json:"failures"` // failed logins that led to it
	Names    int       `json:"names"`    // different login names that were tried
	Protocol string    `json:"protocol"` // of the last try: "smtp", "submission", "submissions", "pop3", "pop3s", "web"
}

// LoginBlocks returns the networks that may not log in now because they guessed
// passwords, the latest block first.
func (a *Admin) LoginBlocks(context.Context) ([]LoginBlock, error) {
	return nil, errors.ErrUnsupported
}

// ForgiveLogins forgets the failed logins of an address or a network, and ends
// every block that has to do with it: also that of the network which an address
// is in. It returns the blocks that it has ended.
func (a *Admin) ForgiveLogins(_ context.Context, network string) ([]LoginBlock, error) {
	return nil, errors.ErrUnsupported
}
