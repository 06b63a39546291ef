package admin

import (
	"context"
	"encoding/json"
	"slices"

	"postroom/store"
	"postroom/store/mail"
)

// undoings says by action how an entry of the journal is taken back. What isn't
// here can't be, and says why in notUndone. A new action needs a line, and a
// restorer if it is about something new.
var undoings = map[string]undoing{
	"domain.add":         domainRestorer.undoing(),
	"domain.remove":      domainRestorer.undoing(),
	"domain.recipients":  {planRecipients, undoRecipients},
	"account.change":     traitsRestorer.undoing(),
	"account.disable":    statusRestorer.undoing(),
	"account.enable":     statusRestorer.undoing(),
	"account.forward":    forwardRestorer.undoing(),
	"account.vacation":   vacationRestorer.undoing(),
	"sender.add":         senderRestorer.undoing(),
	"sender.remove":      senderRestorer.undoing(),
	"alias.change":       aliasRestorer.undoing(),
	"alias.add":          aliasRestorer.undoing(),
	"alias.remove":       aliasRestorer.undoing(),
	"route.add":          routeRestorer.undoing(),
	"route.change":       routeRestorer.undoing(),
	"route.remove":       routeRestorer.undoing(),
	"source.add":         sourceRestorer.undoing(),
	"source.change":      sourceRestorer.undoing(),
	"source.remove":      sourceRestorer.undoing(),
	"destination.pause":  pauseRestorer.undoing(),
	"destination.resume": pauseRestorer.undoing(),
	"list.block":         accessRestorer.undoing(),
	"list.allow":         accessRestorer.undoing(),
	"list.change":        accessRestorer.undoing(),
	"list.remove":        accessRestorer.undoing(),
	"limit.set":          limitRestorer.undoing(),
	"device.add":         deviceRestorer.undoing(),
	"device.change":      deviceRestorer.undoing(),
	"device.remove":      deviceRestorer.undoing(),
	"queue.hold":         {planRelease, undoHold},
	"queue.release":      {planHold, undoRelease},
}

// notUndone says by action why an entry of the journal can't be taken back.
var notUndone = map[string]string{
	"account.add":         "Removing an account removes its mail with it, so nothing does that in passing. Remove it on its own page.",
	"account.remove":      "The account's mail and its passwords are gone. Add the account again, or look for them in a backup.",
	"account.password":    "The old password isn't kept anywhere. Set a new one.",
	"app-password.add":    "Who uses the app password would be locked out. Remove it on the account's page, if that is what you want.",
	"app-password.remove": "The app password isn't kept anywhere. Make a new one on the account's page.",
	"dkim.make":           "The keys may have signed mail already. Renew them on the domain's page.",
	"dkim.start":          "The key has signed mail already. Renew the keys on the domain's page.",
	"dkim.rotate":         "The keys before may not sign again. Renew the keys on the domain's page.",
	"dkim.remove":         "The removed key is gone. Renew the keys on the domain's page.",
	"queue.retry":         "What has been tried again can't be untried.",
	"queue.cancel":        "Cancelled mail is gone.",
	"queue.return":        "The mail went back to its senders. They know about it, and can send it again.",
	"session.end":         "Whoever was signed in there can sign in again.",
	"session.end-all":     "Whoever was signed in there can sign in again.",
	"two-factor.on":       "Turn it off on the account's page, if somebody has lost the telephone.",
	"two-factor.off":      "The secret of the second factor is gone. It is set up again on the account's own page.",
	"two-factor.codes":    "The old recovery codes aren't kept anywhere. New ones can be made on the account's own page.",
	"login.forgive":       "There is nothing to take back: whoever guesses again is blocked again by itself.",
	"setup.admin":         "Without this administrator nobody could sign in. Make another one first, and then take the rights from this one on its page.",
	"setup.step":          "The guide can be gone through again at any time: its steps stay where they are, below /setup/domain.",
	"backup.take":         "A backup changes nothing here. Delete its file if it isn't wanted.",
}

var aliasRestorer = restorer[aliasState]{
	now: func(ctx context.Context, a *Admin, subject string, _ aliasState) (*aliasState, error) {
		source, err := parseSource(subject)
		if err != nil {
			return nil, err
		}
		aliases, err := a.Store.Aliases(ctx)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(aliases, func(alias store.Alias) bool { return alias.Source.Key() == source.Key() })
		if i < 0 {
			return nil, nil
		}
		return new(aliasStateOf(aliases[i])), nil
	},
	put: func(ctx context.Context, a *Admin, subject string, is, was *aliasState) (err error) {
		switch {
		case was == nil:
			_, err = a.RemoveAlias(ctx, subject)
		case is == nil:
			_, err = a.AddAlias(ctx, NewAlias{Source: subject, Targets: was.Targets})
		default:
			_, err = a.ChangeAlias(ctx, NewAlias{Source: subject, Targets: was.Targets})
		}
		return err
	},
}

var domainRestorer = restorer[domainState]{
	now: func(ctx context.Context, a *Admin, subject string, _ domainState) (*domainState, error) {
		return a.domainState(ctx, subject)
	},
	put: func(ctx context.Context, a *Admin, subject string, _, was *domainState) error {
		if was == nil {
			return a.RemoveDomain(ctx, subject)
		}
		_, err := a.AddDomain(ctx, AddDomain{Name: subject, Backup: was.Backup})
		return err
	},
	mayNot: func(ctx context.Context, a *Admin, subject string, was *domainState) error {
		if was == nil {
			return a.mayRemoveDomain(ctx, subject)
		}
		if was.Recipients != nil {
			return inUse("The list of %s's recipients went with it. Add the domain again as a backup domain, and set its list.", subject)
		}
		return nil
	},
	lost: func(was *domainState) string {
		switch {
		case was == nil:
			return "Its DKIM keys go with it."
		case was.Backup:
			return ""
		}
		return "Its DKIM keys don't come back: it gets new ones, whose records the DNS needs. Limits of its own don't come back either."
	},
}

// mayRemoveDomain fails with an *Error while a domain has accounts or aliases.
func (a *Admin) mayRemoveDomain(ctx context.Context, name string) error {
	domains, err := a.Domains(ctx)
	if err != nil {
		return err
	}
	for _, d := range domains {
		if d.Name == name && d.Accounts+d.Aliases > 0 {
			return a.domainInUse(ctx, name)
		}
	}
	return nil
}

var traitsRestorer = restorer[traitsState]{
	now: func(ctx context.Context, a *Admin, subject string, _ traitsState) (*traitsState, error) {
		account, err := a.account(ctx, subject)
		return new(traitsOf(account)), err
	},
	put: func(ctx context.Context, a *Admin, subject string, _, was *traitsState) error {
		_, err := a.ChangeAccount(ctx, ChangeAccount{Address: subject, Name: &was.Name, Quota: &was.Quota, Admin: &was.Admin})
		return err
	},
}

var statusRestorer = restorer[statusState]{
	now: func(ctx context.Context, a *Admin, subject string, _ statusState) (*statusState, error) {
		account, err := a.account(ctx, subject)
		return &statusState{statusWords[account.Standing()]}, err
	},
	put: func(ctx context.Context, a *Admin, subject string, _, was *statusState) error {
		if was.Status == statusWords[store.Enabled] {
			return a.EnableAccount(ctx, subject)
		}
		return a.DisableAccount(ctx, subject, was.Status == statusWords[store.DisabledRefusing])
	},
}

var routeRestorer = restorer[routeState]{
	now: func(ctx context.Context, a *Admin, _ string, like routeState) (*routeState, error) {
		routes, err := a.Store.Routes(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range routes {
			if r.Domain == like.Domain && forText(r.For) == like.From {
				return new(routeStateOf(r)), nil
			}
		}
		return nil, nil
	},
	put: func(ctx context.Context, a *Admin, _ string, is, was *routeState) (err error) {
		switch {
		case was == nil:
			return a.RemoveRoute(ctx, RemoveRoute{Domain: is.Domain, From: is.From})
		case is == nil:
			_, err = a.AddRoute(ctx, AddRoute{Domain: was.Domain, From: was.From, Host: was.Host, TLS: was.TLS})
		default:
			change := ChangeRoute{Domain: was.Domain, From: was.From, Host: &was.Host, TLS: &was.TLS}
			if is.User != was.User {
				change.User = &was.User
			}
			_, err = a.ChangeRoute(ctx, change)
		}
		return err
	},
	mayNot: func(_ context.Context, _ *Admin, _ string, was *routeState) error {
		if was != nil && was.Password != "" {
			return inUse("The route had a password, which the journal doesn't keep. Set the route up on the page of routes.")
		}
		return nil
	},
}

var sourceRestorer = restorer[sourceState]{
	now: func(ctx context.Context, a *Admin, _ string, like sourceState) (*sourceState, error) {
		sources, err := a.Store.Sources(ctx)
		if err != nil {
			return nil, err
		}
		for _, s := range sources {
			if state := sourceStateOf(s); state.IP == like.IP && state.For == like.For {
				return &state, nil
			}
		}
		return nil, nil
	},
	put: func(ctx context.Context, a *Admin, _ string, is, was *sourceState) (err error) {
		switch {
		case was == nil:
			return a.RemoveSource(ctx, RemoveSource{IP: is.IP, For: is.For})
		case is == nil:
			_, err = a.AddSource(ctx, AddSource{IP: was.IP, Name: was.Name, For: was.For})
		default:
			_, err = a.ChangeSource(ctx, ChangeSource{IP: was.IP, Name: was.Name, For: was.For})
		}
		return err
	},
}

var pauseRestorer = restorer[pauseState]{
	now: func(ctx context.Context, a *Admin, subject string, _ pauseState) (*pauseState, error) {
		ways, err := a.Store.Ways(ctx)
		return &pauseState{paused(ways.Paused, subject)}, err
	},
	put: func(ctx context.Context, a *Admin, subject string, _, was *pauseState) error {
		if was.Paused {
			return a.PauseDestination(ctx, subject)
		}
		return a.ResumeDestination(ctx, subject)
	},
}

var accessRestorer = restorer[accessState]{
	now: func(ctx context.Context, a *Admin, subject string, _ accessState) (*accessState, error) {
		what, err := parseWhat(subject)
		if err != nil {
			return nil, err
		}
		e, err := a.access(ctx, what)
		return accessStateOf(e), err
	},
	put: func(ctx context.Context, a *Admin, subject string, is, was *accessState) error {
		if was == nil {
			return a.RemoveAccess(ctx, RemoveAccess{Action: is.List, What: subject})
		}
		action, err := parseAction(was.List)
		if err != nil {
			return err
		}
		what, err := parseWhat(subject)
		if err != nil {
			return err
		}
		_, err = a.setAccess(ctx, store.AccessEntry{What: what, Action: action, Note: was.Note, Created: a.Now(), Expires: was.Expires})
		return err
	},
	mayNot: func(_ context.Context, a *Admin, subject string, was *accessState) error {
		if was != nil && (store.AccessEntry{Expires: was.Expires}).Ended(a.Now()) {
			return inUse("The entry for %s would have ended by now.", subject)
		}
		return nil
	},
}

var limitRestorer = restorer[limitState]{
	now: func(ctx context.Context, a *Admin, subject string, _ limitState) (*limitState, error) {
		owner, err := a.limitOwner(ctx, subject)
		if err != nil {
			return nil, err
		}
		sending, err := a.Store.Sending(ctx, owner)
		return new(limitStateOf(sending.Own)), err
	},
	put: func(ctx context.Context, a *Admin, subject string, _, was *limitState) error {
		_, err := a.SetLimit(ctx, SetLimit{
			Name: subject, MessagesPerHour: was.MessagesPerHour, MessagesPerDay: was.MessagesPerDay,
			RecipientsPerHour: was.RecipientsPerHour, RecipientsPerDay: was.RecipientsPerDay,
		})
		return err
	},
}

var deviceRestorer = restorer[deviceState]{
	now: func(ctx context.Context, a *Admin, subject string, _ deviceState) (*deviceState, error) {
		network, err := readDeviceNetwork(subject)
		if err != nil {
			return nil, err
		}
		return a.deviceState(ctx, network)
	},
	put: func(ctx context.Context, a *Admin, subject string, is, was *deviceState) (err error) {
		switch {
		case was == nil:
			return a.RemoveDevice(ctx, subject)
		case is == nil:
			_, err = a.AddDevice(ctx, AddDevice{Network: subject, Account: was.Account})
		default:
			_, err = a.MoveDevice(ctx, MoveDevice{Network: subject, Account: was.Account})
		}
		return err
	},
}

// planRecipients compares lists by how they differ: the journal keeps no more.
func planRecipients(ctx context.Context, a *Admin, c store.Change) (plan UndoPlan, err error) {
	was, is, err := noticedRecipients(c)
	if err != nil {
		return plan, err
	}
	if was.Many {
		return plan, inUse("Too many recipients were changed at once for the journal to name them. Set the list on the page of %s.", c.Subject)
	}
	had, err := a.Store.BackupRecipients(ctx, c.Subject)
	if err != nil {
		return plan, a.recipientsError(ctx, c.Subject, err)
	}
	same := is.Any == (had == nil) && is.Count == len(had) &&
		len(notIn(is.Only, had)) == 0 && len(notIn(was.Only, had)) == len(was.Only)
	if !same {
		return plan, conflict("The recipients of %s have been changed since. See the later entries about it, and undo those first.", c.Subject)
	}
	return UndoPlan{Now: rawOf(c.After), Then: rawOf(c.Before)}, nil
}

func undoRecipients(ctx context.Context, a *Admin, c store.Change, _ UndoPlan) error {
	was, is, err := noticedRecipients(c)
	if err != nil {
		return err
	}
	request := ChangeDomainRecipients{Name: c.Subject}
	switch {
	case was.Any:
		request.Any = true
	case is.Any:
		request.Set = append([]string{}, addressesAt(c.Subject, was.Only)...)
	default:
		request.Add, request.Remove = addressesAt(c.Subject, was.Only), addressesAt(c.Subject, is.Only)
	}
	_, err = a.ChangeDomainRecipients(ctx, request)
	return err
}

func noticedRecipients(c store.Change) (was, is recipientsState, err error) {
	if err = firstJSON(c.Before, &was); err == nil {
		err = firstJSON(c.After, &is)
	}
	return was, is, err
}

func addressesAt(domain string, locals []string) (list []string) {
	for _, local := range locals {
		list = append(list, mail.Address{Local: local, Domain: domain}.String())
	}
	return list
}

// planRelease lets mail go that was held, if that is all that is held of it.
func planRelease(ctx context.Context, a *Admin, c store.Change) (UndoPlan, error) {
	return planQueue(ctx, a, c, true, func(n int64) error {
		switch {
		case n == 0:
			return conflict("None of this mail is held any more.")
		case n != c.Touched:
			return conflict("This held %s, and %d of such mail are held now. Release what you mean on the page of the queue.",
				count(int(c.Touched), "recipient", "recipients"), n)
		}
		return nil
	})
}

// planHold holds again what is left of the mail that was let go.
func planHold(ctx context.Context, a *Admin, c store.Change) (UndoPlan, error) {
	return planQueue(ctx, a, c, false, func(n int64) error {
		switch {
		case n == 0:
			return conflict("None of this mail is in the queue any more: it was sent, or taken out.")
		case n > c.Touched:
			return conflict("This released %s, and %d of such mail wait now. Hold what you mean on the page of the queue.",
				count(int(c.Touched), "recipient", "recipients"), n)
		}
		return nil
	})
}

func planQueue(ctx context.Context, a *Admin, c store.Change, held bool, check func(int64) error) (plan UndoPlan, err error) {
	selection, err := selectionFrom(c.After, held)
	if err != nil {
		return plan, err
	}
	n, exact, err := a.CountQueue(ctx, selection)
	if err != nil {
		return plan, err
	}
	if !exact {
		return plan, inUse("This is too much mail to be sure of. Use the page of the queue.")
	}
	if err := check(n); err != nil {
		return plan, err
	}
	plan.Recipients = n
	plan.Now, err = json.Marshal(selection)
	plan.Then = plan.Now
	return plan, err
}

func selectionFrom(after string, held bool) (s QueueSelection, err error) {
	err = firstJSON(after, &s)
	s.Held = held
	return s, err
}

func undoHold(ctx context.Context, a *Admin, c store.Change, _ UndoPlan) error {
	return undoQueue(c, true, func(s QueueSelection) (int64, error) { return a.ReleaseQueue(ctx, s) })
}

func undoRelease(ctx context.Context, a *Admin, c store.Change, _ UndoPlan) error {
	return undoQueue(c, false, func(s QueueSelection) (int64, error) { return a.HoldQueue(ctx, s) })
}

func undoQueue(c store.Change, held bool, do func(QueueSelection) (int64, error)) error {
	selection, err := selectionFrom(c.After, held)
	if err == nil {
		_, err = do(selection)
	}
	return err
}
