package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"postroom/store/admin"
	"postroom/store/zone"
)

// Requests of operations that admin takes as plain arguments.
type (
	accountRequest struct {
		Address  string `json:"address"`
		Password string `json:"password,omitempty"`
		Refuse   bool   `json:"refuse,omitempty"`
		Name     string `json:"name,omitempty"` // of an app password
		// AnyPassword is as in admin.NewAccount.
		AnyPassword bool `json:"any_password,omitempty"`
	}
	nameRequest  struct{ Name string }
	textRequest  struct{ Text string }
	fileRequest  struct{ File string }
	changedQueue struct{ Recipients int64 }
)

// operations returns the handler that the command line speaks to, through the
// control socket or directly. The journal has for all of them which user of this
// host asks.
func operations(a *admin.Admin, ready func() error) http.Handler {
	mux := http.NewServeMux()
	handle(mux, "ready", act(func(context.Context, nothing) error { return ready() }))

	handle(mux, "domain/add", a.AddDomain)
	handle(mux, "domain/list", plain(a.Domains))
	handle(mux, "domain/remove", act(func(ctx context.Context, r nameRequest) error { return a.RemoveDomain(ctx, r.Name) }))

	handle(mux, "domain/recipients", func(ctx context.Context, r admin.ChangeDomainRecipients) (admin.DomainRecipients, error) {
		return a.DomainRecipients(ctx, r.Name)
	})
	handle(mux, "domain/set-recipients", a.ChangeDomainRecipients)

	handle(mux, "dkim/list", func(ctx context.Context, r nameRequest) ([]admin.DKIMKey, error) { return a.DKIMKeys(ctx, r.Name) })
	handle(mux, "dkim/rotate", a.RotateDKIM)
	handle(mux, "dkim/remove", act(a.RemoveDKIMKey))

	handle(mux, "account/add", a.AddAccount)
	handle(mux, "account/list", plain(a.Accounts))
	handle(mux, "account/show", func(ctx context.Context, r accountRequest) (admin.Account, error) { return a.Account(ctx, r.Address) })
	handle(mux, "account/change", a.ChangeAccount)
	handle(mux, "account/passwd", act(func(ctx context.Context, r accountRequest) error {
		if r.AnyPassword {
			return a.SetAnyPassword(ctx, r.Address, r.Password)
		}
		return a.SetPassword(ctx, r.Address, r.Password)
	}))
	handle(mux, "account/disable", act(func(ctx context.Context, r accountRequest) error { return a.DisableAccount(ctx, r.Address, r.Refuse) }))
	handle(mux, "account/enable", act(func(ctx context.Context, r accountRequest) error { return a.EnableAccount(ctx, r.Address) }))
	handleLong(mux, "account/remove", func(ctx context.Context, r accountRequest) (admin.RemovedAccount, error) {
		return a.RemoveAccount(ctx, r.Address)
	})
	handle(mux, "account/sessions", func(ctx context.Context, r accountRequest) ([]admin.Session, error) {
		return a.Sessions(ctx, r.Address)
	})
	handle(mux, "account/end-sessions", func(ctx context.Context, r accountRequest) (int64, error) {
		return a.EndSessions(ctx, r.Address, 0)
	})
	handle(mux, "account/two-factor", func(ctx context.Context, r accountRequest) (admin.TwoFactor, error) {
		return a.TwoFactor(ctx, r.Address)
	})
	handle(mux, "account/two-factor-off", act(func(ctx context.Context, r accountRequest) error {
		return a.TurnTwoFactorOff(ctx, r.Address)
	}))
	handle(mux, "app-password/add", func(ctx context.Context, r accountRequest) (string, error) {
		return a.AddAppPassword(ctx, r.Address, r.Name)
	})
	handle(mux, "app-password/list", func(ctx context.Context, r accountRequest) ([]admin.AppPassword, error) {
		return a.AppPasswords(ctx, r.Address)
	})
	handle(mux, "app-password/remove", act(func(ctx context.Context, r accountRequest) error {
		return a.RemoveAppPassword(ctx, r.Address, r.Name)
	}))

	handle(mux, "alias/add", a.AddAlias)
	handle(mux, "alias/change", a.ChangeAlias)
	handle(mux, "alias/list", plain(func(ctx context.Context) ([]admin.Alias, error) {
		list, err := a.Aliases(ctx)
		if err != nil {
			return nil, err
		}
		return a.InspectAliases(ctx, list)
	}))
	handle(mux, "alias/remove", func(ctx context.Context, r nameRequest) (admin.Alias, error) { return a.RemoveAlias(ctx, r.Name) })

	handle(mux, "certificate/list", plain(a.Certificates))

	handle(mux, "dns/list", plain(a.AllDNS))
	handle(mux, "dns/show", func(ctx context.Context, r nameRequest) (zone.Report, error) { return a.DNS(ctx, r.Name) })

	handle(mux, "journal/list", a.Journal)
	handle(mux, "journal/show", func(ctx context.Context, r changeRequest) (admin.JournalEntry, error) {
		return a.JournalEntry(ctx, r.ID)
	})
	handle(mux, "journal/undo", func(ctx context.Context, r changeRequest) (admin.JournalEntry, error) { return a.Undo(ctx, r.ID) })

	handlePersonal(mux, a)
	handleSending(mux, a)
	handleWays(mux, a)
	handleQueue(mux, a)
	handleChecks(mux, a)

	handle(mux, "trace", a.SearchTrace)
	mux.HandleFunc("POST /backup", func(w http.ResponseWriter, r *http.Request) { serveBackup(w, r, a) })
	return signed(mux)
}

// handlePersonal adds the operations on what people make of their accounts.
func handlePersonal(mux *http.ServeMux, a *admin.Admin) {
	handle(mux, "account/forward", func(ctx context.Context, r accountRequest) (admin.Forward, error) { return a.Forward(ctx, r.Address) })
	handle(mux, "account/set-forward", a.SetForward)
	handle(mux, "account/vacation", func(ctx context.Context, r accountRequest) (admin.Vacation, error) { return a.Vacation(ctx, r.Address) })
	handle(mux, "account/set-vacation", a.SetVacation)
	handle(mux, "account/end-vacation", func(ctx context.Context, r accountRequest) (admin.Vacation, error) {
		return a.EndVacation(ctx, r.Address)
	})
	handle(mux, "sender/add", a.AddSender)
	handle(mux, "sender/list", func(ctx context.Context, r accountRequest) ([]admin.Sender, error) { return a.Senders(ctx, r.Address) })
	handle(mux, "sender/remove", act(a.RemoveSender))
}

// handleSending adds the operations on who may send how much.
func handleSending(mux *http.ServeMux, a *admin.Admin) {
	handle(mux, "limit/set", a.SetLimit)
	handle(mux, "limit/list", plain(a.AllLimits))
	handle(mux, "limit/show", func(ctx context.Context, r nameRequest) (admin.Limits, error) { return a.Limits(ctx, r.Name) })
	handle(mux, "device/add", a.AddDevice)
	handle(mux, "device/list", plain(a.Devices))
	handle(mux, "device/move", a.MoveDevice)
	handle(mux, "device/remove", act(func(ctx context.Context, r nameRequest) error { return a.RemoveDevice(ctx, r.Name) }))
}

// handleWays adds the operations on how mail leaves.
func handleWays(mux *http.ServeMux, a *admin.Admin) {
	handle(mux, "route/add", a.AddRoute)
	handle(mux, "route/list", plain(a.Routes))
	handle(mux, "route/change", a.ChangeRoute)
	handle(mux, "route/remove", act(a.RemoveRoute))
	handle(mux, "source/add", a.AddSource)
	handle(mux, "source/list", plain(a.Sources))
	handle(mux, "source/change", a.ChangeSource)
	handle(mux, "source/remove", act(a.RemoveSource))
}

// handleChecks adds the operations on mail that might come, and on who guesses
// passwords.
func handleChecks(mux *http.ServeMux, a *admin.Admin) {
	handle(mux, "check/spf", a.CheckSPF)
	handle(mux, "check/dkim", a.CheckDKIM)
	handle(mux, "check/dmarc", a.CheckDMARC)
	handle(mux, "check/message", a.CheckMessage)
	handle(mux, "check/delivery", a.PreviewDelivery)
	handle(mux, "access/add", a.AddAccess)
	handle(mux, "access/list", func(ctx context.Context, r nameRequest) ([]admin.AccessEntry, error) {
		return a.AccessEntries(ctx, r.Name)
	})
	handle(mux, "access/change", a.ChangeAccess)
	handle(mux, "access/remove", act(a.RemoveAccess))
	handle(mux, "concerns", plain(a.Concerns))
	handle(mux, "login/blocks", plain(a.LoginBlocks))
	handle(mux, "login/forgive", func(ctx context.Context, r nameRequest) ([]admin.LoginBlock, error) {
		return a.ForgiveLogins(ctx, r.Name)
	})
}

// handleQueue adds the operations on what waits.
func handleQueue(mux *http.ServeMux, a *admin.Admin) {
	mux.HandleFunc("POST /queue/list", func(w http.ResponseWriter, r *http.Request) { serveQueue(w, r, a) })
	handle(mux, "queue/show", func(ctx context.Context, r textRequest) ([]admin.ShownQueueItem, error) {
		return a.ShowQueue(ctx, r.Text)
	})
	handle(mux, "queue/destinations", plain(a.Destinations))
	handle(mux, "queue/pause", act(func(ctx context.Context, r nameRequest) error { return a.PauseDestination(ctx, r.Name) }))
	handle(mux, "queue/resume", act(func(ctx context.Context, r nameRequest) error { return a.ResumeDestination(ctx, r.Name) }))
	handleLong(mux, "queue/retry", counted(a.RetryQueue))
	handleLong(mux, "queue/hold", counted(a.HoldQueue))
	handleLong(mux, "queue/release", counted(a.ReleaseQueue))
	handleLong(mux, "queue/cancel", counted(a.CancelQueue))
}

// counted adapts a change of the queue.
func counted(f func(context.Context, admin.QueueSelection) (int64, error)) func(context.Context, admin.QueueSelection) (changedQueue, error) {
	return func(ctx context.Context, s admin.QueueSelection) (changedQueue, error) {
		n, err := f(ctx, s)
		return changedQueue{n}, err
	}
}

// A backupStep is one line of the answer to a backup: how far it is, or how it
// ended.
type backupStep struct {
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
	Ended bool   `json:"ended,omitempty"`
	Error string `json:"error,omitempty"`
}

// serveBackup takes a backup and tells how far it is, a line a step. It ends
// when whoever asked has gone.
func serveBackup(w http.ResponseWriter, r *http.Request, a *admin.Admin) {
	var req fileRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&req); err != nil {
		answer(w, http.StatusBadRequest, controlError{err.Error()})
		return
	}
	steps := json.NewEncoder(w)
	flush := http.NewResponseController(w)
	say := func(s backupStep) {
		_ = errors.Join(steps.Encode(s), flush.Flush()) // if it has gone, r's context ends
	}
	end := backupStep{Ended: true}
	if err := a.Backup(r.Context(), req.File, func(done, total int64) { say(backupStep{Done: done, Total: total}) }); err != nil {
		end.Error = err.Error()
	}
	say(end)
}
