package admin

import (
	"context"
	"strings"

	"postroom/store/zone"
)

// STSPolicy returns the MTA-STS policy of a local domain, for anybody who asks (RFC
// 8461). It fails with store.ErrNotFound if there is no such domain, or no policy.
func (a *Admin) STSPolicy(ctx context.Context, domain string) (zone.Policy, error) {
	server, err := a.MailServer(ctx, domain)
	if err != nil {
		return zone.Policy{}, err
	}
	policy, ok := server.Policy()
	if !ok {
		return zone.Policy{}, notFound("There is no MTA-STS policy for %s: tls.mta_sts is off.", domain)
	}
	return policy, nil
}

// MailServer returns where the mail programs of a local domain's users find us. It
// fails with store.ErrNotFound if there is no such domain.
func (a *Admin) MailServer(ctx context.Context, domain string) (zone.Server, error) {
	name := strings.ToLower(strings.TrimSuffix(domain, "."))
	domains, err := a.Store.Domains(ctx)
	if err != nil {
		return zone.Server{}, err
	}
	for _, d := range domains {
		if d.Name == name && !d.Backup && a.Server != nil {
			return a.Server(), nil
		}
	}
	return zone.Server{}, notFound("There is no domain %s here.", name)
}
