package admin

import (
	"net"
	"strconv"
	"time"

	"postroom/store"
)

// What the journal says of things before and after a change. These are what an
// undo goes by, over versions too: fields may be added, but keep their meaning.
type (
	domainState struct {
		Backup     bool `json:"backup"`
		Recipients *int `json:"recipients,omitempty"` // of a backup domain with a list
	}
	recipientsState struct {
		Any   bool     `json:"any"` // mail for every address is taken
		Count int      `json:"count"`
		Only  []string `json:"only,omitempty"` // local parts that the other list hasn't
		Many  bool     `json:"many,omitempty"` // too many differ to name them
	}
	accountState struct {
		Name     string `json:"name"`
		Quota    int64  `json:"quota"` // octets; 0: none
		Admin    bool   `json:"admin"`
		Status   string `json:"status"`
		Password string `json:"password"` // set, none
	}
	traitsState struct {
		Name  string `json:"name"`
		Quota int64  `json:"quota"`
		Admin bool   `json:"admin"`
	}
	lostAccountState struct {
		accountState
		Messages     int64 `json:"messages"`
		Octets       int64 `json:"octets"`
		AppPasswords int   `json:"app_passwords"`
		Queued       int   `json:"queued"`
	}
	statusState struct {
		Status string `json:"status"`
	}
	passwordState struct {
		Password string `json:"password"` // set, none, new
	}
	sessionState struct {
		Began time.Time `json:"began"`
		Agent string    `json:"agent"`
	}
	sessionsState struct {
		Sessions int `json:"sessions"`
	}
	twoFactorState struct {
		TwoFactor bool `json:"two_factor"`
	}
	recoveryState struct {
		RecoveryCodes string `json:"recovery_codes"` // "7 left", "10 new"
	}
	appPasswordState struct {
		Name string `json:"name"`
	}
	aliasState struct {
		Targets []string `json:"targets"`
	}
	forwardState struct {
		Targets []string `json:"targets"`
		Keep    bool     `json:"keep"`
	}
	vacationState struct {
		On      bool   `json:"on"`
		Subject string `json:"subject"`
		Text    string `json:"text"`
		From    string `json:"from,omitempty"` // days
		Until   string `json:"until,omitempty"`
	}
	senderState struct {
		Sender string `json:"sender"` // @example.org: every address of it
	}
	routeState struct {
		Domain   string `json:"domain"`
		From     string `json:"from,omitempty"`
		Host     string `json:"host"` // with its port; "mx"
		TLS      string `json:"tls"`
		User     string `json:"user,omitempty"`
		Password string `json:"password,omitempty"` // set; new where it is another one
	}
	sourceState struct {
		IP   string `json:"ip"`
		Name string `json:"name,omitempty"`
		For  string `json:"for,omitempty"`
	}
	pauseState struct {
		Paused bool `json:"paused"`
	}
	accessState struct {
		List    string    `json:"list"` // block, allow
		Note    string    `json:"note,omitempty"`
		Expires time.Time `json:"expires,omitzero"`
	}
	blocksState struct {
		Blocked []string `json:"blocked"` // networks
	}
	limitState struct {
		MessagesPerHour   string `json:"messages_per_hour"` // a number, none, default
		MessagesPerDay    string `json:"messages_per_day"`
		RecipientsPerHour string `json:"recipients_per_hour"`
		RecipientsPerDay  string `json:"recipients_per_day"`
	}
	markState struct {
		Mark store.SetupMark `json:"mark"` // done, skipped
	}
	deviceState struct {
		Account string `json:"account"`
	}
	keysState struct {
		Selectors []string  `json:"selectors"`
		State     DKIMState `json:"state"`
	}
)

func accountStateOf(a store.Account) accountState {
	return accountState{
		Name: a.Name, Quota: a.Quota, Admin: a.Admin,
		Status: statusWords[a.Standing()], Password: passwordWord(a.Secret),
	}
}

func traitsOf(a store.Account) traitsState { return traitsState{a.Name, a.Quota, a.Admin} }

func passwordWord(s store.Secret) string {
	if s.Hash == "" {
		return "none"
	}
	return "set"
}

func routeStateOf(r store.Route) routeState {
	s := routeState{Domain: r.Domain, From: forText(r.For), Host: byMX, TLS: tlsWords[r.TLS], User: r.User}
	if r.Host != "" {
		s.Host = net.JoinHostPort(r.Host, strconv.Itoa(r.Port))
	}
	if r.Password != "" {
		s.Password = "set"
	}
	return s
}

func sourceStateOf(s store.Source) sourceState {
	return sourceState{IP: s.IP.String(), Name: s.Name, For: forText(s.For)}
}

func aliasStateOf(a store.Alias) aliasState { return aliasState{aliasOf(a).Targets} }

// forwardStateOf is nil for what isn't forwarded.
func forwardStateOf(f store.Forward) *forwardState {
	if len(f.Targets) == 0 {
		return nil
	}
	return &forwardState{addressTexts(f.Targets), f.Keep}
}

// vacationStateOf is nil for what was never set.
func (a *Admin) vacationStateOf(v store.Vacation) *vacationState {
	if v == (store.Vacation{}) {
		return nil
	}
	shown := a.vacationOf(v)
	return &vacationState{shown.On, shown.Subject, shown.Text, shown.From, shown.Until}
}

func accessStateOf(e store.AccessEntry) *accessState {
	if e.What == "" {
		return nil
	}
	return &accessState{List: accessWords[e.Action], Note: e.Note, Expires: e.Expires.UTC().Truncate(time.Microsecond)}
}

func limitStateOf(a store.Allowance) limitState {
	return limitState{
		MessagesPerHour: limitText(a.MessagesPerHour), MessagesPerDay: limitText(a.MessagesPerDay),
		RecipientsPerHour: limitText(a.RecipientsPerHour), RecipientsPerDay: limitText(a.RecipientsPerDay),
	}
}

// limitText is the inverse of parseLimit.
func limitText(n int64) string {
	switch n {
	case store.Unset:
		return "default"
	case store.NoLimit:
		return "none"
	}
	return strconv.FormatInt(n, 10)
}

func keysStateOf(state DKIMState, keys ...store.DKIMKey) keysState {
	s := keysState{State: state}
	for _, k := range keys {
		s.Selectors = append(s.Selectors, k.Selector)
	}
	return s
}
