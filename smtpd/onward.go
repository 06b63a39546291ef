package smtpd

import (
	"time"

	"postroom/smtpd/srs"
	"postroom/store"
	"postroom/store/mail"
)

// An onward works out where a message goes: into each maildrop once, and once to
// each remote address, however many recipients lead there.
type onward struct {
	*store.Acceptance
	rewriter *srs.Rewriter // of what is forwarded; nil: the sender stays as it is
	held     time.Time     // until when mail for backup domains is kept

	local  map[store.AccountID]bool
	remote map[mail.Address]int // to the index in Outbound
	owed   map[mail.Address]bool
}

// address fills in where the message goes, and what reports are owed for it.
func (s *session) address(a *store.Acceptance) error {
	rewriter, err := s.rewriterOfForwards()
	if err != nil {
		return err
	}
	o := onward{
		Acceptance: a,
		rewriter:   rewriter,
		held:       a.At.Add(s.backupExpire()),
		local:      make(map[store.AccountID]bool),
		remote:     make(map[mail.Address]int),
	}
	for _, r := range s.mail.recipients {
		o.add(r)
	}
	return nil
}

func (o *onward) add(r recipient) {
	for _, d := range r.to.Destinations {
		if d.Account != 0 {
			o.deliver(r, d.Account)
		} else {
			o.send(r, d.Remote)
		}
	}
	if kind := o.owes(r); kind != 0 && !o.owed[r.Address] {
		o.owe(r.Recipient, kind)
	}
}

func (o *onward) owe(r mail.Recipient, kind store.Owed) {
	if o.owed == nil { // few messages ask for a report
		o.owed = make(map[mail.Address]bool)
	}
	o.owed[r.Address] = true
	o.Owed = append(o.Owed, store.OwedReport{Recipient: r, Kind: kind})
}

func (o *onward) deliver(r recipient, to store.AccountID) {
	if !o.local[to] {
		o.local[to] = true
		o.Local = append(o.Local, store.LocalDelivery{Account: to, Recipient: r.Address})
	}
}

func (o *onward) send(r recipient, to mail.Address) {
	out := o.outbound(r, to)
	if i, again := o.remote[to]; again {
		first := &o.Outbound[i].Recipient
		first.Notify = joint(first.Notify, out.Recipient.Notify)
		return
	}
	o.remote[to] = len(o.Outbound)
	o.Outbound = append(o.Outbound, out)
}

func (o *onward) outbound(r recipient, to mail.Address) store.Outbound {
	out := store.Outbound{Sender: o.Envelope.Sender, Recipient: r.Recipient}
	if r.to.Backup {
		out.Expires = o.held
	}
	if to == r.Address {
		return out
	}
	out.Via, out.Recipient.Address = r.Address, to
	if out.Recipient.Original == "" {
		out.Recipient.Original = originalOf(r.Address)
	}
	if len(r.to.Destinations) > 1 {
		out.Recipient.Notify = withoutSuccess(r.Notify)
	}
	if r.isForwarded() && o.rewriter != nil {
		// A sender that is too long to be rewritten stays: SPF may fail then, but
		// with any other sender a bounce would surely be lost.
		if sender, ok := o.rewriter.Forward(out.Sender, r.Address.Domain); ok {
			out.Sender = sender
		}
	}
	return out
}

// owes returns what report of success is owed for a recipient, if any: what goes
// to one other server is for that one to report (RFC 3461 5.2.7).
func (o *onward) owes(r recipient) store.Owed {
	switch to := r.to.Destinations; {
	case o.Envelope.Sender.IsNull(), r.Notify&mail.NotifySuccess == 0:
		return 0
	case len(to) > 1:
		return store.OwedExpanded
	case len(to) == 1 && to[0].Account != 0:
		return store.OwedDelivered
	}
	return 0
}

// isForwarded reports whether an address of ours leads to another server.
func (r recipient) isForwarded() bool {
	if !r.to.Ours || r.to.Backup {
		return false
	}
	for _, d := range r.to.Destinations {
		if d.Account == 0 {
			return true
		}
	}
	return false
}

// forwards reports whether the message is forwarded for any of its recipients.
func (t *transaction) forwards() bool {
	for _, r := range t.recipients {
		if r.isForwarded() {
			return true
		}
	}
	return false
}
