package admin

import (
	"context"
	"errors"

	"postroom/store/zone"
)

// DNS says what the DNS must say about a domain, and how what it says stands to
// that. It takes ten seconds at most.
func (a *Admin) DNS(ctx context.Context, domain string) (zone.Report, error) {
	return zone.Report{}, errors.ErrUnsupported
}

// AllDNS is DNS for all domains, by name.
func (a *Admin) AllDNS(ctx context.Context) ([]zone.Report, error) {
	return nil, errors.ErrUnsupported
}
