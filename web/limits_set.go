package web

import (
	"strings"

	"postroom/store/admin"
	"postroom/web/phrase"
)

func (p *pages) setServerLimits(v *visit) error {
	return p.setLimits(v, "server", "/limits", p.limitsPage)
}

func (p *pages) setDomainLimits(v *visit) error {
	name := v.r.PathValue("name")
	return p.setLimits(v, name, domainURL(name), func(v *visit, typed *typedLimits) error {
		return p.domainPage(v, domainNews{limits: typed})
	})
}

func (p *pages) setAccountLimits(v *visit) error {
	address := v.r.PathValue("address")
	return p.setLimits(v, address, accountURL(address), func(v *visit, typed *typedLimits) error {
		return p.accountPage(v, address, accountNews{limits: typed})
	})
}

// setLimits changes the limits of somebody, and shows the page again if what was
// typed can't be.
func (p *pages) setLimits(v *visit, name, to string, again func(*visit, *typedLimits) error) error {
	if err := v.form(); err != nil {
		return err
	}
	typed := admin.SetLimit{
		Name: name, MessagesPerHour: v.field("messages_per_hour"), MessagesPerDay: v.field("messages_per_day"),
		RecipientsPerHour: v.field("recipients_per_hour"), RecipientsPerDay: v.field("recipients_per_day"),
	}
	request, notice := typed, phrase.LimitsSet
	if v.field("do") == "clear" {
		request, notice = admin.SetLimit{Name: name}, phrase.LimitsCleared
	}
	for _, limit := range []*string{&request.MessagesPerHour, &request.MessagesPerDay, &request.RecipientsPerHour, &request.RecipientsPerDay} {
		if *limit = strings.TrimSpace(*limit); *limit == "" {
			*limit = "default"
		}
	}
	_, err := p.Admin.SetLimit(v.r.Context(), request)
	switch {
	case hasMistake(err):
		return again(v, &typedLimits{typed, err})
	case err != nil:
		return err
	}
	return v.done(to, notice)
}
