package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"postroom/store"
	"postroom/store/zone"
)

// dnsConcern is what the keys of concerns about a domain's DNS begin with.
const dnsConcern = "dns "

// noteDNS raises a concern about a domain whose required records are missing or
// wrong, and clears it once they are right. What couldn't be asked changes nothing.
func (a *Admin) noteDNS(ctx context.Context, r zone.Report) error {
	key := dnsConcern + r.Domain
	wrong := wrongRecords(r)
	switch {
	case len(wrong) > 0:
		return a.Store.Raise(ctx, store.Concern{Key: key, Text: dnsText(r.Domain, wrong), Cure: "/domains/" + r.Domain + "/dns"})
	case r.OK:
		return a.Store.Clear(ctx, key)
	}
	return nil
}

// wrongRecords names the required records that are known not to be right.
func wrongRecords(r zone.Report) []string {
	var list []string
	for _, rec := range r.Records {
		if rec.Level == zone.Required && (rec.State == zone.Missing || rec.State == zone.Wrong) {
			list = append(list, fmt.Sprintf("%s of %s is %s", rec.Type, rec.Name, rec.State))
		}
	}
	return list
}

func dnsText(domain string, wrong []string) string {
	const most = 3
	text := "The DNS doesn't say what it must for " + domain + ": " + strings.Join(wrong[:min(len(wrong), most)], ", ")
	if more := len(wrong) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text + "."
}

// forgetDNS clears the concerns about domains that are served no longer.
func (a *Admin) forgetDNS(ctx context.Context, domains []store.Domain) error {
	concerns, err := a.Store.Concerns(ctx)
	if err != nil {
		return err
	}
	for _, c := range concerns {
		name, ok := strings.CutPrefix(c.Key, dnsConcern)
		if !ok || slices.ContainsFunc(domains, func(d store.Domain) bool { return d.Name == name }) {
			continue
		}
		if err := a.Store.Clear(ctx, c.Key); err != nil {
			return err
		}
	}
	return nil
}
