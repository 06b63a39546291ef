package web

import (
	"context"
	"errors"
	"html"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"postroom/store"
	"postroom/store/admin"
	"postroom/store/mail"
)

// A previewer takes everything but for a local part that says otherwise, and knows
// some ways out.
type previewer struct{ s *site }

func (p previewer) Rehearse(ctx context.Context, r admin.Rehearsal) (admin.Rehearsed, error) {
	if r.To.Local == "broken" {
		return admin.Rehearsed{}, errNoDNS
	}
	done := admin.Rehearsed{Account: r.As.ID, Reply: "250 2.0.0 accepted", Step: "message", Taken: true}
	var err error
	if r.As.ID != 0 {
		done.Asked = true
		if done.May, done.Right, err = p.s.store.ExplainRight(ctx, r.As.ID, r.From); err != nil {
			return done, err
		}
	} else {
		done.Checks = passedChecks
	}
	to, hops, err := p.s.store.Explain(ctx, r.To)
	done.Ways, done.Leads = hops, to.Destinations
	switch {
	case done.Asked && !done.May:
		done.Reply, done.Step, done.Taken = "550 5.7.1 You may not send as <"+r.From.String()+">", "sender", false
	case errors.Is(err, store.ErrNotFound):
		done.Reply, done.Step, done.Taken = "550 5.1.1 No such address here", "recipient", false
	case r.To.Local == "often":
		done.Reply, done.Step, done.Taken = "450 4.7.1 You have reached the limit of 14 messages an hour; there is room again at 15:04 UTC", "recipient", false
		done.Over = &store.LimitError{Owner: store.Owner{Scope: store.AccountScope}, Name: r.As.Address.String(), Limit: store.Limit{Counts: store.Messages, Per: 3600e9, Most: 14}, Frees: p.s.now().Add(3600e9)}
	}
	for _, d := range to.Destinations {
		if d.Account == 0 {
			o := store.Outbound{Sender: r.From, Recipient: mail.Recipient{Address: d.Remote}}
			if d.Remote != r.To {
				o.Via, o.Sender = r.To, mail.Address{Local: "SRS0=x=y=z=a", Domain: r.To.Domain}
			}
			done.Outbound = append(done.Outbound, o)
		}
	}
	return done, nil
}

func (p previewer) Outlook(_ context.Context, lane store.Lane) (admin.PreviewWay, error) {
	ten, twenty := 10, 20
	way := admin.PreviewWay{Destination: lane.Domain, By: "mx"}
	switch lane.Domain {
	case "null.example":
		way.Problem, way.Final = "the domain takes no mail (null MX)", true
		return way, nil
	case "routed.example":
		way.By, way.Destination = "route", "relay smtp.example.net:587"
		way.Route = &admin.Route{Domain: "routed.example", From: "example.org", Host: "smtp.example.net", Port: 587, TLS: "must"}
		way.Sources = []admin.PreviewSource{{IP: "192.0.2.9", Name: "news.example.org"}}
		way.Hosts = []admin.PreviewHost{{Name: "smtp.example.net", Port: 587, Addresses: []admin.PreviewAddress{{IP: "192.0.2.77", TLS: "verify", Why: "the administrator's TLS policy"}}}}
		return way, nil
	}
	way.Hosts = []admin.PreviewHost{
		{Name: "mx1." + lane.Domain, Port: 25, Preference: &ten, Addresses: []admin.PreviewAddress{
			{IP: "192.0.2.31", TLS: "verify", Why: "MTA-STS policy of " + lane.Domain}, {IP: "2001:db8::31", TLS: "verify", Why: "MTA-STS policy of " + lane.Domain},
		}},
		{Name: "mx2." + lane.Domain, Port: 25, Preference: &twenty, Addresses: []admin.PreviewAddress{
			{IP: "192.0.2.32", Problem: "the MTA-STS policy of " + lane.Domain + " doesn't name mx2." + lane.Domain},
		}},
		{Name: "backup.example", Port: 2525, Fallback: true, Problem: "server answered SERVFAIL"},
	}
	return way, nil
}

func TestPreview(t *testing.T) {
	s := newSite(t)
	s.fill()
	s.trust()
	b := s.signedIn()
	b.get("/preview?to=bob%40example.org&from=alice%40example.org").has(t, http.StatusOK, `value="bob@example.org"`, `value="alice@example.org"`)
	ask := func(from, to string, more ...string) answer {
		return b.post("/preview", append([]string{"from", from, "to", to}, more...)...)
	}
	s.alias("helpers@example.org", boss, "pal@friends.example")
	s.alias("crowd@example.org", "helpers@example.org")
	s.must(s.admin.PauseDestination(t.Context(), "paused.example"))
	for _, tt := range []struct {
		it       string
		from, to string
		more     []string
		says     []string
	}{
		{"takes mail for an account", "alice@example.org", boss, nil, []string{"verdict good", "lie in 1 maildrop", "alice@example.org sends it", "its own address", "is the account", accountURL(boss)}},
		{"follows aliases to both ends", "crowd@example.org", "crowd@example.org", nil, []string{"because the alias leads to it", "is an alias for", "leave for another server", "SRS0=x=y=z=a@example.org", "/aliases?q=crowd"}},
		{"refuses another sender", "alice@example.org", boss, []string{"as", "grace@example.org"}, []string{"verdict bad", "It would be refused.", "as soon as it names the sender", "It may not send as that"}},
		{"knows nobody", "alice@example.org", "nothing@example.org", nil, []string{"verdict bad", "when it names the recipient", "is nobody’s"}},
		{"puts off what is over a limit", "grace@example.org", "often@friends.example", nil, []string{"verdict warn", "It would be put off", "Over the limit of grace@example.org: 14 messages in an hour", "There is room again"}},
		{"shows the servers", "alice@example.org", "kim@friends.example", nil, []string{"mx1.friends.example", "preference 10", "192.0.2.31", "MTA-STS policy of friends.example", "left out", "fallback relay", "port 2525", "Messages an hour"}},
		{"names the route", "alice@example.org", "a@routed.example", nil, []string{`href="/routes"`, "the route for routed.example", "from example.org", "192.0.2.9", "as news.example.org", "good certificate"}},
		{"knows what comes back", "alice@example.org", "a@null.example", nil, []string{"verdict warn", "not get far", "null MX", "come back to its sender"}},
		{"knows what is paused", "alice@example.org", "a@paused.example", nil, []string{"verdict warn", "it waits here until that ends"}},
		{"asks from outside", "kim@friends.example", boss, []string{"ip", "192.0.2.25", "helo", "mx.friends.example"}, []string{"Another server brings it", "What the checks think of it", "DMARC"}},
		{"says what it didn't ask", "", boss, nil, []string{"nobody (a report)", "weren’t asked"}},
	} {
		t.Run("it "+tt.it, func(t *testing.T) {
			for i, text := range tt.says {
				tt.says[i] = strings.ReplaceAll(text, "'", html.EscapeString("'"))
			}
			ask(tt.from, tt.to, tt.more...).has(t, http.StatusOK, tt.says...)
		})
	}
	ask("not an address", boss).has(t, http.StatusUnprocessableEntity, "is not a mail address", `value="not an address"`)
	ask("alice@example.org", "").has(t, http.StatusUnprocessableEntity, "is not a mail address")
	ask("alice@example.org", boss, "as", "stranger@example.org").has(t, http.StatusNotFound, "There is no account")
	ask("alice@example.org", boss, "ip", "somewhere").has(t, http.StatusUnprocessableEntity, "is not the IP address")
	if a := ask("alice@example.org", "broken@friends.example"); a.code != http.StatusInternalServerError || strings.Contains(a.body, errNoDNS.Error()) {
		t.Errorf("our own trouble is answered %d: %s", a.code, a.body)
	}
	s.admin.Previews = nil
	ask("alice@example.org", boss).has(t, http.StatusUnprocessableEntity, html.EscapeString(errNoChecks.Text))
	b.get(accountURL("alice@example.org")).has(t, http.StatusOK, `href="/preview?to=alice%40example.org"`)
	b.get("/aliases?q=crowd").has(t, http.StatusOK, `href="/preview?to=crowd%40example.org"`)
}

// TestAdministratorPreviewsADelivery comes from an account, asks, and asks again
// about another recipient.
func TestAdministratorPreviewsADelivery(t *testing.T) {
	s := newSite(t)
	s.fill()
	s.trust()
	s.alias("helpers@example.org", "alice@example.org", "pal@friends.example")
	w := newWalk(t, s)
	w.run("look at an account", chromedp.Navigate(s.http.URL+accountURL("alice@example.org")), chromedp.Click(css(`a[href^="/preview?to="]`)),
		chromedp.WaitVisible(css(`#to[value="alice@example.org"]`)))
	w.run("ask", chromedp.SendKeys(css("#from"), boss), chromedp.Click(css("main form button[type=submit]")), chromedp.WaitVisible(css(".verdict.good")))
	w.look("preview-account")
	w.run("ask about an alias", chromedp.Clear(css("#to")), chromedp.SendKeys(css("#to"), "helpers@example.org\r"), chromedp.WaitVisible(css("table.cards")))
	w.reads(".timeline", boss+" sends it", "is an alias for", "The maildrop of alice@example.org", "mx1.friends.example", "2001:db8::31", "left out", "Within the limits")
	w.look("preview-alias")
	w.run("ask as somebody else", chromedp.Click(css("details.change summary")), chromedp.SendKeys(css("#as"), "grace@example.org\r"), chromedp.WaitVisible(css(".verdict.bad")))
	w.look("preview-refused")
}
