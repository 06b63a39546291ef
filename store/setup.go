package store

import "errors"

// ErrHasAdmin says that somebody can sign in as an administrator already.
var ErrHasAdmin = errors.New("there is an administrator")

// A SetupStep is one of the steps of the guide that leads an administrator from an
// empty server to the first mail.
type SetupStep string

// The steps, in order. That there is an administrator is seen without a mark.
const (
	SetupDomain  SetupStep = "domain"
	SetupDNS     SetupStep = "dns"
	SetupAccount SetupStep = "account"
	SetupTest    SetupStep = "test"
)

// A SetupMark says how a step was left. A step without one is still to be done.
type SetupMark string

// The marks.
const (
	SetupDone    SetupMark = "done"
	SetupSkipped SetupMark = "skipped"
)
