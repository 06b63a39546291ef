package web

import (
	"net/url"
	"strconv"
	"strings"

	"postroom/store"
	"postroom/store/admin"
	"postroom/web/phrase"
)

// A queueFilter is what a page of the queue is about.
type queueFilter struct {
	Message string // an ID or a Message-ID
	Domain  string
	Sender  string
	Age     string // how old at least, one of ages
	Reply   string // what the last answer holds
	Held    bool
}

// queueFields are a filter's names in forms and URLs.
func (f *queueFilter) fields() map[string]*string {
	return map[string]*string{"id": &f.Message, "domain": &f.Domain, "sender": &f.Sender, "age": &f.Age, "reply": &f.Reply}
}

func filterIn(get func(string) string) (f queueFilter) {
	for name, field := range f.fields() {
		*field = strings.TrimSpace(get(name))
	}
	f.Held = get("held") != ""
	return f
}

// Any reports whether anything is left out.
func (f queueFilter) Any() bool { return f != queueFilter{} }

// Named reports whether whose mail is meant is said.
func (f queueFilter) Named() bool { return f.Message != "" || f.Domain != "" || f.Sender != "" }

// Ages are how old mail can be asked to be at least.
func (f queueFilter) Ages() []choice {
	choices := []choice{{"", phrase.AnyAge, f.Age == ""}}
	for _, age := range []string{"1h", "4h", "1d", "3d"} {
		choices = append(choices, choice{age, phrase.OlderThan(age), f.Age == age})
	}
	return choices
}

// Text says what of the queue it is, behind a number.
func (f queueFilter) Text() string {
	return f.part().Text()
}

func (f queueFilter) part() phrase.QueuePart {
	return phrase.QueuePart{Message: f.Message, Domain: f.Domain, Sender: f.Sender, Age: f.Age, Reply: f.Reply, Held: f.Held}
}

// ReturnURL is the page that asks before all of it goes back.
func (f queueFilter) ReturnURL() string { return "/queue/return?" + f.all().Encode() }

// Hidden are the fields that mean all of it in a form.
func (f queueFilter) Hidden() (hidden []hiddenField) {
	for name, values := range f.all() {
		hidden = append(hidden, hiddenField{name, values[0]})
	}
	return hidden
}

// all is the query that means all of it: what names nobody has to say so.
func (f queueFilter) all() url.Values {
	query := f.query()
	if !f.Named() {
		query.Set("scope", "all")
	}
	return query
}

func (f queueFilter) query() url.Values {
	query := make(url.Values)
	for name, field := range f.fields() {
		if *field != "" {
			query.Set(name, *field)
		}
	}
	if f.Held {
		query.Set("held", "yes")
	}
	return query
}

func (f queueFilter) url(after store.QueueID) string {
	query := f.query()
	if after != 0 {
		query.Set("after", strconv.FormatInt(int64(after), 10))
	}
	if len(query) == 0 {
		return "/queue"
	}
	return "/queue?" + query.Encode()
}

func (f queueFilter) selection() admin.QueueSelection {
	return admin.QueueSelection{Message: f.Message, Domain: f.Domain, Sender: f.Sender, Held: f.Held, OlderThan: f.Age, Reply: f.Reply}
}
