package admin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// AddSource asks for mail to be sent from an address of this machine.
type AddSource struct {
	IP   string `json:"ip"`
	Name string `json:"name,omitempty"` // in EHLO; empty: the server's own
	For  string `json:"for,omitempty"`  // an account's address or a sender's domain; empty: everybody's mail
}

// RemoveSource names a source by what AddSource was given.
type RemoveSource struct {
	IP  string `json:"ip"`
	For string `json:"for,omitempty"`
}

// A Source is one as it is shown.
type Source struct {
	IP      string    `json:"ip"`
	Name    string    `json:"name,omitempty"` // in EHLO; empty: the server's own
	For     string    `json:"for,omitempty"`  // empty: everybody's mail
	Created time.Time `json:"created"`
}

// AddSource adds an address to the pool that the mail of some senders leaves
// from. Connections take turns in a pool.
func (a *Admin) AddSource(ctx context.Context, request AddSource) (Source, error) {
	source, err := a.parseSource(request)
	if err != nil {
		return Source{}, err
	}
	if source.For, err = a.parseFor(ctx, request.For); err != nil {
		return Source{}, err
	}
	source.Created = a.Now()
	err = a.Store.AddSource(a.noting(ctx, "source.add", source.IP.String(), nil, sourceStateOf(source)), source)
	switch {
	case errors.Is(err, store.ErrConflict):
		return Source{}, conflict("Mail from %s leaves from %s already. Change its name if that should be another one.", everybody(source.For), source.IP)
	case errors.Is(err, store.ErrNotFound):
		return Source{}, notFound("There is no account %s.", source.For.Address)
	case err != nil:
		return Source{}, fmt.Errorf("add source: %w", err)
	}
	return sourceOf(source), nil
}

// Sources returns all addresses to send from.
func (a *Admin) Sources(ctx context.Context) ([]Source, error) {
	sources, err := a.Store.Sources(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Source, len(sources))
	for i, source := range sources {
		list[i] = sourceOf(source)
	}
	return list, nil
}

// ChangeSource asks for an address to send from, which IP and For name as in
// AddSource, to be called something else.
type ChangeSource struct {
	IP   string `json:"ip"`
	For  string `json:"for,omitempty"`
	Name string `json:"name"` // in EHLO; empty: the server's own
}

// ChangeSource gives an address to send from another name. It takes effect with
// the next connection.
func (a *Admin) ChangeSource(ctx context.Context, request ChangeSource) (Source, error) {
	ip, err := parseSourceIP(request.IP)
	if err != nil {
		return Source{}, err
	}
	source := store.Source{IP: ip}
	if source.Name, err = parseEHLOName(request.Name); err != nil {
		return Source{}, err
	}
	if source.For, err = a.parseFor(ctx, request.For); err != nil {
		return Source{}, err
	}
	before, err := a.source(ctx, ip, source.For)
	if err == nil {
		noted := a.noting(ctx, "source.change", ip.String(), sourceStateOf(before), sourceStateOf(source))
		before, err = a.Store.ChangeSource(noted, source)
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Source{}, noSource(ip, source.For)
	case err != nil:
		return Source{}, fmt.Errorf("change source: %w", err)
	}
	source.Created = before.Created
	return sourceOf(source), nil
}

func noSource(ip netip.Addr, whose store.For) error {
	return notFound("No mail from %s is told to leave from %s.", everybody(whose), ip)
}

// RemoveSource takes an address out of a pool.
func (a *Admin) RemoveSource(ctx context.Context, request RemoveSource) error {
	ip, err := parseSourceIP(request.IP)
	if err != nil {
		return err
	}
	whose, err := a.parseFor(ctx, request.For)
	if err != nil {
		return err
	}
	source, err := a.source(ctx, ip, whose)
	if err == nil {
		noted := a.noting(ctx, "source.remove", ip.String(), sourceStateOf(source), nil)
		err = a.Store.RemoveSource(noted, ip, whose)
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return noSource(ip, whose)
	case err != nil:
		return fmt.Errorf("remove source: %w", err)
	}
	return nil
}

// source finds an address in a pool, or fails with store.ErrNotFound.
func (a *Admin) source(ctx context.Context, ip netip.Addr, whose store.For) (store.Source, error) {
	sources, err := a.Store.Sources(ctx)
	if err != nil {
		return store.Source{}, err
	}
	for _, s := range sources {
		if s.IP == ip && s.For.Account == whose.Account && s.For.Domain == whose.Domain {
			return s, nil
		}
	}
	return store.Source{}, store.ErrNotFound
}

func (a *Admin) parseSource(request AddSource) (s store.Source, err error) {
	if s.IP, err = parseSourceIP(request.IP); err != nil {
		return s, err
	}
	if a.OwnAddress != nil && !a.OwnAddress(s.IP) {
		return s, invalid("%s is not an address of this machine. Give it to a network interface first, or check its spelling.", s.IP)
	}
	s.Name, err = parseEHLOName(request.Name)
	return s, err
}

func parseSourceIP(text string) (netip.Addr, error) {
	ip, err := netip.ParseAddr(strings.TrimSpace(text))
	if err != nil || ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast() {
		return netip.Addr{}, invalid("%q is not an IP address to send from. It should look like 192.0.2.1 or 2001:db8::1.", text)
	}
	return ip.Unmap(), nil
}

// parseEHLOName reads the name that we give at EHLO: a full one, which other
// servers can look up (RFC 5321 4.1.4).
func parseEHLOName(text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", nil
	}
	name, err := mail.ParseDomain(strings.TrimSuffix(text, "."))
	if err != nil || !strings.Contains(name, ".") || strings.HasPrefix(name, "localhost.") {
		return "", invalid("%q is not a full host name. It should look like mail.example.org.", text)
	}
	return name, nil
}

func sourceOf(s store.Source) Source {
	return Source{s.IP.String(), s.Name, forText(s.For), s.Created}
}

func everybody(f store.For) string {
	if text := forText(f); text != "" {
		return text
	}
	return "everybody"
}
