package admin

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// SendNotices writes the mails that tell people how full their maildrops are, one
// for each threshold that was crossed, and those that warn of sending limits. It is
// called now and then; one notice that can't be written doesn't keep the others.
func (a *Admin) SendNotices(ctx context.Context) error {
	return errors.Join(a.sendQuotaNotices(ctx), a.sendLimitNotices(ctx))
}

func (a *Admin) sendQuotaNotices(ctx context.Context) error {
	owed, err := a.Store.QuotaNotices(ctx)
	if err != nil {
		return fmt.Errorf("find owed notices: %w", err)
	}
	var failed []error
	for _, notice := range owed {
		if err := a.Store.Accept(ctx, a.quotaNotice(notice)); err != nil {
			failed = append(failed, fmt.Errorf("quota notice for %s: %w", notice.Address, err))
			continue
		}
		a.Log.Info("quota notice written", "account", notice.Address.String(), "percent", notice.Percent)
	}
	return errors.Join(failed...)
}

// A notice is a mail of the server to people of its own.
type notice struct {
	to        []store.LocalDelivery // at least one
	kind      string                // a word for its Message-ID
	subject   string
	important bool
	body      []string // lines; the last one is empty
	reason    string   // for the trace
}

// compose makes a notice ready to be accepted. Nobody is to answer it: its envelope
// sender is null (RFC 3834 3.2).
func (a *Admin) compose(n notice) store.Acceptance {
	id, now := a.Store.NewMessageID(), a.Now()
	headerID := fmt.Sprintf("%s.%s@%s", id, n.kind, n.to[0].Recipient.Domain)
	text := n.text(headerID, now)
	return store.Acceptance{
		ID:       id,
		At:       now,
		HeaderID: headerID,
		Envelope: mail.Envelope{EightBit: true, UTF8: n.needsUTF8()},
		Origin:   store.FromUs,
		Body:     strings.NewReader(text),
		Size:     int64(len(text)),
		Local:    n.to,
		Accepted: store.Event{Protocol: "local", Size: int64(len(text)), Reason: n.reason},
	}
}

func (n notice) needsUTF8() bool {
	return slices.ContainsFunc(n.to, func(d store.LocalDelivery) bool { return !d.Recipient.IsASCII() })
}

func (n notice) text(headerID string, now time.Time) string {
	to := make([]string, len(n.to))
	for i, d := range n.to {
		to[i] = "<" + d.Recipient.String() + ">"
	}
	head := []string{
		"From: Mail server <postmaster@" + n.to[0].Recipient.Domain + ">",
		"To: " + strings.Join(to, ",\r\n "),
		"Subject: " + mime.QEncoding.Encode("utf-8", n.subject),
		"Date: " + now.Format(time.RFC1123Z),
		"Message-ID: <" + headerID + ">",
		"Auto-Submitted: auto-generated",
		"MIME-Version: 1.0",
		"Content-Type: text/plain; charset=utf-8",
	}
	if n.important {
		head = append(head, "Importance: high")
	}
	return strings.Join(head, "\r\n") + "\r\n\r\n" + strings.Join(n.body, "\r\n")
}

// quotaNotice composes the mail that tells how full a maildrop is.
func (a *Admin) quotaNotice(q store.QuotaNotice) store.Acceptance {
	percent := percentOf(q)
	accepted := a.compose(notice{
		to:        []store.LocalDelivery{{Account: q.Account, Recipient: q.Address}},
		kind:      "quota",
		subject:   fmt.Sprintf("Your mailbox is %d %% full", percent),
		important: q.Percent >= 95,
		body:      quotaText(q),
		reason:    fmt.Sprintf("maildrop is %d %% full", percent),
	})
	accepted.QuotaNotice = &q
	return accepted
}

func quotaText(q store.QuotaNotice) []string {
	return []string{
		fmt.Sprintf("Your mailbox %s is %d %% full:", q.Address, percentOf(q)),
		fmt.Sprintf("%s in it take up %s of the %s that it may hold.",
			count(int(q.Usage.Messages), "message", "messages"), octets(q.Usage.Bytes), octets(q.Quota)),
		"",
		"What to do: collect your mail with your mail program, and let the program",
		"delete it from the server (look for a setting like \"leave messages on the",
		"server\"). Deleting large messages helps most.",
		"",
		"What happens at 100 %: new mail for you is no longer taken. The servers of",
		"those who write to you keep it for some days and try again; if there is",
		"still no room then, they send it back. Nothing in your mailbox is deleted.",
		"",
		fmt.Sprintf("If you need more room, ask postmaster@%s.", q.Address.Domain),
		"",
	}
}

// percentOf returns how full the maildrop is now.
func percentOf(notice store.QuotaNotice) int {
	return int(float64(notice.Usage.Bytes) / float64(notice.Quota) * 100)
}

// octets writes a size the way people read it, in powers of ten.
func octets(n int64) string {
	for _, unit := range []struct {
		size int64
		name string
	}{{1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}} {
		if n >= unit.size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(unit.size), unit.name)
		}
	}
	return count(int(n), "octet", "octets")
}
