package web

import (
	"net/url"
	"strconv"
	"strings"

	"postroom/store"
	"postroom/store/admin"
)

// A queueFilter is what a page of the queue is about.
type queueFilter struct {
	Domain string
	Sender string
	Held   bool
}

func filterIn(get func(string) string) queueFilter {
	return queueFilter{strings.TrimSpace(get("domain")), strings.TrimSpace(get("sender")), get("held") != ""}
}

// Any reports whether anything is left out.
func (f queueFilter) Any() bool { return f != queueFilter{} }

// Named reports whether whose mail is meant is said.
func (f queueFilter) Named() bool { return f.Domain != "" || f.Sender != "" }

// Text says what of the queue it is, behind a number.
func (f queueFilter) Text() string {
	var text string
	if f.Domain != "" {
		text += " for " + f.Domain
	}
	if f.Sender != "" {
		text += " from " + f.Sender
	}
	if f.Held {
		text += ", held"
	}
	return text
}

// ReturnURL is the page that asks before all of it goes back.
func (f queueFilter) ReturnURL() string {
	query := f.query()
	if !f.Named() {
		query.Set("scope", "all")
	}
	return "/queue/return?" + query.Encode()
}

func (f queueFilter) query() url.Values {
	query := make(url.Values)
	for name, value := range map[string]string{"domain": f.Domain, "sender": f.Sender} {
		if value != "" {
			query.Set(name, value)
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
	return admin.QueueSelection{Domain: f.Domain, Sender: f.Sender, Held: f.Held}
}
