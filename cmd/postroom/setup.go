package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
)

// offerSetup prints the link by which somebody becomes the administrator of a server
// that has none. It is printed this once: the server keeps a hash of the code, in
// memory.
func (sv *server) offerSetup(ctx context.Context) error {
	code, err := sv.admin.BeginSetup(ctx)
	if err != nil || code == "" {
		return err
	}
	printSetup(sv.shell.out, sv.webAddresses(), code, sv.shell.self())
	return nil
}

// printSetup prints the links. The code stands behind a #: what is there stays in the
// browser, and is in no request and no log.
func printSetup(w io.Writer, pages []string, code, self string) {
	if len(pages) == 0 {
		fmt.Fprintf(w, "\nThere is no administrator yet, and no web page to set the server up with: listen.web and listen.https are empty.\n"+
			"Make one here:\n\n  %s account add ADDRESS --admin\n\n", self)
		return
	}
	fmt.Fprint(w, "\nThere is no administrator yet. To set this server up, open in a browser:\n\n")
	for _, page := range pages {
		fmt.Fprintf(w, "  %ssetup#%s\n", page, code)
	}
	fmt.Fprintf(w, "\nIf the page asks for the code, it is\n\n  %s\n\n"+
		"It works for 24 hours, until there is an administrator, or until the server starts again, and is shown only this once.\n", code)
	if isHere(pages[0]) {
		_, port, _ := net.SplitHostPort(hostPart(pages[0]))
		fmt.Fprintf(w, "The page is for this machine alone. From another one, this makes a way to it: ssh -L %[1]s:%[2]s THIS-MACHINE\n", port, hostPart(pages[0]))
	}
	fmt.Fprintf(w, "Without a browser: %s account add ADDRESS --admin\n\n", self)
}

// webAddresses returns the URLs of the web page, as they are bound, that for everybody
// first.
func (sv *server) webAddresses() []string {
	var list []string
	name := sv.conf.Load().Name()
	if addr := sv.bound("https"); addr != nil {
		list = append(list, (&url.URL{Scheme: "https", Host: name + securePort(addr), Path: "/"}).String())
	}
	if addr := sv.bound("web"); addr != nil {
		list = append(list, (&url.URL{Scheme: "http", Host: reachable(addr.String(), name), Path: "/"}).String())
	}
	return list
}

// reachable is an address that is listened on as a browser can ask for it: every
// address of this machine is its name.
func reachable(addr, name string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip, parseErr := netip.ParseAddr(host); err == nil && parseErr == nil && ip.IsUnspecified() {
		return net.JoinHostPort(name, port)
	}
	return addr
}

// hostPart returns the host and port of a URL of ours.
func hostPart(page string) string {
	u, err := url.Parse(page)
	if err != nil {
		return ""
	}
	return u.Host
}

// isHere reports whether a URL leads to the machine itself.
func isHere(page string) bool {
	ap, err := netip.ParseAddrPort(hostPart(page))
	return err == nil && ap.Addr().IsLoopback()
}
