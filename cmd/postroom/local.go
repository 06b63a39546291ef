package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"postroom/store/admin"
	"postroom/store/auth"
)

// A login is an account of local mode with the password that was made for it.
type login struct{ address, password string }

// seed makes the domain and the accounts of local mode if there are no accounts
// at all, and calls made for each as soon as it is kept: what a crash interrupts
// then leaves no password that nobody has seen.
func seed(ctx context.Context, a *admin.Admin, made func(login)) error {
	accounts, err := a.Accounts(ctx)
	if err != nil || len(accounts) > 0 {
		return err
	}
	if err := ensureDomain(ctx, a, localDomain); err != nil {
		return err
	}
	for _, local := range []string{"alice", "bob", "postmaster"} {
		l := login{local + "@" + localDomain, auth.GeneratePassword()}
		_, err := a.AddAccount(ctx, admin.NewAccount{Address: l.address, Password: l.password, Admin: local == "postmaster"})
		if err != nil {
			return fmt.Errorf("make the accounts of local mode: %w", err)
		}
		made(l)
	}
	return nil
}

func ensureDomain(ctx context.Context, a *admin.Admin, name string) error {
	domains, err := a.Domains(ctx)
	if err != nil {
		return err
	}
	for _, d := range domains {
		if d.Name == name {
			return nil
		}
	}
	_, err = a.AddDomain(ctx, admin.AddDomain{Name: name})
	return err
}

// welcomeLocal prints the first screen of local mode.
func (sv *server) welcomeLocal(ctx context.Context) error {
	w := sv.shell.out
	conf := sv.conf.Load()
	fmt.Fprintf(w, "postroom runs in local mode: nothing leaves this machine. Mail is kept in %s.\n\n", conf.Data)
	sv.printPorts(w)
	var logins []login
	err := seed(ctx, sv.admin, func(l login) {
		if len(logins) == 0 {
			fmt.Fprint(w, "\nThree accounts to try it with, and their passwords, which are shown only this once:\n\n")
		}
		fmt.Fprintf(w, "  %-24s %s\n", l.address, l.password)
		logins = append(logins, l)
	})
	if err != nil {
		return err
	}
	if len(logins) == 0 {
		if _, err := sv.admin.Account(ctx, "alice@"+localDomain); err != nil {
			fmt.Fprintf(w, "\nThe accounts are those that were here before: %s account list\n", sv.shell.self())
			if err := sv.offerSetup(ctx); err != nil {
				return err
			}
			sv.printPage(w, "an admin")
			return nil
		}
		fmt.Fprintf(w, "\nThe passwords of the accounts were shown at the first start. To set a new one:\n\n  %s account passwd alice@%s --generate\n",
			sv.shell.self(), localDomain)
		logins = []login{{"alice@" + localDomain, "PASSWORD"}, {"bob@" + localDomain, "PASSWORD"}}
	}
	sv.printHints(w, logins[0], logins[1])
	if err := sv.offerSetup(ctx); err != nil {
		return err
	}
	sv.printPage(w, "postmaster@"+localDomain)
	return nil
}

// printPorts prints the services and their addresses in two lines or so.
func (sv *server) printPorts(w io.Writer) {
	t := newTable(w)
	var names, addrs []string
	for _, p := range sv.ports {
		names, addrs = append(names, "  "+p.service), append(addrs, "  "+p.Addr().String())
	}
	t.row(names...)
	t.row(addrs...)
	t.flush()
}

// printHints prints what to type next.
func (sv *server) printHints(w io.Writer, from, to login) {
	if ports := byService(sv.ports, "submission"); len(ports) > 0 {
		fmt.Fprintf(w, "\nSend a mail (in another terminal):\n\n"+
			"  printf 'From: %[1]s\\nTo: %[2]s\\nSubject: Hello\\n\\nHello!\\n' | curl -sS --crlf -k --ssl-reqd smtp://%[3]s "+
			"--user '%[1]s:%[4]s' --mail-from %[1]s --mail-rcpt %[2]s -T -\n",
			from.address, to.address, ports[0].Addr(), from.password)
	}
	if ports := byService(sv.ports, "pop3"); len(ports) > 0 {
		fmt.Fprintf(w, "\nCollect it:\n\n  curl -sS -k --ssl-reqd pop3://%s/1 --user '%s:%s'\n", ports[0].Addr(), to.address, to.password)
	}
}

// printPage prints where the web page is, and how to go on.
func (sv *server) printPage(w io.Writer, admin string) {
	if ports := byService(sv.ports, "web"); len(ports) > 0 {
		fmt.Fprintf(w, "\nThe web page, for %s:  http://%s/\n", admin, ports[0].Addr())
		fmt.Fprintln(w, "Its password opens it, and it leads through the first steps to a test mail.")
	}
	fmt.Fprintf(w, "\nCtrl-C stops it. “%s --help” shows the other commands.\n\n", sv.shell.self())
}

// self is how this program is called by who reads the screen.
func (s *shell) self() string {
	switch {
	case s.program == "":
		return "postroom"
	case strings.Contains(s.program, "/go-build"): // go run
		return "go run ./cmd/postroom"
	}
	return s.program
}
