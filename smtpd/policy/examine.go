package policy

import (
	"context"
	"fmt"
	"sync"

	"postroom/store"
	"postroom/store/mail"
)

// An Examination is what the live checks think of a mail that may come, or of a
// part of one.
type Examination struct {
	Checks    []store.CheckResult
	Results   []string    // for Authentication-Results
	Spam      bool        // it would be marked X-Spam: yes
	Answer    mail.Status // of the check that objects; the zero Status: none does
	Reason    string      // why it does, for the admin
	Explained []string    // what led to each result: records, mechanisms, keys
}

// An Explanation collects in words what led to a verdict: records found, mechanisms
// that matched, keys. The nil Explanation collects nothing. It may be used by many
// goroutines at once.
type Explanation struct {
	mu    sync.Mutex
	lines []string
}

// Add appends one line; it bears a stranger's words.
func (e *Explanation) Add(format string, args ...any) {
	if e == nil {
		return
	}
	line := mail.Printable(fmt.Sprintf(format, args...), maxExplained)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lines = append(e.lines, line)
}

// Lines returns what was collected so far.
func (e *Explanation) Lines() []string {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.lines...)
}

// maxExplained is the length of one line, in octets.
const maxExplained = 1000

// Examine asks the checks of whole messages, and of m's recipients before them. A
// check that couldn't tell is answered for as a session does: with 451.
func (r Rules) Examine(ctx context.Context, client Client, m *Message) Examination {
	m.Explain = &Explanation{}
	var found Verdict
	for _, address := range m.Recipients {
		v, err := r.Recipient.Judge(ctx, client, Recipient{Sender: m.Envelope.Sender, Address: address, Ours: true})
		found.gather(v)
		if err != nil || !v.Pass() {
			return examined(v, err, m.Explain)
		}
	}
	v, err := r.Message.Judge(ctx, client, m)
	found.gather(v)
	found.Answer, found.Reason, found.Check = v.Answer, v.Reason, v.Check
	return examined(found, err, m.Explain)
}

// examined tells a verdict as an Examination.
func examined(v Verdict, err error, explained *Explanation) Examination {
	e := Examination{Checks: v.Checks, Results: v.Results, Answer: v.Answer, Explained: explained.Lines()}
	if err != nil {
		e.Answer, e.Reason = mail.StatusOf(err), v.Check+": "+err.Error()
	} else if !v.Pass() {
		e.Reason = v.Check + ": " + v.Reason
	}
	for _, field := range v.Fields {
		e.Spam = e.Spam || field == spamField
	}
	return e
}
