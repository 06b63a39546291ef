package admin

import (
	"fmt"
	"slices"

	"postroom/store"
	"postroom/store/mail"
)

// An addressProblem is a store.AddressProblem in words.
type addressProblem store.AddressProblem

// lasting are the problems that are worth a sentence for as long as they are there;
// the others are only what should be known before saving.
var lasting = []store.ProblemKind{
	store.TargetUnknown, store.TargetCaught, store.TargetRefuses, store.TargetDisabled, store.TargetUnlisted,
	store.TargetReturns, store.TargetLoops, store.SourceLeadsNowhere,
}

// problemsOf says problems in sentences, each once.
func problemsOf(list []store.AddressProblem, forward bool) []string {
	var sentences []string
	for _, p := range list {
		sentence := addressProblem(p).alias()
		if forward {
			sentence = addressProblem(p).forward()
		}
		if !slices.Contains(sentences, sentence) {
			sentences = append(sentences, sentence)
		}
	}
	return sentences
}

// where names the address that the problem is about, and what leads there.
func (p addressProblem) where() string {
	if p.At.Key() == p.Target.Key() {
		return p.At.String()
	}
	return fmt.Sprintf("%s (where %s leads)", p.At, p.Target)
}

// alias is the problem with an alias.
func (p addressProblem) alias() string {
	switch p.Kind {
	case store.TargetReturns, store.TargetLoops:
		return fmt.Sprintf("%s leads back to where the mail comes from.", sourceText(p.Target))
	case store.SourceTakesTag:
		return fmt.Sprintf("It takes the mail with this tag away from %s.", p.At)
	case store.SourceLeadsNowhere:
		return "None of its targets takes mail, so mail for it is refused."
	}
	return p.target()
}

// forward is the problem with a forward.
func (p addressProblem) forward() string {
	switch p.Kind {
	case store.TargetReturns, store.TargetLoops:
		return fmt.Sprintf("%s leads back to this account, so a copy stays in its maildrop.", p.Target)
	case store.SourceLeadsNowhere:
		return "None of the addresses takes mail, so all of it stays in the maildrop."
	}
	return p.target()
}

func (p addressProblem) target() string {
	switch p.Kind {
	case store.TargetUnknown:
		return fmt.Sprintf("Nobody has the address %s: nothing arrives there.", p.where())
	case store.TargetCaught:
		return fmt.Sprintf("Nobody has the address %s: the catch-all of %s takes its mail.", p.where(), p.At.Domain)
	case store.TargetRefuses:
		return fmt.Sprintf("The account %s is disabled, and its mail refused: nothing arrives there.", p.where())
	case store.TargetDisabled:
		return fmt.Sprintf("The account %s is disabled: mail arrives there, but nobody can collect it.", p.where())
	case store.TargetHeld:
		return fmt.Sprintf("Mail for %s is only held here, until its own server takes it.", p.where())
	}
	return fmt.Sprintf("%s is none of the known recipients of %s: its own server may refuse the mail.", p.where(), p.At.Domain)
}

// onceEach leaves out addresses that were there before.
func onceEach(list []mail.Address) []mail.Address {
	var once []mail.Address
	for _, a := range list {
		if !slices.ContainsFunc(once, func(b mail.Address) bool { return a.Key() == b.Key() }) {
			once = append(once, a)
		}
	}
	return once
}

// parseTargets reads where mail is to go.
func parseTargets(texts []string) ([]mail.Address, error) {
	var list []mail.Address
	for _, text := range texts {
		target, err := parseAddress(text)
		if err != nil {
			return nil, err
		}
		list = append(list, target)
	}
	return onceEach(list), nil
}

func addressTexts(list []mail.Address) []string {
	texts := make([]string, len(list))
	for i, a := range list {
		texts[i] = a.String()
	}
	return texts
}
