package web

import "postroom/store/admin"

// A myLimitsPage shows what one has sent and may send.
type myLimitsPage struct {
	Bars  []limitBar
	Wider []limitsRow // the limits that the same mail counts in
}

func (p *pages) showMyLimits(v *visit) error {
	limits, err := p.Admin.Limits(v.r.Context(), v.user.Address.String())
	if err != nil {
		return err
	}
	return v.show("me_limits", "Limits", p.myLimits(limits))
}

func (p *pages) myLimits(l admin.Limits) myLimitsPage {
	page := myLimitsPage{Bars: barsOf(l, p.Now())}
	for _, w := range l.Within {
		page.Wider = append(page.Wider, limitsRowOf(w, p.Now()))
	}
	return page
}
