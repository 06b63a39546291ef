package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"postroom/delivery"
	"postroom/smtpd"
	"postroom/smtpd/policy"
	"postroom/store"
	"postroom/store/admin"
	"postroom/store/auth"
	"postroom/store/mail"
	"postroom/store/sqlite"
)

// A previewer says what would happen to a mail: a session as it runs hears it, but
// for the commit, and a dispatcher as it runs plans its way, but for the
// connections.
type previewer struct {
	checker
	auth     *auth.Authenticator
	dispatch func() *delivery.Dispatcher
}

// Rehearse has a mail go through a session: of the submission port for who logs in,
// else of the port for other servers. It is the first reply that isn't positive
// that counts, or the last.
func (p *previewer) Rehearse(ctx context.Context, r admin.Rehearsal) (admin.Rehearsed, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	noted := &previewed{Mail: p.store, store: p.store, from: r.From, to: r.To}
	explained := &policy.Explanation{}
	client := r.Client
	if !client.IsValid() {
		client = netip.IPv4Unspecified()
	}
	server, lines := p.served(r, noted, explained), previewDialogue(r, p.conf().Name())
	reply, heard, err := converse(ctx, func(ctx context.Context, l net.Listener) error { return server.Rehearse(ctx, l, r.As) }, client, lines)
	if err != nil {
		return admin.Rehearsed{}, err
	}
	done := noted.told()
	done.Reply, done.Step = reply, previewSteps(r)[heard]
	done.Explained = append(done.Explained, explained.Lines()...)
	if done.Taken {
		done.Reply, _, _ = strings.Cut(reply, " as ") // there is no such message
	}
	return done, nil
}

// served is the server that the client would come to, but that nothing is counted
// with what really comes.
func (p *previewer) served(r admin.Rehearsal, noted smtpd.Mail, explained *policy.Explanation) *smtpd.Server {
	conf := p.conf()
	s := p.rehearsed(noted, explained)
	s.Auth, s.BackupExpire = p.auth, conf.Delivery.BackupExpire
	rules := policy.Rules{Connection: policy.Chain[struct{}]{policy.Access{List: p.store.Access, Now: time.Now}.OfClient()}}
	switch {
	case r.As.ID != 0:
		s.Name, s.Submission = "submission", true
	case r.Client.IsValid():
		rules.Sender, rules.Recipient, rules.Message = s.Rules.Sender, s.Rules.Recipient, s.Rules.Message
	default: // what the admin's own lists say of names can be told
		access := policy.Access{List: p.store.Access, Now: time.Now}
		rules = policy.Rules{Recipient: policy.Chain[policy.Recipient]{access.OfRecipient()}, Message: policy.Chain[*policy.Message]{access.OfMessage()}}
	}
	s.Rules = rules
	return s
}

// previewDialogue is what the client says, a command after the other.
func previewDialogue(r admin.Rehearsal, hostname string) []string {
	request := admin.CheckRequest{Helo: r.Helo, Message: previewMessage(r, hostname)}
	if !r.From.IsNull() {
		request.From = r.From.String()
	}
	lines := dialogue(request, r.To)
	if !r.To.IsASCII() && !strings.HasSuffix(lines[1], " SMTPUTF8") {
		lines[1] += " SMTPUTF8"
	}
	if r.As.ID != 0 {
		lines = slices.Insert(lines, 1, "AUTH EXTERNAL =")
	}
	return lines
}

// previewSteps names what each of the replies answers: the first is the greeting.
func previewSteps(r admin.Rehearsal) []string {
	steps := []string{"connect", "hello", "sender", "recipient", "data", "message"}
	if r.As.ID != 0 {
		steps = slices.Insert(steps, 2, "login")
	}
	return steps
}

// previewMessage is a small mail. A report has an author all the same.
func previewMessage(r admin.Rehearsal, hostname string) []byte {
	author := r.From
	switch {
	case !author.IsNull():
	case r.As.ID != 0:
		author = r.As.Address
	default:
		domain, err := mail.ParseDomain(r.Helo)
		if err != nil {
			domain = hostname
		}
		author = mail.Address{Local: "mailer-daemon", Domain: domain}
	}
	return fmt.Appendf(nil, "From: <%s>\r\nTo: <%s>\r\nSubject: What would happen?\r\nDate: %s\r\nMessage-ID: <preview@%s>\r\n\r\nA mail that is asked about.\r\n",
		author, r.To, time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700"), hostname)
}

// previewed is the store as the session sees it: what is accepted or refused is
// noted here alone, and so is what was found out on the way.
type previewed struct {
	smtpd.Mail
	store *sqlite.Store

	from, to mail.Address

	mu   sync.Mutex
	done admin.Rehearsed
}

// note runs f while nobody else notes anything.
func (v *previewed) note(f func(*admin.Rehearsed)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f(&v.done)
}

func (v *previewed) told() (done admin.Rehearsed) {
	v.note(func(d *admin.Rehearsed) { done = *d })
	return done
}

// Resolve notes the steps to where the recipient leads; of one that a forward has
// made, those to where its sender does. The sender is asked about for other ends.
func (v *previewed) Resolve(ctx context.Context, address mail.Address) (store.Resolution, error) {
	to, hops, err := v.store.Explain(ctx, address)
	v.note(func(d *admin.Rehearsed) {
		if address == v.to || address != v.from {
			d.Ways, d.Leads = hops, to.Destinations
		}
	})
	return to, err
}

// MaySend notes by which steps somebody has the right, or has not.
func (v *previewed) MaySend(ctx context.Context, account store.AccountID, address mail.Address) (bool, error) {
	may, hops, err := v.store.ExplainRight(ctx, account, address)
	v.note(func(d *admin.Rehearsed) { d.Asked, d.May, d.Right, d.Account = true, may, hops, account })
	return may, err
}

// DeviceOf notes the device that the client is.
func (v *previewed) DeviceOf(ctx context.Context, client netip.Addr) (store.Device, error) {
	device, err := v.Mail.DeviceOf(ctx, client)
	if err == nil {
		v.note(func(d *admin.Rehearsed) { d.Device, d.Account = device.Network, device.Account })
	}
	return device, err
}

// WithinLimits notes the limit that is in the way.
func (v *previewed) WithinLimits(ctx context.Context, account store.AccountID, recipients int) error {
	return v.over(v.Mail.WithinLimits(ctx, account, recipients))
}

func (v *previewed) over(err error) error {
	if over, ok := errors.AsType[*store.LimitError](err); ok {
		v.note(func(d *admin.Rehearsed) { d.Over = over })
	}
	return err
}

// Accept judges as the store would, and notes what would be accepted.
func (v *previewed) Accept(ctx context.Context, a store.Acceptance) error {
	if err := v.over(v.store.WouldAccept(ctx, a)); err != nil {
		return err
	}
	front, err := frontOf(a.Body)
	v.note(func(d *admin.Rehearsed) {
		d.Taken, d.Account, d.Outbound, d.Checks = true, a.Account, a.Outbound, a.Accepted.Checks
		d.Spam = strings.Contains(front, "X-Spam: yes\r\n")
	})
	return err
}

// Refused notes why.
func (v *previewed) Refused(r store.Refusal) {
	v.note(func(d *admin.Rehearsed) {
		for _, e := range r.Events {
			d.Checks = append(d.Checks, e.Checks...)
			if e.Reason != "" {
				d.Explained = append(d.Explained, e.Reason)
			}
		}
	})
}

// Outlook says how mail of a lane would leave.
func (p *previewer) Outlook(ctx context.Context, lane store.Lane) (admin.PreviewWay, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	o, err := p.dispatch().Outlook(ctx, lane, 0)
	if err != nil {
		return admin.PreviewWay{}, err
	}
	w := admin.PreviewWay{Destination: o.Destination, By: "mx", Backup: o.Backup}
	switch {
	case o.Route != nil:
		shown := admin.RouteOf(*o.Route)
		w.By, w.Route = "route", &shown
	case o.Smarthost:
		w.By = "smarthost"
	}
	for _, s := range o.Sources {
		w.Sources = append(w.Sources, admin.PreviewSource{IP: s.IP.String(), Name: s.Name})
	}
	if o.Err != nil {
		status, final := errors.AsType[mail.Status](o.Err)
		w.Problem, w.Final = o.Err.Error(), final
		if final {
			w.Problem = status.Text
		}
	}
	for _, h := range o.Hosts {
		w.Hosts = append(w.Hosts, previewHost(h, len(o.Sources)))
	}
	return w, nil
}

func previewHost(h delivery.OutlookHost, sources int) admin.PreviewHost {
	shown := admin.PreviewHost{Name: h.Name, Port: h.Port, Fallback: h.Fallback, Addresses: []admin.PreviewAddress{}}
	if !h.Chosen && !h.Literal() {
		preference := int(h.Preference)
		shown.Preference = &preference
	}
	if h.Err != nil {
		shown.Problem = problemText(h.Err)
	}
	for _, a := range h.Addresses {
		at := admin.PreviewAddress{IP: a.At.Addr().String(), TLS: a.TLS, Why: a.Why, Note: a.Note}
		if a.Err != nil {
			at.Problem = problemText(a.Err)
		}
		for _, s := range a.Sources {
			if len(a.Sources) < sources {
				at.From = append(at.From, s.IP.String())
			}
		}
		shown.Addresses = append(shown.Addresses, at)
	}
	return shown
}

// problemText is an error in words, without the code of a status.
func problemText(err error) string {
	if status, ok := errors.AsType[mail.Status](err); ok {
		return status.Text
	}
	return err.Error()
}
