package admin

import (
	"fmt"
	"time"

	"postroom/store"
)

// limitNotice composes the warning that a sending limit is near.
func (a *Admin) limitNotice(n store.LimitNotice) store.Acceptance {
	w := limitWords{LimitNotice: n, now: a.Now()}
	mail := notice{to: n.To, kind: "limit", subject: w.summary(), reason: w.summary()}
	switch {
	case !n.Admins:
		mail.subject = fmt.Sprintf("You have sent %s", w.share())
		mail.body = w.forUser(n.To[0].Recipient.Domain)
	default:
		mail.body = w.forAdmins()
	}
	accepted := a.compose(mail)
	accepted.LimitNotice = &n
	return accepted
}

// limitWords puts a limit notice into words.
type limitWords struct {
	store.LimitNotice
	now time.Time
}

// summary names who has sent how much.
func (w limitWords) summary() string {
	return fmt.Sprintf("%s has sent %s", w.who(), w.share())
}

// share is how much of which limit is used: "81 of 100 messages an hour".
func (w limitWords) share() string {
	u := w.Use
	if u.Counts == store.Recipients {
		return fmt.Sprintf("to %d of %d recipients %s", u.Used, u.Most, per(u.Per))
	}
	return fmt.Sprintf("%d of %d messages %s", u.Used, u.Most, per(u.Per))
}

func (w limitWords) who() string {
	if w.Owner.Scope == store.ServerScope {
		return "this server"
	}
	return w.Name
}

func (w limitWords) forUser(domain string) []string {
	return append(w.facts("Your account "+w.Name),
		"",
		"What happens at the limit: mail to other servers is put off. Your mail",
		"program keeps it, and shows an answer that says when there is room again.",
		"Mail to addresses on this server, and what you receive, isn't limited.",
		"",
		"If it wasn't you who sent so much: somebody may know your password. Change",
		fmt.Sprintf("it, and tell postmaster@%s.", domain),
		"",
		fmt.Sprintf("Only the people behind postmaster@%s can change the limit.", domain),
		"",
	)
}

func (w limitWords) forAdmins() []string {
	name := ownerName(w.Owner, w.Name)
	body := append(w.facts(w.subject()),
		"",
		"At the limit, mail to other servers is put off (450 4.7.1): the sender's",
		"program keeps it and is told when there is room again.",
	)
	if w.Owner.Scope == store.AccountScope {
		body = append(body, "The account has been told too.")
	}
	body = append(body,
		"",
		"The limit is "+sourceWords(w.Use.Own)+". You can look at it, and change it, on the",
		"web page or with:",
		"",
		"  postroom limit show "+name,
		fmt.Sprintf("  postroom limit set %s --%s-per-%s %d", name, w.Use.Counts, perFlag(w.Use.Per), 2*w.Use.Most),
	)
	if w.Owner.Scope == store.AccountScope {
		body = append(body,
			"",
			"If somebody else sends with this account, stop it, and look at what was sent:",
			"",
			"  postroom account disable "+name,
			"  postroom trace "+name,
		)
	}
	return append(body, "")
}

func (w limitWords) subject() string {
	switch w.Owner.Scope {
	case store.AccountScope:
		return "The account " + w.Name
	case store.DomainScope:
		return "The domain " + w.Name
	}
	return "This server"
}

// facts says what the limit is, what is left and when there is more.
func (w limitWords) facts(who string) []string {
	u := w.Use
	sent := fmt.Sprintf("has sent %s to other servers in the last %s.", count(int(u.Used), "message", "messages"), span(u.Per))
	if u.Counts == store.Recipients {
		sent = fmt.Sprintf("has sent mail to %s at other servers in the last %s.", count(int(u.Used), "recipient", "recipients"), span(u.Per))
	}
	left := fmt.Sprintf("The limit is %d, so %s.", u.Most, leftWords(u))
	return []string{
		who,
		sent,
		left,
		"",
		fmt.Sprintf("The last %s ends now, at every moment: what was sent longer ago doesn't count", span(u.Per)),
		fmt.Sprintf("any more. From %s on more is left than now.", clock(u.Frees, w.now)),
	}
}

func leftWords(u store.LimitUse) string {
	if n := u.Left(); n > 0 {
		return fmt.Sprintf("%d more can be sent at the moment", n)
	}
	return "no more can be sent at the moment"
}

func sourceWords(own bool) string {
	if own {
		return "one of its own"
	}
	return "the configuration's"
}

func per(d time.Duration) string {
	if d == time.Hour {
		return "an hour"
	}
	return "a day"
}

func span(d time.Duration) string {
	if d == time.Hour {
		return "hour"
	}
	return "24 hours"
}

func perFlag(d time.Duration) string {
	if d == time.Hour {
		return "hour"
	}
	return "day"
}

// clock writes a time the way refusals do, with its day if that isn't today's.
func clock(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04 UTC")
	}
	return t.Format("15:04 UTC on 2 January")
}
