package admin

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// An outcomeWord is a word for what became of a message.
type outcomeWord struct {
	word string
	kind store.Kind
	text string // behind "Messages …, "
}

// outcomeWords are the words, and further ones for the same behind them.
var outcomeWords = []outcomeWord{
	{"delivered", store.Delivered, "delivered into a maildrop here"},
	{"sent", store.Relayed, "sent to another server"},
	{"waiting", store.Queued, "waiting in the queue now"},
	{"held", store.Held, "held in the queue now"},
	{"deferred", store.Postponed, "deferred at least once"},
	{"bounced", store.Bounced, "bounced"},
	{"refused", store.Rejected, "refused"},
	{"collected", store.Collected, "collected"},
	{"deleted", store.Deleted, "deleted from a maildrop"},
	{"cancelled", store.Cancelled, "taken out of the queue"},

	{"queued", store.Queued, ""},
	{"failed", store.Bounced, ""},
	{"rejected", store.Rejected, ""},
	{"canceled", store.Cancelled, ""},
}

// Outcomes are the words for what became of a message.
func Outcomes() []string {
	var words []string
	for _, w := range outcomeWords {
		if w.text != "" {
			words = append(words, w.word)
		}
	}
	return words
}

func outcomeOf(word string) (store.Kind, bool) {
	i := slices.IndexFunc(outcomeWords, func(w outcomeWord) bool { return strings.EqualFold(w.word, word) })
	if i < 0 {
		return "", false
	}
	return outcomeWords[i].kind, true
}

// A meaning is what a search has been understood as.
type meaning struct {
	query   store.TrailQuery
	text    string // as it was typed
	guessed bool   // it was nothing but a word that looks like a host
	since   string // in words
	until   string
}

// parseSearch reads a search.
func parseSearch(s TraceSearch, now time.Time) (meaning, error) {
	m := meaning{text: strings.TrimSpace(s.Text)}
	if !m.read(strings.Fields(m.text), now) {
		m = meaning{text: m.text, query: store.TrailQuery{Text: m.text}}
	}
	if err := m.take(s, now); err != nil {
		return meaning{}, err
	}
	switch q := &m.query; {
	case s.Limit < 0 || s.Limit > mostTrails:
		return meaning{}, invalid("A search gives 1 to %d messages at a time, not %d.", mostTrails, s.Limit)
	case s.Newer != "" && s.Older != "":
		return meaning{}, invalid("Look for newer messages or for older ones, not for both at once.")
	default:
		var err error
		if q.After, err = parsePosition(s.Newer); err != nil {
			return meaning{}, err
		}
		if q.Before, err = parsePosition(s.Older); err != nil {
			return meaning{}, err
		}
		q.Limit = s.Limit
	}
	return m, nil
}

// literally is the same search for the text as it stands.
func (m meaning) literally() meaning {
	m.query.Text, m.query.Host, m.guessed = m.text, "", false
	return m
}

// read takes what the words of a text mean. It reports false if it can't tell.
func (m *meaning) read(words []string, now time.Time) bool {
	m.guessed = len(words) == 1
	for len(words) > 0 {
		n := m.readSpan(words, now)
		if n == 0 && !m.readWord(words[0]) {
			return false
		}
		words = words[max(1, n):]
	}
	m.guessed = m.guessed && m.query.Host != ""
	return true
}

// readSpan reads "since" or "until" with a time, and returns how many words it was.
func (m *meaning) readSpan(words []string, now time.Time) int {
	word := strings.ToLower(words[0])
	if word != "since" && word != "until" || len(words) < 2 {
		return 0
	}
	for n := min(3, len(words)); n > 1; n-- { // "2026-11-20 09:30" first
		if when := strings.Join(words[1:n], " "); m.setSpan(word, when, now) == nil {
			return n
		}
	}
	return 0
}

// readWord takes one word of a text.
func (m *meaning) readWord(word string) bool {
	q := &m.query
	if kind, ok := outcomeOf(word); ok {
		return setOnce(&q.Outcome, kind)
	}
	if ip, ok := parseNetwork(word); ok {
		return setOnce(&q.IP, ip)
	}
	_, err := store.ParseMessageID(word)
	switch {
	case err == nil, strings.Contains(word, "@"), strings.HasPrefix(word, "<"):
		return setOnce(&q.Text, word)
	case strings.Contains(word, ".") && isHost(word):
		return setOnce(&q.Host, word)
	}
	return false
}

// setOnce sets a field that isn't set yet.
func setOnce[T comparable](field *T, value T) bool {
	var none T
	if *field != none {
		return false
	}
	*field = value
	return true
}

// take adds the fields of a search to what its text means.
func (m *meaning) take(s TraceSearch, now time.Time) error {
	q := &m.query
	if host := strings.TrimSpace(s.Host); host != "" {
		if !isHost(host) {
			return invalid("%q is not the name of a host. It should look like mx.example.net, or be the domain that the host is in.", host)
		}
		if !setOnce(&q.Host, host) {
			return saidTwice("the host")
		}
	}
	if text := strings.TrimSpace(s.IP); text != "" {
		ip, ok := parseNetwork(text)
		if !ok {
			return invalid("%q is neither an IP address nor a network. It should look like 192.0.2.1, 2001:db8::1 or 192.0.2.0/24.", text)
		}
		if !setOnce(&q.IP, ip) {
			return saidTwice("the IP address")
		}
	}
	if word := strings.TrimSpace(s.Outcome); word != "" {
		kind, ok := outcomeOf(word)
		if !ok {
			return invalid("%q is not an outcome. It should be one of %s.", word, strings.Join(Outcomes(), ", "))
		}
		if !setOnce(&q.Outcome, kind) {
			return saidTwice("the outcome")
		}
	}
	for _, end := range []struct{ word, when string }{{"since", s.Since}, {"until", s.Until}} {
		if when := strings.TrimSpace(end.when); when != "" {
			if err := m.setSpan(end.word, when, now); err != nil {
				return err
			}
		}
	}
	if !q.Since.IsZero() && !q.Until.IsZero() && !q.Since.Before(q.Until) {
		return invalid("Nothing can be since %s and until %s: the end comes before the start.", m.since, m.until)
	}
	return nil
}

func saidTwice(what string) error {
	return invalid("Say %s once: it stands in the text and beside it.", what)
}

// setSpan sets the time that a search begins or ends with.
func (m *meaning) setSpan(word, when string, now time.Time) error {
	at, day, err := parseWhen(when, now)
	if err != nil {
		return err
	}
	text := at.Format("Mon, 2 Jan 2006")
	if !day {
		text += at.Format(" 15:04")
	}
	if word == "since" {
		if !setOnce(&m.since, text) {
			return saidTwice("since when")
		}
		m.query.Since = at
		return nil
	}
	if !setOnce(&m.until, text) {
		return saidTwice("until when")
	}
	if day { // to its end
		at = at.AddDate(0, 0, 1)
	}
	m.query.Until = at
	return nil
}

// parseWhen reads a time, in the zone of now. day means that it is the beginning of
// a day that was meant as a whole.
func parseWhen(text string, now time.Time) (at time.Time, day bool, err error) {
	text = strings.ToLower(text)
	y, month, d := now.Date()
	today := time.Date(y, month, d, 0, 0, 0, 0, now.Location())
	switch text {
	case "today":
		return today, true, nil
	case "yesterday":
		return today.AddDate(0, 0, -1), true, nil
	}
	for back := range 7 {
		if day := today.AddDate(0, 0, -back); strings.ToLower(day.Weekday().String()) == text {
			return day, true, nil
		}
	}
	if at, err := time.ParseInLocation(time.DateOnly, text, now.Location()); err == nil {
		return at, true, nil
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02t15:04", "2006-01-02 15:04:05", "2006-01-02t15:04:05"} {
		if at, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return at, false, nil
		}
	}
	if at, err := time.Parse(time.RFC3339, strings.ToUpper(text)); err == nil {
		return at.In(now.Location()), false, nil
	}
	if ago, ok := parseAgo(text); ok {
		return now.Add(-ago), false, nil
	}
	return time.Time{}, false, invalid("%q is not a time. It should be a day like 2026-11-20, with an hour if you like (2026-11-20 09:30), a weekday, today, yesterday, or how long ago: 90m, 2h, 7d.", text)
}

// parseAgo reads how long ago something was: "2h", "7d".
func parseAgo(text string) (time.Duration, bool) {
	if text == "" {
		return 0, false
	}
	unit, ok := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}[text[len(text)-1]]
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 16)
	return time.Duration(n) * unit, ok && err == nil
}

// isHost reports whether a text may be what a host is called. Clients call
// themselves what they like.
func isHost(text string) bool {
	return len(text) <= 255 && !strings.ContainsAny(text, "@<>\"'/\\,;()") && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

func parsePosition(text string) (store.MessageID, error) {
	if text == "" {
		return 0, nil
	}
	id, err := store.ParseMessageID(text)
	if err != nil || id < 0 {
		return 0, invalid("%q is not a position in the list. Begin at its top again.", text)
	}
	return id, nil
}

func position(id store.MessageID) string {
	if id == 0 {
		return ""
	}
	return id.String()
}

// sentence says what was looked for. What was found tells a Message-ID from an
// address.
func (m meaning) sentence(found []store.Trail) string {
	q := m.query
	parts := []string{"Messages"}
	if q.Text != "" {
		parts[0] += " " + withText(q.Text, found)
	}
	if q.Host != "" {
		parts = append(parts, "from or to the host "+q.Host)
	}
	switch {
	case q.IP.IsSingleIP():
		parts = append(parts, "from or to the address "+q.IP.Addr().String())
	case q.IP.IsValid():
		parts = append(parts, "from or to the network "+q.IP.String())
	}
	if i := slices.IndexFunc(outcomeWords, func(w outcomeWord) bool { return w.kind == q.Outcome }); i >= 0 {
		parts = append(parts, outcomeWords[i].text)
	}
	if m.since != "" {
		parts = append(parts, "since "+m.since)
	}
	if m.until != "" {
		parts = append(parts, "until "+m.until)
	}
	if q.Text == "" && len(parts) > 1 {
		return parts[0] + " " + strings.Join(parts[1:], ", ")
	}
	return strings.Join(parts, ", ")
}

func withText(text string, found []store.Trail) string {
	bare := strings.TrimSuffix(strings.TrimPrefix(text, "<"), ">")
	isID := func(t store.Trail) bool { return t.ID.String() == strings.ToLower(text) }
	isHeaderID := func(t store.Trail) bool { return t.HeaderID == bare }
	all := func(is func(store.Trail) bool) bool {
		return len(found) > 0 && !slices.ContainsFunc(found, func(t store.Trail) bool { return !is(t) })
	}
	_, err := mail.ParseAddress(bare)
	switch {
	case all(isID):
		return "with the ID " + text
	case all(isHeaderID), strings.HasPrefix(text, "<"):
		return "with the Message-ID " + bare
	case err == nil:
		return "to or from " + bare
	}
	return "with the ID, the Message-ID or the address " + text
}
