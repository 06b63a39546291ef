package web

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"postroom/store/admin"
	"postroom/web/phrase"
)

// lossOf counts what goes with some accounts.
func lossOf(lost []admin.RemovedAccount) (l phrase.Loss) {
	for _, a := range lost {
		l.Accounts++
		l.Messages, l.Octets = l.Messages+a.Messages, l.Octets+a.Octets
		l.AppPasswords, l.Queued = l.AppPasswords+int64(a.AppPasswords), l.Queued+int64(a.Queued)
		l.Devices, l.Routes, l.Sources = l.Devices+int64(a.Devices), l.Routes+int64(a.Routes), l.Sources+int64(a.Sources)
		l.Forwards += int64(len(a.Forward))
		if a.Limits {
			l.WithLimits++
		}
	}
	return l
}

// ticked returns the accounts that a request names, without that of who is signed
// in.
func (v *visit) ticked(values url.Values) (addresses []string, own bool) {
	for _, address := range values["account"] {
		if v.owns(address) {
			own = true
			continue
		}
		if len(addresses) < 2*pageSize {
			addresses = append(addresses, address)
		}
	}
	return addresses, own
}

// confirmAccounts asks before something is done to the accounts that were ticked.
func (p *pages) confirmAccounts(v *visit) error {
	return p.accountsConfirmation(v, v.r.URL.Query(), nil)
}

func (p *pages) accountsConfirmation(v *visit, values url.Values, mistake error) error {
	addresses, own := v.ticked(values)
	lost, err := p.Admin.GoesWithAccounts(v.r.Context(), addresses)
	switch {
	case err != nil:
		return err
	case len(lost) == 0 && own:
		return v.leave("/accounts", errOwn.Text, "bad")
	case len(lost) == 0:
		return v.leave("/accounts", phrase.NothingTicked, "bad")
	}
	page, err := manyAccounts(values.Get("do"), lost)
	if err != nil {
		return err
	}
	if own {
		page.Lost = append(page.Lost, phrase.OwnIsLeft)
	}
	return v.showForm("confirm", page.Title, &page, &page.Mistake, mistake)
}

// manyAccounts says what would be done to several accounts.
func manyAccounts(kind string, lost []admin.RemovedAccount) (confirmPage, error) {
	n := int64(len(lost))
	page := confirmPage{
		Title: phrase.ManyTitle(kind, n), Back: "/accounts", BackText: "Accounts", Action: "/accounts/selected",
		Hidden: []hiddenField{{"do", kind}}, Keep: phrase.LeaveAccounts,
	}
	var dead []string
	for _, a := range lost {
		page.Hidden = append(page.Hidden, hiddenField{"account", a.Address})
		page.Items = append(page.Items, fmt.Sprintf("%s: %s", a.Address, phrase.Plural(a.Messages, "message", "messages")))
		dead = append(dead, a.Aliases...)
	}
	switch kind {
	case "remove":
		page.Lost, page.Button, page.Type = lossOf(lost).Sentences(), "Remove them", toType(n)
		slices.Sort(dead)
		if dead = slices.Compact(dead); len(dead) > 0 {
			page.Lost = append(page.Lost, fmt.Sprintf(phrase.DeadAliases, strings.Join(first(dead, 20), ", ")))
		}
		if left := forwardersLeft(lost); len(left) > 0 {
			page.Lost = append(page.Lost, fmt.Sprintf(phrase.ForwardersLeft, strings.Join(first(left, 20), ", ")))
		}
	case "disable":
		page.Lost, page.Button, page.Mild = []string{phrase.DisablingMany}, "Disable them", true
	case "enable":
		page.Lost, page.Button, page.Mild = []string{phrase.EnablingMany}, "Enable them", true
	default:
		return page, errNoPage
	}
	return page, nil
}

// forwardersLeft returns the accounts that stay and send mail on to those that go.
func forwardersLeft(lost []admin.RemovedAccount) (left []string) {
	for _, a := range lost {
		left = append(left, a.Forwarders...)
	}
	slices.Sort(left)
	return slices.DeleteFunc(slices.Compact(left), func(address string) bool {
		return slices.ContainsFunc(lost, func(a admin.RemovedAccount) bool { return a.Address == address })
	})
}

// toType is what has to be typed before n accounts are removed.
func toType(n int64) string { return fmt.Sprintf("remove %d", n) }

// changeAccounts does to the accounts what was confirmed.
func (p *pages) changeAccounts(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	kind := v.field("do")
	addresses, _ := v.ticked(v.r.PostForm)
	change := map[string]func(context.Context, []string) (int64, error){
		"remove": p.Admin.RemoveAccounts, "disable": p.Admin.DisableAccounts, "enable": p.Admin.EnableAccounts,
	}[kind]
	switch {
	case change == nil:
		return errNoPage
	case len(addresses) == 0:
		return v.leave("/accounts", phrase.NothingTicked, "bad")
	case kind == "remove" && !v.typed(toType(int64(len(addresses)))):
		return p.accountsConfirmation(v, v.r.PostForm, errTyped)
	}
	return v.carryOut(task{
		kind: kind, about: phrase.Plural(int64(len(addresses)), "account", "accounts"), to: "/accounts",
		run: func(ctx context.Context) (int64, error) { return change(ctx, addresses) },
	})
}
