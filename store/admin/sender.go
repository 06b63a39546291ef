package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"postroom/store"
)

// A SenderRight asks for an account to send as a further address, or not to any
// more.
type SenderRight struct {
	Address string `json:"address"`
	Sender  string `json:"sender"` // @example.org is every address of example.org
}

// A Sender is a further address that an account may send as.
type Sender struct {
	Sender  string    `json:"sender"`
	Created time.Time `json:"created"`
}

// AddSender lets an account send as a further address, with any tag, or as every
// address of a domain whose mail ends here.
func (a *Admin) AddSender(ctx context.Context, request SenderRight) (Sender, error) {
	account, err := a.account(ctx, request.Address)
	if err != nil {
		return Sender{}, err
	}
	address, err := parseSource(request.Sender)
	if err != nil {
		return Sender{}, err
	}
	if err := a.mustBeLocal(ctx, address.Domain); err != nil {
		return Sender{}, err
	}
	address.Local = strings.ToLower(address.Local)
	sender := store.Sender{Account: account.ID, Address: address, Created: a.Now()}
	noted := a.noting(ctx, "sender.add", account.Address.String(), nil, senderState{sourceText(address)})
	switch err := a.Store.AddSender(noted, sender); {
	case errors.Is(err, store.ErrConflict):
		return Sender{}, conflict("%s may send as %s already.", account.Address, sourceText(address))
	case errors.Is(err, store.ErrNotFound):
		return Sender{}, noDomain(address.Domain)
	case err != nil:
		return Sender{}, fmt.Errorf("let %s send as %s: %w", account.Address, sourceText(address), err)
	}
	return Sender{sourceText(address), sender.Created}, nil
}

// Senders returns the further addresses that an account may send as.
func (a *Admin) Senders(ctx context.Context, address string) ([]Sender, error) {
	account, err := a.account(ctx, address)
	if err != nil {
		return nil, err
	}
	return a.sendersOf(ctx, account.ID)
}

func (a *Admin) sendersOf(ctx context.Context, account store.AccountID) ([]Sender, error) {
	senders, err := a.Store.Senders(ctx, account)
	if err != nil {
		return nil, err
	}
	list := make([]Sender, len(senders))
	for i, s := range senders {
		list[i] = Sender{sourceText(s.Address), s.Created}
	}
	return list, nil
}

// RemoveSender takes back what AddSender gave.
func (a *Admin) RemoveSender(ctx context.Context, request SenderRight) error {
	account, err := a.account(ctx, request.Address)
	if err != nil {
		return err
	}
	address, err := parseSource(request.Sender)
	if err != nil {
		return err
	}
	address.Local = strings.ToLower(address.Local)
	noted := a.noting(ctx, "sender.remove", account.Address.String(), senderState{sourceText(address)}, nil)
	switch err := a.Store.RemoveSender(noted, account.ID, address); {
	case errors.Is(err, store.ErrNotFound):
		return notFound("%s was not let send as %s. Its own address and its aliases it may always use.", account.Address, sourceText(address))
	case err != nil:
		return fmt.Errorf("not let %s send as %s: %w", account.Address, sourceText(address), err)
	}
	return nil
}
