package admin

import (
	"context"
	"slices"

	"postroom/store"
)

var forwardRestorer = restorer[forwardState]{
	now: func(ctx context.Context, a *Admin, subject string, _ forwardState) (*forwardState, error) {
		account, err := a.account(ctx, subject)
		if err != nil {
			return nil, err
		}
		f, err := a.Store.Forward(ctx, account.ID)
		return forwardStateOf(f), err
	},
	put: func(ctx context.Context, a *Admin, subject string, _, was *forwardState) error {
		request := SetForward{Address: subject}
		if was != nil {
			request.Targets, request.Keep = was.Targets, was.Keep
		}
		_, err := a.SetForward(ctx, request)
		return err
	},
}

var vacationRestorer = restorer[vacationState]{
	now: func(ctx context.Context, a *Admin, subject string, _ vacationState) (*vacationState, error) {
		account, err := a.account(ctx, subject)
		if err != nil {
			return nil, err
		}
		v, err := a.Store.Vacation(ctx, account.ID)
		return a.vacationStateOf(v), err
	},
	put: func(ctx context.Context, a *Admin, subject string, _, was *vacationState) error {
		account, err := a.account(ctx, subject)
		if err != nil {
			return err
		}
		var v store.Vacation
		if was != nil {
			if v, err = a.parseVacation(was.request()); err != nil {
				return err
			}
		}
		_, err = a.setVacation(ctx, account, v)
		return err
	},
	mayNot: func(_ context.Context, a *Admin, _ string, was *vacationState) error {
		if was == nil {
			return nil
		}
		_, err := a.parseVacation(was.request())
		return err
	},
}

func (s vacationState) request() SetVacation {
	return SetVacation{On: s.On, Subject: s.Subject, Text: s.Text, From: s.From, Until: s.Until}
}

var senderRestorer = restorer[senderState]{
	now: func(ctx context.Context, a *Admin, subject string, like senderState) (*senderState, error) {
		list, err := a.Senders(ctx, subject)
		if err != nil || !slices.ContainsFunc(list, func(s Sender) bool { return s.Sender == like.Sender }) {
			return nil, err
		}
		return &like, nil
	},
	put: func(ctx context.Context, a *Admin, subject string, is, was *senderState) error {
		if was == nil {
			return a.RemoveSender(ctx, SenderRight{Address: subject, Sender: is.Sender})
		}
		_, err := a.AddSender(ctx, SenderRight{Address: subject, Sender: was.Sender})
		return err
	},
}
