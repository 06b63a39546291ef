package admin

import (
	"context"
	"time"

	"postroom/store"
)

// A Trial is a test mail that goes the whole way: handed over by submission as a mail
// program does it, collected over POP3, and deleted.
type Trial struct {
	Address string       `json:"address"` // of the account that it is from and for
	Begun   time.Time    `json:"begun"`
	Ended   time.Time    `json:"ended,omitzero"` // zero while it is under way
	Stages  []TrialStage `json:"stages"`         // those that have begun, in order
	Message string       `json:"message"`        // its ID, once it was accepted
	Stopped bool         `json:"stopped,omitempty"`
}

// OK reports whether the mail went the whole way.
func (t Trial) OK() bool {
	return !t.Ended.IsZero() && len(t.Stages) == TrialStages && t.Stages[TrialStages-1].State == TrialDone
}

// Running reports whether the mail is under way.
func (t Trial) Running() bool { return t.Ended.IsZero() }

// A TrialStage is one part of the way.
type TrialStage struct {
	Kind  TrialKind     `json:"kind"`
	State TrialState    `json:"state"`
	Took  time.Duration `json:"took"` // so far
	// Said is the conversation, line by line, without passwords.
	Said []TrialLine `json:"said"`
	// TLS is such as "TLS 1.3", and Distrust why programs don't trust the certificate
	// without asking their user; both belong to the stages of encryption.
	TLS      string `json:"tls,omitempty"`
	Distrust string `json:"distrust,omitempty"`
	Problem  string `json:"problem,omitempty"` // why it failed, in the words of a program
}

// A TrialLine is something that was said.
type TrialLine struct {
	Server bool   `json:"server"` // by the server, otherwise by us
	Text   string `json:"text"`
}

// A TrialKind names a stage.
type TrialKind string

// The stages, in order.
const (
	TrialReachSubmission TrialKind = "reach-submission"
	TrialSecureSending   TrialKind = "secure-sending"
	TrialLoginToSend     TrialKind = "login-to-send"
	TrialSend            TrialKind = "send"
	TrialReachPOP3       TrialKind = "reach-pop3"
	TrialSecurePOP3      TrialKind = "secure-pop3"
	TrialLoginToCollect  TrialKind = "login-to-collect"
	TrialCollect         TrialKind = "collect"
	TrialDelete          TrialKind = "delete"

	// TrialStages is how many there are.
	TrialStages = 9
)

// A TrialState says how a stage stands.
type TrialState string

// What a TrialState can be.
const (
	TrialRunning TrialState = "running"
	TrialDone    TrialState = "done"
	TrialFailed  TrialState = "failed"
)

// A Trier sends test mails through the running server, one at a time. They end by
// themselves.
type Trier interface {
	// Start begins one for an account; false if another one is under way.
	Start(account store.Account) bool
	// Last returns the latest one; false if there was none since the server's start.
	Last() (Trial, bool)
	// Stop ends the one that is under way, if there is one.
	Stop()
}

// StartTrial sends a test mail to an account, from itself. Who watches it asks Trial.
func (a *Admin) StartTrial(ctx context.Context, address string) error {
	account, err := a.account(ctx, address)
	switch {
	case err != nil:
		return err
	case account.Disabled:
		return invalid("%s is disabled, so no mail program can log in with it. Enable it first, or choose another account.", account.Address)
	case a.Trials == nil:
		return invalid("The server isn't running, so it can't send a test mail. Start it: postroom serve")
	case !a.Trials.Start(account):
		return conflict("A test mail is under way already. Wait until it has arrived, or stop it.")
	}
	return nil
}

// Trial returns the latest test mail; false if there was none since the server's start.
func (a *Admin) Trial() (Trial, bool) {
	if a.Trials == nil {
		return Trial{}, false
	}
	return a.Trials.Last()
}

// StopTrial ends the test mail that is under way, if there is one.
func (a *Admin) StopTrial() {
	if a.Trials != nil {
		a.Trials.Stop()
	}
}
