package admin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// Outside, in the place of an account, is another server.
const Outside = "outside"

// A PreviewRequest asks what would happen to a mail from one address to another.
type PreviewRequest struct {
	From string `json:"from"` // empty or "<>": the null sender, of a report
	To   string `json:"to"`
	As   string `json:"as,omitempty"`   // the account that sends; Outside; empty: whose address From is, else Outside
	IP   string `json:"ip,omitempty"`   // of the client; empty: not known, and what looks at it isn't asked
	Helo string `json:"helo,omitempty"` // what the client calls itself; empty: its address in brackets
}

// A Preview says what would happen to a mail.
type Preview struct {
	From  string `json:"from"` // empty: the null sender
	To    string `json:"to"`
	Taken bool   `json:"taken"`
	Reply string `json:"reply"` // what the client would hear in the end
	Step  string `json:"step"`  // that this answers: connect, hello, login, sender, recipient, data, message

	Sender    PreviewSender     `json:"sender"`
	Steps     []PreviewStep     `json:"steps"`     // where the recipient leads
	Maildrops []PreviewMaildrop `json:"maildrops"` // that it leads to
	Remote    []PreviewRemote   `json:"remote"`    // addresses elsewhere that it leads to
	// Limits are those in which the mail would count: the account's, its domain's
	// and the server's. None, if it is nobody's of ours or nothing leaves.
	Limits []Limits      `json:"limits"`
	Over   *PreviewLimit `json:"over,omitempty"` // the limit that would refuse it

	Spam      bool                `json:"spam,omitempty"`
	Checks    []store.CheckResult `json:"checks"` // of mail from other servers
	Explained []string            `json:"explained"`
	Unasked   bool                `json:"unasked,omitempty"` // the client's address isn't known, so some checks weren't asked
}

// A PreviewSender says who sends, and with what right.
type PreviewSender struct {
	Account string        `json:"account,omitempty"` // empty: nobody of ours
	Device  string        `json:"device,omitempty"`  // the network that is a device of it
	Client  string        `json:"client,omitempty"`  // its address, if it was given
	Helo    string        `json:"helo,omitempty"`
	Status  string        `json:"status,omitempty"` // of the account: as in Account
	Asked   bool          `json:"asked"`            // whether it may send as From was looked at
	May     bool          `json:"may"`
	Steps   []PreviewStep `json:"steps"` // by which that was found out
}

// A PreviewStep is what an address was found to be.
type PreviewStep struct {
	Depth   int           `json:"depth"` // how many aliases led here
	Address string        `json:"address"`
	Kind    store.HopKind `json:"kind"`
	Tagged  bool          `json:"tagged,omitempty"` // found only without its tag
	Keeps   bool          `json:"keeps,omitempty"`  // of what is forwarded, a copy stays
	To      []string      `json:"to"`               // where an alias leads; accounts
}

// A PreviewMaildrop is one that the mail would come into.
type PreviewMaildrop struct {
	Account string `json:"account"`
	Status  string `json:"status"`
	Used    int64  `json:"used"`           // octets
	Quota   int64  `json:"quota"`          // 0: none
	Room    *int64 `json:"room,omitempty"` // octets that are left; nil: any number
}

// A PreviewRemote is an address elsewhere, and the way there.
type PreviewRemote struct {
	Address string      `json:"address"`
	Sender  string      `json:"sender"`        // that the mail would leave with
	Via     string      `json:"via,omitempty"` // the address that led here
	Way     *PreviewWay `json:"way,omitempty"` // nil: nobody can tell
}

// A PreviewWay is how mail for a domain would leave.
type PreviewWay struct {
	Domain      string            `json:"domain"`
	Destination string            `json:"destination"` // as in Destination
	By          string            `json:"by"`          // mx, route, smarthost
	Route       *Route            `json:"route,omitempty"`
	Backup      bool              `json:"backup,omitempty"` // the mail is held for better servers than ourselves
	Sources     []PreviewSource   `json:"sources"`          // to send from, in turn; none: the system's choice
	Hosts       []PreviewHost     `json:"hosts"`            // in the order in which they would be tried
	Problem     string            `json:"problem,omitempty"`
	Final       bool              `json:"final,omitempty"` // the problem would fail the mail at its first attempt
	PausedSince time.Time         `json:"paused_since,omitzero"`
	Failing     *PreviewUnhealthy `json:"failing,omitempty"`
}

// A PreviewSource is an address of ours to send from.
type PreviewSource struct {
	IP   string `json:"ip"`
	Name string `json:"name,omitempty"` // that we would go by
}

// A PreviewHost is one that would be tried.
type PreviewHost struct {
	Name       string           `json:"name"`
	Port       int              `json:"port"`
	Preference *int             `json:"preference,omitempty"` // of its MX record
	Fallback   bool             `json:"fallback,omitempty"`   // the relay that is tried when nobody else can be reached
	Problem    string           `json:"problem,omitempty"`
	Addresses  []PreviewAddress `json:"addresses"`
}

// A PreviewAddress is an address of a host.
type PreviewAddress struct {
	IP      string   `json:"ip"`
	From    []string `json:"from,omitempty"` // addresses of ours, where several aren't for all
	TLS     string   `json:"tls"`            // none, may, must (be had), verify (with a good certificate)
	Why     string   `json:"why,omitempty"`  // who demands it
	Note    string   `json:"note,omitempty"`
	Problem string   `json:"problem,omitempty"`
}

// A PreviewUnhealthy tells of a destination whose servers can't be reached.
type PreviewUnhealthy struct {
	Failures    int       `json:"failures"` // rounds in a row
	LastSuccess time.Time `json:"last_success,omitzero"`
	NextTry     time.Time `json:"next_try,omitzero"`
	Reply       string    `json:"reply"`
}

// A PreviewLimit is one that would refuse a mail.
type PreviewLimit struct {
	Name   string    `json:"name"`   // an account's address, a domain, or "server"
	Counts string    `json:"counts"` // messages, recipients
	Per    string    `json:"per"`    // hour, day
	Most   int64     `json:"most"`
	Frees  time.Time `json:"frees,omitzero"`
}

// A Rehearsal is a mail that is to be sent, and by whom.
type Rehearsal struct {
	From, To mail.Address
	As       store.Account // who logs in; zero: nobody
	Client   netip.Addr    // zero: not known
	Helo     string
}

// A Rehearsed is what came of a Rehearsal.
type Rehearsed struct {
	Reply, Step string
	Taken, Spam bool
	Account     store.AccountID // whose mail it was
	Device      netip.Prefix    // that the client is
	Asked, May  bool            // whether it was asked if the account may send as From, and the answer
	Right       []store.Hop     // by which
	Ways        []store.Hop     // where To leads; nil: it wasn't asked
	Leads       []store.Destination
	Outbound    []store.Outbound
	Over        *store.LimitError
	Checks      []store.CheckResult
	Explained   []string
}

// A Previewer carries a Preview out with the live parts. Nothing is accepted,
// counted or written down.
type Previewer interface {
	// Rehearse has a mail go through the very session that its client would have.
	Rehearse(ctx context.Context, r Rehearsal) (Rehearsed, error)
	// Outlook says how mail of a lane would leave.
	Outlook(ctx context.Context, lane store.Lane) (PreviewWay, error)
}

// PreviewDelivery asks what would happen to a mail. A mail that would be refused is
// no error.
func (a *Admin) PreviewDelivery(ctx context.Context, request PreviewRequest) (Preview, error) {
	r, err := a.parsePreview(ctx, request)
	if err != nil {
		return Preview{}, err
	}
	if a.Previews == nil {
		return Preview{}, errors.ErrUnsupported
	}
	done, err := a.Previews.Rehearse(ctx, r)
	if err != nil {
		return Preview{}, fmt.Errorf("rehearse a mail: %w", err)
	}
	if done.Ways == nil { // it was refused before
		to, hops, err := a.Store.Explain(ctx, r.To)
		if isTrouble(err) {
			return Preview{}, err
		}
		done.Ways, done.Leads = hops, to.Destinations
	}
	p := Preview{
		From: r.From.String(), To: r.To.String(), Taken: done.Taken, Reply: done.Reply, Step: done.Step,
		Steps: stepsOf(done.Ways), Spam: done.Spam, Over: previewLimit(done.Over),
		Checks: notNil(done.Checks), Explained: notNil(done.Explained), Unasked: !r.Client.IsValid(),
	}
	if p.Sender, err = a.previewSender(ctx, r, done); err != nil {
		return Preview{}, err
	}
	if p.Maildrops, err = a.previewMaildrops(ctx, done.Leads); err != nil {
		return Preview{}, err
	}
	if p.Remote, err = a.previewRemotes(ctx, r, done); err != nil {
		return Preview{}, err
	}
	p.Limits = []Limits{}
	if p.Sender.Account != "" && len(p.Remote) > 0 {
		limits, err := a.Limits(ctx, p.Sender.Account)
		if err != nil {
			return Preview{}, err
		}
		p.Limits = append([]Limits{limits}, limits.Within...)
		p.Limits[0].Within = nil
	}
	return p, nil
}

// isTrouble reports whether an error of Explain is more than an answer.
func isTrouble(err error) bool {
	return err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrRefused)
}

// parsePreview reads a request, and finds out who sends.
func (a *Admin) parsePreview(ctx context.Context, request PreviewRequest) (r Rehearsal, err error) {
	if text := strings.Trim(strings.TrimSpace(request.From), "<>"); text != "" {
		if r.From, err = parseAddress(text); err != nil {
			return r, err
		}
	}
	to := strings.Trim(strings.TrimSpace(request.To), "<>")
	if strings.EqualFold(to, "postmaster") { // RFC 5321 4.1.1.3
		r.To = mail.Address{Local: to}
	} else if r.To, err = parseAddress(to); err != nil {
		return r, err
	}
	if err := parsePreviewClient(request, &r); err != nil {
		return r, err
	}
	switch as := strings.TrimSpace(request.As); {
	case strings.EqualFold(as, Outside), as == "" && r.From.IsNull():
	case as == "":
		r.As, err = a.ownerOf(ctx, r.From)
	default:
		r.As, err = a.account(ctx, as)
	}
	return r, err
}

// parsePreviewClient reads what is known of the client, which may be nothing.
func parsePreviewClient(request PreviewRequest, r *Rehearsal) error {
	helo := request.Helo
	if strings.TrimSpace(request.IP) == "" {
		c := CheckRequest{IP: "0.0.0.0", Helo: helo}
		err := parseClient(&c)
		if r.Helo = c.Helo; strings.TrimSpace(helo) == "" {
			r.Helo = "[127.0.0.1]"
		}
		return err
	}
	c := CheckRequest{IP: request.IP, Helo: helo}
	if err := parseClient(&c); err != nil {
		return err
	}
	r.Client, r.Helo = netip.MustParseAddr(c.IP), c.Helo
	return nil
}

// ownerOf returns the account that sends as an address: the one that it names, else
// the first that an alias leads to and that has the right; none if there is none.
func (a *Admin) ownerOf(ctx context.Context, address mail.Address) (store.Account, error) {
	for _, own := range []mail.Address{address, address.Base()} {
		account, err := a.Store.AccountByAddress(ctx, own)
		if !errors.Is(err, store.ErrNotFound) {
			return account, err
		}
	}
	_, hops, err := a.Store.Explain(ctx, address)
	if isTrouble(err) {
		return store.Account{}, err
	}
	for _, at := range accountsOf(hops) {
		account, err := a.Store.AccountByAddress(ctx, at)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return store.Account{}, err
		}
		if may, _, err := a.Store.ExplainRight(ctx, account.ID, address); may || err != nil {
			return account, err
		}
	}
	return store.Account{}, nil
}

// accountsOf returns the addresses of the accounts that hops have come to, each
// once.
func accountsOf(hops []store.Hop) []mail.Address {
	var list []mail.Address
	for _, h := range hops {
		switch h.Kind {
		case store.HopAccount, store.HopRefuses, store.HopRole:
			for _, to := range h.To {
				if !slices.Contains(list, to) {
					list = append(list, to)
				}
			}
		}
	}
	return list
}

func stepsOf(hops []store.Hop) []PreviewStep {
	steps := make([]PreviewStep, len(hops))
	for i, h := range hops {
		steps[i] = PreviewStep{Depth: h.Depth, Address: h.Address.String(), Kind: h.Kind, Tagged: h.Tagged, Keeps: h.Keeps, To: make([]string, len(h.To))}
		for k, to := range h.To {
			steps[i].To[k] = to.String()
		}
	}
	return steps
}

func (a *Admin) previewSender(ctx context.Context, r Rehearsal, done Rehearsed) (PreviewSender, error) {
	s := PreviewSender{Helo: r.Helo, Asked: done.Asked, May: done.May, Steps: stepsOf(done.Right)}
	if r.Client.IsValid() {
		s.Client = r.Client.String()
	}
	if done.Device.IsValid() {
		s.Device = done.Device.String()
	}
	account := r.As
	if account.ID == 0 && done.Account != 0 {
		var err error
		if account, err = a.Store.Account(ctx, done.Account); err != nil && !errors.Is(err, store.ErrNotFound) {
			return s, err
		}
	}
	if account.ID != 0 {
		s.Account, s.Status = account.Address.String(), accountOf(account).Status
	}
	return s, nil
}

func (a *Admin) previewMaildrops(ctx context.Context, leads []store.Destination) ([]PreviewMaildrop, error) {
	list := []PreviewMaildrop{}
	for _, d := range leads {
		if d.Account == 0 {
			continue
		}
		account, err := a.Store.Account(ctx, d.Account)
		if errors.Is(err, store.ErrNotFound) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		shown := accountOf(account)
		m := PreviewMaildrop{Account: shown.Address, Status: shown.Status, Used: shown.Used, Quota: shown.Quota}
		if shown.Quota > 0 {
			room := max(0, shown.Quota-shown.Used)
			m.Room = &room
		}
		list = append(list, m)
	}
	return list, nil
}

// previewRemotes tells where the mail would go: what was about to be accepted, else
// where the recipient leads.
func (a *Admin) previewRemotes(ctx context.Context, r Rehearsal, done Rehearsed) ([]PreviewRemote, error) {
	out := done.Outbound
	if !done.Taken {
		out = remotesOf(r, done.Leads)
	}
	list := []PreviewRemote{}
	for _, o := range out {
		remote := PreviewRemote{Address: o.Recipient.Address.String(), Sender: o.Sender.String(), Via: o.Via.String()}
		way, err := a.previewWay(ctx, store.Lane{Domain: o.Recipient.Address.Domain, Account: done.Account, Origin: o.Sender.Domain})
		if err != nil {
			return nil, err
		}
		remote.Way = &way
		list = append(list, remote)
	}
	return list, nil
}

func remotesOf(r Rehearsal, leads []store.Destination) []store.Outbound {
	var list []store.Outbound
	for _, d := range leads {
		if d.Account != 0 {
			continue
		}
		o := store.Outbound{Sender: r.From, Recipient: mail.Recipient{Address: d.Remote}}
		if d.Remote != r.To {
			o.Via = r.To
		}
		list = append(list, o)
	}
	return list
}

// previewWay tells how mail of a lane would leave, and how its destination does.
func (a *Admin) previewWay(ctx context.Context, lane store.Lane) (PreviewWay, error) {
	way, err := a.Previews.Outlook(ctx, lane)
	if err != nil {
		return way, fmt.Errorf("plan the way to %s: %w", lane.Domain, err)
	}
	way.Domain, way.Sources, way.Hosts = lane.Domain, notNil(way.Sources), notNil(way.Hosts)
	ways, err := a.Store.Ways(ctx)
	if err != nil {
		return way, err
	}
	for _, p := range ways.Paused {
		if p.Domain == lane.Domain {
			way.PausedSince = p.Since.UTC()
		}
	}
	h, err := a.Store.HealthOf(ctx, way.Destination)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return way, fmt.Errorf("read health of destination: %w", err)
	}
	if h.Failures > 0 {
		way.Failing = &PreviewUnhealthy{Failures: h.Failures, LastSuccess: h.LastSuccess.UTC(), NextTry: h.NextTry.UTC(), Reply: h.Reply}
	}
	return way, nil
}

func previewLimit(over *store.LimitError) *PreviewLimit {
	if over == nil {
		return nil
	}
	per := "day"
	if over.Per == time.Hour {
		per = "hour"
	}
	return &PreviewLimit{Name: ownerName(over.Owner, over.Name), Counts: over.Counts, Per: per, Most: over.Most, Frees: over.Frees}
}

// RouteOf is a route as it is shown.
func RouteOf(r store.Route) Route { return routeOf(r) }

// notNil is JSON's [] where there is nothing.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
