package admin

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"postroom/store"
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
	return loginBlocksOf(a.Auth.Guard().Blocks()), nil
}

// ForgiveLogins forgets the failed logins of an address or a network, and ends
// every block that has to do with it: also that of the network which an address
// is in. It returns the blocks that it has ended.
func (a *Admin) ForgiveLogins(ctx context.Context, network string) ([]LoginBlock, error) {
	prefix, err := parseLoginNetwork(network)
	if err != nil {
		return nil, err
	}
	var blocked blocksState
	for _, b := range a.Auth.Guard().Blocks() {
		if b.Network.Overlaps(prefix) {
			blocked.Blocked = append(blocked.Blocked, networkText(b.Network))
		}
	}
	// Where no block is ended nothing is written, the entry neither.
	noted := a.noting(ctx, "login.forgive", networkText(prefix), blocked, nil)
	ended, err := a.Auth.Guard().Forgive(noted, prefix)
	return loginBlocksOf(ended), err
}

// parseLoginNetwork reads an address or a network.
func parseLoginNetwork(text string) (netip.Prefix, error) {
	text = strings.TrimSpace(text)
	if ip, err := netip.ParseAddr(text); err == nil {
		ip = ip.Unmap().WithZone("")
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, invalid("%q is neither an IP address nor a network. It should look like 192.0.2.7, 192.0.2.0/24 or 2001:db8::/64.", text)
	}
	return network.Masked(), nil
}

func loginBlocksOf(blocks []store.LoginBlock) []LoginBlock {
	list := make([]LoginBlock, 0, len(blocks))
	for _, b := range blocks {
		network := b.Network.String()
		if b.Network.IsSingleIP() {
			network = b.Network.Addr().String()
		}
		list = append(list, LoginBlock{network, b.Since, b.Until, b.Failures, b.Names, b.Protocol})
	}
	return list
}
