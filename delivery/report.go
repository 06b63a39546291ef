package delivery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"strings"
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
	health   *store.Health // of the destination, if it is to be kept
}

// A report is an acceptance whose body can be read again, if the settlement has
// to be tried again.
type report struct {
	acceptance store.Acceptance
	body       []byte
}

// actions are what is reported, each in a report of its own.
var actions = []dsn.Action{dsn.Failed, dsn.Delayed, dsn.Delivered, dsn.Relayed, dsn.Expanded}

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
	for _, action := range actions {
		for _, n := range news(w, list, action) {
			if err := r.report(ctx, u, w, n); err != nil {
				r.log.ErrorContext(ctx, "report not written", "message", w.items[0].Message, "err", err)
				r.takeBack(w, list, fates, n)
			}
		}
	}
	for i := range list {
		u.outcomes = append(u.outcomes, list[i].outcome)
	}
	return u
}

// takeBack makes failures whose report could not be made into delays: it is our
// own trouble, and a failure without its report would be a silent loss. What is
// owed is tried again too; of what has been sent nobody hears then.
func (r *run) takeBack(w *work, list []judgement, fates []fate, n *telling) {
	now := r.d.Now()
	for k, i := range n.items {
		item, j := w.items[i], n.told[k]
		if item.Owed != 0 && now.Before(item.Expires) {
			j.outcome.Result, j.outcome.Events, j.outcome.Reply = store.Deferred, nil, untoldUnwritten
			j.outcome.Retry = r.d.Schedule.Next(now, item.Expires, item.Attempts+1, r.spread())
			continue
		}
		if n.action.IsSuccess() {
			j.last().Reason = untoldUnwritten
			continue
		}
		item.Expires = time.Time{} // not in this round
		item.Delayed = true
		f := fates[i]
		f.result = store.Deferred
		list[i] = r.d.Schedule.judge(item, f, now, r.spread())
	}
}

// A telling is one report that judgements of a work call for.
type telling struct {
	action dsn.Action
	to     mail.Address // who is told
	sender mail.Address // of the message, if that is somebody else
	items  []int        // of the work
	told   []*judgement
}

// news puts together what is told to one and the same about one action.
func news(w *work, list []judgement, action dsn.Action) []*telling {
	var all []*telling
	open := make(map[mail.Address]*telling)
	for i := range list {
		if n := list[i].notice; n == nil || n.action != action {
			continue
		}
		to, sender := teller(w.items[i])
		t := open[to]
		if t == nil {
			t = &telling{action: action, to: to, sender: sender}
			open[to], all = t, append(all, t)
		}
		t.items, t.told = append(t.items, i), append(t.told, &list[i])
	}
	return all
}

// teller says who is told of an item's fate: its sender, or who answers for the
// alias that forwards it, if nothing proves that its sender is who it says.
func teller(item store.QueueItem) (to, instead mail.Address) {
	if isUnproven(item) {
		return mail.Address{Local: "postmaster", Domain: item.Via.Domain}, senderOf(item)
	}
	return senderOf(item), mail.Address{}
}

// report writes a report and notes in the judgements which one it is. Its error
// is our own trouble.
func (r *run) report(ctx context.Context, u *unit, w *work, n *telling) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	a := store.Acceptance{At: r.d.Now(), Origin: store.FromUs}
	switch err := r.address(ctx, &a, n.to); {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrRefused):
		n.note(fmt.Sprintf("nobody is told: %s takes no mail", n.to))
		return nil
	case err != nil:
		return fmt.Errorf("find the sender: %w", err)
	}
	a.ID = r.d.Queue.NewMessageID()
	a.HeaderID = a.ID.String() + "@" + r.d.Hostname
	doc, err := r.compose(ctx, w, n, a)
	if err != nil {
		return err
	}
	a.Size = int64(len(doc.Body))
	a.Envelope = mail.Envelope{EightBit: doc.EightBit, UTF8: doc.UTF8}
	about := w.items[0].Message
	a.Accepted = store.Event{Protocol: "local", Size: a.Size, Report: &about}
	for _, j := range n.told {
		j.last().Report = &a.ID
	}
	if !n.sender.IsNull() {
		n.note(fmt.Sprintf("%s is told: nothing proves that it was %s who sent this", n.to, n.sender))
	}
	u.reports = append(u.reports, report{a, doc.Body})
	return nil
}

// note says in the trace who is told, or why nobody is.
func (n *telling) note(reason string) {
	for _, j := range n.told {
		j.last().Reason = reason
	}
}

// last is the event that says what somebody is told of.
func (j *judgement) last() *store.Event { return &j.outcome.Events[len(j.outcome.Events)-1] }

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

func (r *run) compose(ctx context.Context, w *work, n *telling, a store.Acceptance) (dsn.Document, error) {
	item := w.items[n.items[0]]
	report := dsn.Report{
		Hostname:   r.d.Hostname,
		ID:         a.HeaderID,
		At:         a.At,
		To:         n.to,
		Sender:     n.sender,
		Action:     n.action,
		Arrival:    item.Created,
		EnvelopeID: item.Envelope.ID,
		HeaderID:   item.HeaderID,
		Trace:      item.Message.String(),
		Return:     item.Envelope.Return,
		SevenBit:   len(a.Outbound) > 0,
	}
	for _, j := range n.told {
		recipient := j.notice.recipient
		recipient.Relay = relayIn(w.key)
		recipient.Backup = recipient.Cause == dsn.Unreachable && recipient.Relay == "" && r.isBackup(ctx, recipient.Address)
		report.Recipients = append(report.Recipients, recipient)
	}
	body, err := r.d.Queue.OpenMessage(ctx, item.Message)
	if err != nil {
		return dsn.Document{}, fmt.Errorf("open message: %w", err)
	}
	defer body.Close()
	report.Message, report.Size = body, body.Size
	return dsn.Compose(report)
}

// isBackup reports whether we only hold the mail of an address. Where that can't
// be told, the report says less.
func (r *run) isBackup(ctx context.Context, a mail.Address) bool {
	res, err := r.d.Directory.Resolve(ctx, a)
	return err == nil && res.Backup
}

// relayIn returns the host of the relay that a destination's key names, if it
// names one.
func relayIn(key string) string {
	rest, ok := strings.CutPrefix(key, "relay ")
	if !ok {
		return ""
	}
	hostport, _, _ := strings.Cut(rest, " ")
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return hostport
	}
	return host
}
