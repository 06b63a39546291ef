package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/emersion/go-message"
	messagemail "github.com/emersion/go-message/mail"

	"postroom/store"
	"postroom/store/mail"
)

// SendAnswers writes the vacation notices that are owed. It is called when there
// may be new ones, and now and then; one that can't be written doesn't keep the
// others.
func (a *Admin) SendAnswers(ctx context.Context) error {
	owed, err := a.Store.Answers(ctx)
	if err != nil {
		return err
	}
	var failed []error
	for _, o := range owed {
		if err := a.sendAnswer(ctx, o); err != nil {
			failed = append(failed, fmt.Errorf("vacation notice of %s: %w", o.From, err))
		}
	}
	return errors.Join(failed...)
}

func (a *Admin) sendAnswer(ctx context.Context, o store.Answer) error {
	answer, err := a.answer(o)
	if err != nil {
		return err
	}
	switch err := a.addressAnswer(ctx, &answer); {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrRefused):
		return a.Store.DropAnswer(ctx, o.ID)
	case err != nil:
		return err
	}
	switch err := a.Store.Accept(ctx, answer); {
	case errors.Is(err, store.ErrNotFound): // it isn't owed any more
		return nil
	case err != nil:
		return err
	}
	a.Log.Info("vacation notice written", "account", o.From.String(), "message", answer.ID.String(), "to", o.Sender.String())
	return nil
}

// addressAnswer says where a vacation notice goes: to the envelope's sender of the
// mail that it answers, and to nobody else.
func (a *Admin) addressAnswer(ctx context.Context, answer *store.Acceptance) error {
	sender := answer.AnswerTo.Sender
	to, err := a.Store.Resolve(ctx, sender)
	if err != nil {
		return err
	}
	for _, d := range to.Destinations {
		if d.Account != 0 {
			answer.Local = append(answer.Local, store.LocalDelivery{Account: d.Account, Recipient: sender})
			continue
		}
		out := store.Outbound{Recipient: mail.Recipient{Address: d.Remote, Notify: mail.NotifyNever}}
		if d.Remote != sender {
			out.Via = sender
		}
		answer.Outbound = append(answer.Outbound, out)
	}
	return nil
}

// answer composes a vacation notice. Nobody is told if it can't be delivered: its
// envelope sender is null (RFC 3834 3.3).
func (a *Admin) answer(o store.Answer) (store.Acceptance, error) {
	id, now := a.Store.NewMessageID(), a.Now()
	headerID := fmt.Sprintf("%s.vacation@%s", id, o.From.Domain)
	text, err := answerText(o, headerID, now)
	if err != nil {
		return store.Acceptance{}, fmt.Errorf("compose: %w", err)
	}
	return store.Acceptance{
		ID:       id,
		At:       now,
		HeaderID: headerID,
		Envelope: mail.Envelope{UTF8: !o.From.IsASCII() || !o.Sender.IsASCII()},
		Origin:   store.FromUs,
		Body:     bytes.NewReader(text),
		Size:     int64(len(text)),
		Accepted: store.Event{Protocol: "local", Report: &o.Message, Reason: "vacation notice of " + o.From.String()},
		AnswerTo: &o,
	}, nil
}

// answerText returns the whole message. It is ASCII, addresses aside, whatever the
// notice is written in.
func answerText(o store.Answer, headerID string, now time.Time) ([]byte, error) {
	var h messagemail.Header // each field comes in front of those before
	h.Set("Content-Transfer-Encoding", "quoted-printable")
	h.SetContentType("text/plain", map[string]string{"charset": "utf-8"})
	h.Set("MIME-Version", "1.0")
	h.Set("X-Auto-Response-Suppress", "All") // to Exchange, the same as the next
	h.Set("Auto-Submitted", "auto-replied")
	if id := "<" + o.HeaderID + ">"; isReference(id) {
		h.Set("References", strings.TrimSpace(o.History+" "+id))
		h.Set("In-Reply-To", id)
	}
	h.SetMessageID(headerID)
	h.SetDate(now)
	h.SetSubject(answerSubject(o))
	h.SetAddressList("To", []*messagemail.Address{{Address: o.Sender.String()}})
	h.SetAddressList("From", []*messagemail.Address{{Name: o.Name, Address: o.From.String()}})
	var b bytes.Buffer
	w, err := message.CreateWriter(&b, h.Header)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(w, o.Vacation.Text+"\n"); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// answerSubject is what the owner has set, or says what is answered (RFC 3834
// 3.1.5).
func answerSubject(o store.Answer) string {
	switch {
	case o.Vacation.Subject != "":
		return o.Vacation.Subject
	case o.Subject != "":
		return "Auto: " + o.Subject
	}
	return "Auto: your message"
}

// isReference reports whether a stranger's Message-ID may stand in a header.
func isReference(id string) bool {
	return len(id) > 2 && len(id) <= 252 && strings.Count(id, "<") == 1 && strings.Count(id, ">") == 1 &&
		!strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' })
}
