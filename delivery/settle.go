package delivery

import (
	"bytes"
	"context"
	"time"

	"postroom/store"
)

// Bounds of one settlement.
const (
	maxSettled     = 500     // outcomes
	maxReportBytes = 4 << 20 // of reports
	maxUnsettled   = 200     // units that wait; a job that has another one waits too
)

// settleAll settles units until the channel is closed. It is the only one who
// does, so that what can't be committed stops everything behind it.
func (r *run) settleAll(ctx context.Context) {
	for first := range r.unsettled {
		r.settle(ctx, r.gather(first))
	}
}

// gather returns first and what else is waiting, within bounds.
func (r *run) gather(first *unit) []*unit {
	batch, n, size := []*unit{first}, len(first.outcomes), first.size()
	for n < maxSettled && size < maxReportBytes {
		select {
		case u, ok := <-r.unsettled:
			if !ok {
				return batch
			}
			batch, n, size = append(batch, u), n+len(u.outcomes), size+u.size()
		default:
			return batch
		}
	}
	return batch
}

func (u *unit) size() (n int64) {
	for _, rep := range u.reports {
		n += int64(len(rep.body))
	}
	return n
}

// settle commits a batch, and tries again until it can or ctx ends. Meanwhile
// nothing new is claimed or begun: what has been sent and can't be noted would
// be sent twice.
func (r *run) settle(ctx context.Context, batch []*unit) {
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		var err error
		if batch, err = r.commit(ctx, batch); err == nil {
			r.setStuck(false)
			return
		}
		r.setStuck(true)
		r.log.ErrorContext(ctx, "outcomes can't be kept, sending waits", "outcomes", count(batch), "err", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			if batch, err = r.commit(ctx, batch); err != nil {
				r.log.ErrorContext(ctx, "outcomes are lost, this mail may be sent twice", "outcomes", count(batch), "err", err)
			}
			return
		}
	}
}

// commit settles a batch in one step, or else one by one, so that a unit that
// can't be settled doesn't hold up the others. It returns what is left.
func (r *run) commit(ctx context.Context, batch []*unit) ([]*unit, error) {
	// A commit under way is waited for: only then do we know what happened.
	whole := context.WithoutCancel(ctx)
	err := r.d.Queue.Settle(whole, r.settlement(batch...))
	if err == nil {
		return nil, nil
	}
	if len(batch) == 1 {
		return batch, err
	}
	var left []*unit
	for _, u := range batch {
		failed := r.d.Queue.Settle(whole, r.settlement(u))
		if failed != nil {
			left, err = append(left, u), failed
		}
	}
	if len(left) == 0 {
		return nil, nil
	}
	return left, err
}

func (r *run) settlement(batch ...*unit) store.Settlement {
	s := store.Settlement{At: r.d.Now()}
	for _, u := range batch {
		s.Outcomes = append(s.Outcomes, u.outcomes...)
		if u.health != nil {
			s.Health = append(s.Health, *u.health)
		}
		for _, rep := range u.reports {
			rep.acceptance.Body = bytes.NewReader(rep.body)
			s.Reports = append(s.Reports, rep.acceptance)
		}
	}
	return s
}

func count(batch []*unit) (n int) {
	for _, u := range batch {
		n += len(u.outcomes)
	}
	return n
}
