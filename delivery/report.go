package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postroom/delivery/dsn"
	"postroom/store"
	"postroom/store/mail"
)

// A unit is what is settled together: the outcomes of one work and the reports
// that they cause.
type unit struct {
	outcomes []store.Outcome
	reports  []report
	domains  []string // of the outcomes' recipients, for the books
}

// A report is an acceptance whose body can be read again, if the settlement has
// to be tried again.
type report struct {
	acceptance store.Acceptance
	body       []byte
}

// conclude makes a unit of the fates of a work.
func (r *run) conclude(ctx context.Context, w *work, fates []fate) *unit {
	// One spread for all recipients: they come due together, and share the next
	// transaction and what their sender is told.
	now, spread := r.d.Now(), r.spread()
	list := make([]judgement, len(w.items))
	for i, item := range w.items {
		list[i] = r.d.Schedule.judge(item, fates[i], now, spread)
	}
	u := &unit{}
	for _, action := range []dsn.Action{dsn.Failed, dsn.Delayed} {
		if err := r.report(ctx, u, w, list, action); err != nil {
			r.log.ErrorContext(ctx, "report not written", "message", w.items[0].Message, "err", err)
			r.takeBack(w, list, fates, action)
		}
	}
	for i := range list {
		u.outcomes = append(u.outcomes, list[i].outcome)
		u.domains = append(u.domains, w.items[i].Domain)
	}
	return u
}

// takeBack makes failures whose report could not be made into delays: it is our
// own trouble, and a failure without its report would be a silent loss.
func (r *run) takeBack(w *work, list []judgement, fates []fate, action dsn.Action) {
	now := r.d.Now()
	for i, item := range w.items {
		if n := list[i].notice; n == nil || n.action != action {
			continue
		}
		item.Expires = time.Time{} // not in this round
		item.Delayed = true
		f := fates[i]
		f.result = store.Deferred
		list[i] = r.d.Schedule.judge(item, f, now, r.spread())
	}
}

// report writes the report of one kind that the judgements call for, if any, and
// notes in them which one it is. Its error is our own trouble.
func (r *run) report(ctx context.Context, u *unit, w *work, list []judgement, action dsn.Action) error {
	var told []*judgement
	for i := range list {
		if n := list[i].notice; n != nil && n.action == action {
			told = append(told, &list[i])
		}
	}
	if len(told) == 0 {
		return nil
	}
	item := w.items[0]
	a := store.Acceptance{At: r.d.Now(), Origin: store.FromUs}
	switch err := r.address(ctx, &a, item.Sender); {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrRefused):
		untold(told, "nobody is told: the sender's address takes no mail")
		return nil
	case err != nil:
		return fmt.Errorf("find the sender: %w", err)
	}
	a.ID = r.d.Queue.NewMessageID()
	a.HeaderID = a.ID.String() + "@" + r.d.Hostname
	doc, err := r.compose(ctx, item, told, action, a)
	if err != nil {
		return err
	}
	a.Size = int64(len(doc.Body))
	a.Envelope = mail.Envelope{EightBit: doc.EightBit, UTF8: doc.UTF8}
	about := item.Message
	a.Accepted = store.Event{Protocol: "local", Size: a.Size, Report: &about}
	for _, j := range told {
		j.outcome.Events[len(j.outcome.Events)-1].Report = &a.ID
	}
	u.reports = append(u.reports, report{a, doc.Body})
	return nil
}

// untold notes why there is no report.
func untold(told []*judgement, reason string) {
	for _, j := range told {
		j.outcome.Events[len(j.outcome.Events)-1].Reason = reason
	}
}

// address says where a report to sender goes.
func (r *run) address(ctx context.Context, a *store.Acceptance, sender mail.Address) error {
	res, err := r.d.Directory.Resolve(ctx, sender)
	if err != nil {
		return err
	}
	for _, to := range res.Destinations {
		if to.Account != 0 {
			a.Local = append(a.Local, store.LocalDelivery{Account: to.Account, Recipient: sender})
			continue
		}
		out := store.Outbound{Recipient: mail.Recipient{Address: to.Remote, Notify: mail.NotifyNever}}
		if res.Ours {
			out.Via = sender
		}
		a.Outbound = append(a.Outbound, out)
	}
	if len(a.Local)+len(a.Outbound) == 0 {
		return store.ErrNotFound
	}
	return nil
}

func (r *run) compose(ctx context.Context, item store.QueueItem, told []*judgement, action dsn.Action, a store.Acceptance) (dsn.Document, error) {
	report := dsn.Report{
		Hostname:   r.d.Hostname,
		ID:         a.HeaderID,
		At:         a.At,
		To:         item.Sender,
		Action:     action,
		Arrival:    item.Created,
		EnvelopeID: item.Envelope.ID,
		Return:     item.Envelope.Return,
	}
	for _, j := range told {
		report.Recipients = append(report.Recipients, j.notice.recipient)
	}
	body, err := r.d.Queue.OpenMessage(ctx, item.Message)
	if err != nil {
		return dsn.Document{}, fmt.Errorf("open message: %w", err)
	}
	defer body.Close()
	report.Message, report.Size = body, body.Size
	return dsn.Compose(report)
}
