package store

import "postroom/store/mail"

// A Forward sends the mail of an account on to other addresses. Mail that comes
// back to the account on its way enters the maildrop, and so does all that leads
// to nobody: nothing is lost. A disabled account forwards nothing.
type Forward struct {
	Targets []mail.Address // none: the account isn't forwarded
	Keep    bool           // a copy enters the account's own maildrop
}

// An AddressProblem is something that is wrong with where an alias or a forward
// leads, or surprising.
type AddressProblem struct {
	Kind   ProblemKind
	Target mail.Address // the target that has it; null where it is the alias's own address
	At     mail.Address // the address that it is about, which a target may lead to
}

// A ProblemKind says what the problem is with the address At.
type ProblemKind uint8

// The kinds of problems.
const (
	TargetUnknown  ProblemKind = iota + 1 // nobody has it
	TargetCaught                          // nobody has it, but the catch-all of its domain takes it
	TargetRefuses                         // it is an account's that takes no mail
	TargetDisabled                        // it is an account's whose mail nobody can collect
	TargetHeld                            // it is in a domain whose mail we only hold
	TargetUnlisted                        // … and isn't known to that domain
	TargetReturns                         // it is where the mail comes from, by a forward or a catch-all
	TargetLoops                           // … by aliases alone

	SourceTakesTag     // At, whose tag the alias is, gets no mail with that tag any more
	SourceLeadsNowhere // none of its targets leads to anybody
)
