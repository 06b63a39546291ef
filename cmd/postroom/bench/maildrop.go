package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// A maildrop is what the judge knows of one account's maildrop. One goroutine
// at a time uses it.
type maildrop struct {
	account string
	journal *journal

	kept    map[string]int  // unique-ids that must be there: number of their message, -1 for a report
	gone    map[string]bool // unique-ids whose deletion was answered +OK, or found done
	doubt   []string        // deleted in a session whose QUIT wasn't answered: all gone or none
	holders map[int]string  // by message number: the unique-id it came under
}

func newMaildrop(j *journal, account string) *maildrop {
	return &maildrop{
		account: account, journal: j,
		kept: make(map[string]int), gone: make(map[string]bool), holders: make(map[int]string),
	}
}

// look compares the maildrop's list with what must and mustn't be in it.
func (m *maildrop) look(uids []string) {
	there := make(map[string]bool, len(uids))
	for _, uid := range uids {
		if there[uid] {
			m.journal.blame("%s: unique-id %s stands twice in the list", m.account, uid)
		}
		there[uid] = true
		if m.gone[uid] {
			m.journal.blame("%s: %s is back after it was deleted (message %d)", m.account, uid, m.number(uid))
		}
	}
	m.settleDoubt(there)
	for uid, number := range m.kept {
		if !there[uid] {
			m.journal.blame("%s: message %d (%s) was there and is lost", m.account, number, uid)
			delete(m.kept, uid)
		}
	}
}

// settleDoubt finds out what became of an unanswered QUIT.
func (m *maildrop) settleDoubt(there map[string]bool) {
	var left []string
	for _, uid := range m.doubt {
		if there[uid] {
			left = append(left, uid)
		}
	}
	switch len(left) {
	case 0:
		m.deleted(m.doubt)
	case len(m.doubt):
	default:
		m.journal.blame("%s: an unanswered QUIT deleted only %d of %d messages", m.account, len(m.doubt)-len(left), len(m.doubt))
	}
	m.doubt = nil
}

func (m *maildrop) deleted(uids []string) {
	for _, uid := range uids {
		delete(m.kept, uid)
		m.gone[uid] = true
	}
}

func (m *maildrop) number(uid string) int {
	for number, holder := range m.holders {
		if holder == uid {
			return number
		}
	}
	return -1
}

// got judges one retrieved message.
func (m *maildrop) got(uid string, content []byte) {
	if _, known := m.kept[uid]; known {
		return
	}
	r := m.journal.find(content)
	if r == nil {
		m.kept[uid] = -1
		m.report(content)
		return
	}
	m.kept[uid] = r.number
	if other, twice := m.holders[r.number]; twice {
		m.journal.blame("%s: message %d is there twice, as %s and %s", m.account, r.number, other, uid)
	}
	m.holders[r.number] = uid
	if err := m.journal.compare(r, content); err != nil {
		m.journal.blame("%s: message %d: %v", m.account, r.number, err)
	}
	if local, _ := m.journal.recipients(r); !slices.Contains(local, m.account) {
		m.journal.blame("%s: message %d was for %v", m.account, r.number, local)
	}
}

// report counts the recipients that a bounce is about.
func (m *maildrop) report(content []byte) {
	text := string(content)
	if topField(content, "Return-Path") != "<>" || !strings.Contains(text, "multipart/report") {
		m.journal.blame("%s: holds something that nobody sent: %.200q", m.account, text)
		return
	}
	m.journal.mu.Lock()
	defer m.journal.mu.Unlock()
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ";")
		if strings.EqualFold(strings.TrimSpace(name), "Final-Recipient: rfc822") {
			m.journal.bounces[strings.TrimSpace(value)]++
		}
	}
}

// visit opens the maildrop, compares its list, retrieves up to limit messages
// that it hasn't seen, and ends the session; with remove it first deletes all
// it retrieved. quitting is called when QUIT is on its way.
func (m *maildrop) visit(ctx context.Context, s *Server, limit int, remove bool, quitting func()) (retrieved int, err error) {
	c, err := OpenMaildrop(ctx, s.POP3, m.account, judgePassword)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	uids, err := c.UIDs()
	if err != nil {
		return 0, fmt.Errorf("UIDL: %w", err)
	}
	m.look(uids)
	var removed []string
	for i, uid := range uids {
		if _, known := m.kept[uid]; retrieved == limit || known && !remove {
			continue
		}
		content, err := c.Retrieve(i + 1)
		if err != nil {
			return retrieved, fmt.Errorf("RETR: %w", err)
		}
		m.got(uid, content)
		retrieved++
		if !remove {
			continue
		}
		if err := c.Delete(i + 1); err != nil {
			return retrieved, fmt.Errorf("DELE: %w", err)
		}
		removed = append(removed, uid)
	}
	return retrieved, m.quit(c, removed, quitting)
}

func (m *maildrop) quit(c *POP3Client, removed []string, quitting func()) error {
	m.doubt = removed
	if err := c.send("QUIT"); err != nil {
		return err
	}
	quitting()
	if _, err := c.reply(); err != nil {
		return fmt.Errorf("QUIT: %w", err)
	}
	m.deleted(removed)
	m.doubt = nil
	return nil
}
