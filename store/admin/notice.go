package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// SendNotices writes the mails that tell people how full their maildrops are, one
// for each threshold that was crossed. It is called now and then; one notice that
// can't be written doesn't keep the others.
func (a *Admin) SendNotices(ctx context.Context) error {
	owed, err := a.Store.QuotaNotices(ctx)
	if err != nil {
		return fmt.Errorf("find owed notices: %w", err)
	}
	var failed []error
	for _, notice := range owed {
		if err := a.Store.Accept(ctx, a.noticeMail(notice)); err != nil {
			failed = append(failed, fmt.Errorf("quota notice for %s: %w", notice.Address, err))
			continue
		}
		a.Log.Info("quota notice written", "account", notice.Address.String(), "percent", notice.Percent)
	}
	return errors.Join(failed...)
}

// noticeMail composes a notice. Nobody is to answer it: its envelope sender is
// null (RFC 3834 3.2).
func (a *Admin) noticeMail(notice store.QuotaNotice) store.Acceptance {
	id, now := a.Store.NewMessageID(), a.Now()
	headerID := fmt.Sprintf("%s.quota@%s", id, notice.Address.Domain)
	text := noticeText(notice, headerID, now)
	return store.Acceptance{
		ID:          id,
		At:          now,
		HeaderID:    headerID,
		Envelope:    mail.Envelope{EightBit: true, UTF8: !notice.Address.IsASCII()},
		Origin:      store.FromUs,
		Body:        strings.NewReader(text),
		Size:        int64(len(text)),
		Local:       []store.LocalDelivery{{Account: notice.Account, Recipient: notice.Address}},
		Accepted:    store.Event{Protocol: "local", Size: int64(len(text)), Reason: fmt.Sprintf("maildrop is %d %% full", percentOf(notice))},
		QuotaNotice: &notice,
	}
}

func noticeText(notice store.QuotaNotice, headerID string, now time.Time) string {
	percent := percentOf(notice)
	head := []string{
		"From: Mail server <postmaster@" + notice.Address.Domain + ">",
		"To: <" + notice.Address.String() + ">",
		fmt.Sprintf("Subject: Your mailbox is %d %% full", percent),
		"Date: " + now.Format(time.RFC1123Z),
		"Message-ID: <" + headerID + ">",
		"Auto-Submitted: auto-generated",
		"MIME-Version: 1.0",
		"Content-Type: text/plain; charset=utf-8",
	}
	if notice.Percent >= 95 {
		head = append(head, "Importance: high")
	}
	body := []string{
		fmt.Sprintf("Your mailbox %s is %d %% full:", notice.Address, percent),
		fmt.Sprintf("%s in it take up %s of the %s that it may hold.",
			count(int(notice.Usage.Messages), "message", "messages"), octets(notice.Usage.Bytes), octets(notice.Quota)),
		"",
		"What to do: collect your mail with your mail program, and let the program",
		"delete it from the server (look for a setting like \"leave messages on the",
		"server\"). Deleting large messages helps most.",
		"",
		"What happens at 100 %: new mail for you is no longer taken. The servers of",
		"those who write to you keep it for some days and try again; if there is",
		"still no room then, they send it back. Nothing in your mailbox is deleted.",
		"",
		fmt.Sprintf("If you need more room, ask postmaster@%s.", notice.Address.Domain),
		"",
	}
	return strings.Join(head, "\r\n") + "\r\n\r\n" + strings.Join(body, "\r\n")
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
