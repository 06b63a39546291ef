package dsn

import (
	"slices"
	"strings"

	"postroom/store/mail"
)

// A group is recipients that one sentence can be said about.
type group struct {
	to     []Recipient
	quotes []quotation
}

// A quotation is what some of a group have in common: a server and its words.
type quotation struct {
	to   []Recipient
	mark string // what makes it the same
}

// groups puts together what has one reason, in the order of the first of each.
func groups(r Report) []group {
	var list []group
	index := make(map[string]int)
	for _, to := range r.Recipients {
		key := r.advice(to) + "\x00"
		if !r.Action.IsSuccess() {
			key += r.reason(to, false) + r.tried(to)
		}
		if r.forwarded(to) {
			key += "\x00forwarded"
		}
		i, ok := index[key]
		if !ok {
			i = len(list)
			index[key], list = i, append(list, group{})
		}
		list[i].add(to)
	}
	return list
}

func (g *group) add(to Recipient) {
	g.to = append(g.to, to)
	mark := to.Remote + "\x00" + alike(to)
	for i := range g.quotes {
		if g.quotes[i].mark == mark {
			g.quotes[i].to = append(g.quotes[i].to, to)
			return
		}
	}
	g.quotes = append(g.quotes, quotation{[]Recipient{to}, mark})
}

// alike is what was said about a recipient, without the address: servers repeat
// it in their words.
func alike(to Recipient) string {
	words := strings.ToLower(to.Words + "\x00" + to.Detail)
	words = strings.ReplaceAll(words, strings.ToLower(to.Address.String()), "\x00")
	if len(to.Address.Local) > 1 {
		words = strings.ReplaceAll(words, strings.ToLower(to.Address.Local), "\x00")
	}
	return words
}

// names are the addresses of recipients as the reader knows them, each once.
func (r Report) names(list []Recipient) []string {
	var names []string
	seen := make(map[mail.Address]bool)
	for _, to := range list {
		if a := r.known(to); !seen[a] {
			seen[a] = true
			names = append(names, shown(a))
		}
	}
	return names
}

// aliases are the addresses from which the recipients' mail is forwarded.
func aliases(list []Recipient) []string {
	var names []string
	for _, to := range list {
		if name := shown(to.Via); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// enumerate joins names in a sentence. Too many for that are counted; they are
// listed below then.
func enumerate(names []string) (phrase string, all bool) {
	n := len(names)
	switch {
	case n == 1:
		return names[0], true
	case n <= 3 && len(strings.Join(names, ", ")) <= 200:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1], true
	}
	return count(n, "recipient"), false
}
