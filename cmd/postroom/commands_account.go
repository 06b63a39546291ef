package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"postroom/store/admin"
	"postroom/store/auth"
)

type accountCmd struct {
	Add         accountAdd      `cmd:"" group:"commands" help:"Add an account."`
	List        accountList     `cmd:"" group:"commands" help:"List the accounts."`
	Show        accountShow     `cmd:"" group:"commands" help:"Show one account."`
	Change      accountChange   `cmd:"" group:"commands" help:"Change an account's name, its quota, or whether it is an administrator."`
	Passwd      accountPasswd   `cmd:"" group:"commands" help:"Give an account a new password; its sessions end."`
	Disable     accountDisable  `cmd:"" group:"commands" help:"Let an account neither log in nor send; its mail still arrives."`
	Enable      accountEnable   `cmd:"" group:"commands" help:"Let a disabled account log in and send again."`
	Remove      accountRemove   `cmd:"" group:"commands" help:"Remove an account and all its mail."`
	Forward     accountForward  `cmd:"" group:"commands" help:"Send an account's mail on to other addresses."`
	Vacation    accountVacation `cmd:"" group:"commands" help:"Answer mail while an account's owner is away."`
	Sender      senderCmd       `cmd:"" group:"commands" help:"Further addresses that an account may send as."`
	AppPassword appPasswordCmd  `cmd:"" group:"commands" help:"Passwords for single mail programs."`

	Sessions  accountSessions  `cmd:"" group:"commands" help:"List the browsers in which an account is signed in to the web page, or end them."`
	TwoFactor accountTwoFactor `cmd:"" group:"commands" help:"Show whether the web page asks an account for a code too, or take that off."`
}

// A newPassword is how a command comes by a password.
type newPassword struct {
	PasswordStdin bool `xor:"password" help:"Read the password from standard input: one line."`
	Generate      bool `xor:"password" help:"Make a password and print it, this once."`
}

func (p newPassword) get(s *shell, address string) (string, error) {
	switch {
	case p.Generate:
		return auth.GeneratePassword(), nil
	case p.PasswordStdin:
		return readPasswordLine(s.in)
	}
	return s.askPassword(address)
}

// tell prints a password that was made: address, blanks, password.
func (p newPassword) tell(s *shell, address, password string) {
	if p.Generate {
		fmt.Fprintf(s.out, "%s  %s\n", address, password)
	}
}

// A sizeFlag is a flag that takes a size.
type sizeFlag int64

// UnmarshalText reads "2GB".
func (o *sizeFlag) UnmarshalText(text []byte) error {
	n, err := parseSize(string(text))
	if err != nil {
		return errors.New(`needs a size such as "2GB"`)
	}
	*o = sizeFlag(n)
	return nil
}

type accountAdd struct {
	Address string `arg:"" help:"Such as alice@example.org."`
	newPassword
	Name  string   `placeholder:"NAME" help:"The person's name."`
	Quota sizeFlag `placeholder:"SIZE" help:"How much mail it can keep, such as 2GB; without it, no limit."`
	Admin bool     `help:"It may administer this server on the web page."`
}

// Run adds an account.
func (c *accountAdd) Run(ctx context.Context, s *shell) error {
	password, err := c.get(s, c.Address)
	if err != nil {
		return err
	}
	a, err := ask[admin.Account](ctx, s, "account/add", admin.NewAccount{
		Address: c.Address, Password: password, Name: c.Name, Quota: int64(c.Quota), Admin: c.Admin,
		AnyPassword: c.PasswordStdin,
	})
	if err != nil {
		return err
	}
	if c.Generate {
		c.tell(s, a.Address, password)
		return nil
	}
	fmt.Fprintf(s.out, "Added the account %s.\n", a.Address)
	return nil
}

type accountList struct{ listing }

// Run lists the accounts.
func (c *accountList) Run(ctx context.Context, s *shell) error {
	list, err := ask[[]admin.Account](ctx, s, "account/list", nothing{})
	if err != nil {
		return err
	}
	return showList(s, c.listing, list, "No accounts yet: postroom account add alice@example.org", func(w io.Writer, list []admin.Account) {
		t := newTable(w, "ADDRESS", "NAME", "MESSAGES", "USED", "QUOTA", "STATUS")
		for _, a := range list {
			t.row(a.Address, orNothing(a.Name), fmt.Sprint(a.Messages), humanSize(a.Used), quotaText(a.Quota), statusText(a))
		}
		t.flush()
	})
}

func quotaText(n int64) string {
	if n == 0 {
		return "none"
	}
	return humanSize(n)
}

func statusText(a admin.Account) string {
	if a.Admin {
		return a.Status + ", admin"
	}
	return a.Status
}

// An accountArg is the argument of the commands about one account.
type accountArg struct {
	Address string `arg:"" help:"The account's address."`
}

type accountShow struct {
	accountArg
	listing
}

// Run shows an account.
func (c *accountShow) Run(ctx context.Context, s *shell) error {
	a, err := ask[admin.Account](ctx, s, "account/show", accountRequest{Address: c.Address})
	if err != nil {
		return err
	}
	return show(s, c.listing, a, func(w io.Writer, a admin.Account) {
		t := newTable(w)
		t.row("Address", a.Address)
		t.row("Name", orNothing(a.Name))
		t.row("Status", statusText(a))
		t.row("Maildrop", plural(a.Messages, "message")+", "+humanSize(a.Used))
		t.row("Quota", quotaText(a.Quota))
		t.row("Since", a.Created.Local().Format(time.DateTime))
		if a.Personal != nil {
			personalRows(t, *a.Personal)
		}
		t.row("Second factor", twoFactorText(a.TwoFactor))
		t.row("Last sent", loginText(a.LastLogin.Submission))
		t.row("Last collected", loginText(a.LastLogin.POP3))
		t.row("Last on the web", loginText(a.LastLogin.Web))
		t.flush()
	})
}

type accountChange struct {
	accountArg
	Name  *string   `placeholder:"NAME" help:"The person's name; '' for none."`
	Quota *sizeFlag `placeholder:"SIZE" help:"How much mail it can keep, such as 2GB; 0 for no limit."`
	Admin *bool     `negatable:"" help:"It may administer this server on the web page, or no longer."`
	listing
}

// Run changes an account.
func (c *accountChange) Run(ctx context.Context, s *shell) error {
	if c.Name == nil && c.Quota == nil && c.Admin == nil {
		return usagef("say what is to be different: --name, --quota, --admin or --no-admin")
	}
	a, err := ask[admin.Account](ctx, s, "account/change", admin.ChangeAccount{
		Address: c.Address, Name: c.Name, Quota: (*int64)(c.Quota), Admin: c.Admin,
	})
	if err != nil {
		return err
	}
	return show(s, c.listing, a, func(w io.Writer, a admin.Account) {
		fmt.Fprintf(w, "%s is now: name %s, quota %s, %s.\n", a.Address, orNothing(printable(a.Name)), quotaText(a.Quota), statusText(a))
	})
}

// personalRows says what people have made of an account.
func personalRows(t *table, p admin.Personal) {
	if f := p.Forward; f != nil {
		kept := ", without a copy"
		if f.Keep {
			kept = ", with a copy"
		}
		t.row("Forwarded to", strings.Join(f.Targets, ", ")+kept)
	}
	if p.Vacation != nil {
		t.row("Vacation", vacationWords[p.Vacation.State])
	}
	for _, sender := range p.Senders {
		t.row("May send as", sender.Sender)
	}
}

type accountPasswd struct {
	accountArg
	newPassword
}

// Run sets a password.
func (c *accountPasswd) Run(ctx context.Context, s *shell) error {
	password, err := c.get(s, c.Address)
	if err != nil {
		return err
	}
	if _, err := ask[nothing](ctx, s, "account/passwd", accountRequest{Address: c.Address, Password: password, AnyPassword: c.PasswordStdin}); err != nil {
		return err
	}
	if c.Generate {
		c.tell(s, c.Address, password)
		return nil
	}
	fmt.Fprintf(s.out, "Changed the password of %s.\n", c.Address)
	return nil
}

type accountDisable struct {
	accountArg
	Refuse bool `help:"Refuse mail for it too (550)."`
}

// Run disables an account.
func (c *accountDisable) Run(ctx context.Context, s *shell) error {
	_, err := ask[nothing](ctx, s, "account/disable", accountRequest{Address: c.Address, Refuse: c.Refuse})
	if err != nil {
		return err
	}
	arrives := "mail for it still arrives"
	if c.Refuse {
		arrives = "mail for it is refused"
	}
	fmt.Fprintf(s.out, "Disabled %s: it can't log in or send, what it has queued is held, %s.\n", c.Address, arrives)
	return nil
}

type accountEnable struct{ accountArg }

// Run enables an account.
func (c *accountEnable) Run(ctx context.Context, s *shell) error {
	_, err := ask[nothing](ctx, s, "account/enable", accountRequest{Address: c.Address})
	if err == nil {
		fmt.Fprintf(s.out, "Enabled %s.\n", c.Address)
	}
	return err
}

type accountRemove struct{ accountArg }

// Help is shown by account remove --help.
func (*accountRemove) Help() string { return howLong }

// Run removes an account.
func (c *accountRemove) Run(ctx context.Context, s *shell) error {
	end, err := askLong[admin.RemovedAccount](ctx, s, "account/remove", "message", accountRequest{Address: c.Address})
	if err := errors.Join(err, end.failure()); err != nil {
		return err
	}
	if end.Stopped {
		return fmt.Errorf("stopped: %s of %s deleted; the account is here, with the rest of its mail (%d)", plural(end.Done, "message"), c.Address, end.left())
	}
	r := end.Result
	fmt.Fprintf(s.out, "Removed %s, with %s (%s).\n", r.Address, plural(r.Messages, "message"), humanSize(r.Octets))
	if len(r.Aliases) > 0 {
		fmt.Fprintf(s.out, "These aliases still lead to it: %s\n", strings.Join(r.Aliases, ", "))
	}
	if len(r.Forward) > 0 {
		fmt.Fprintf(s.out, "Mail for it isn't forwarded any more to: %s\n", strings.Join(r.Forward, ", "))
	}
	if len(r.Forwarders) > 0 {
		fmt.Fprintf(s.out, "These accounts sent mail on to it, which stays with them now: %s\n", strings.Join(r.Forwarders, ", "))
	}
	if r.Queued > 0 {
		fmt.Fprintf(s.out, "Its mail to %s still waits in the queue.\n", plural(int64(r.Queued), "recipient"))
	}
	return nil
}

type appPasswordCmd struct {
	Add    appPasswordAdd    `cmd:"" group:"commands" help:"Make a password for one mail program and print it, this once."`
	List   appPasswordList   `cmd:"" group:"commands" help:"List the app passwords of an account."`
	Remove appPasswordRemove `cmd:"" group:"commands" help:"Take one mail program's password away."`
}

type appPasswordAdd struct {
	accountArg
	Name string `arg:"" help:"Which program it is for, such as phone."`
}

// Run makes an app password.
func (c *appPasswordAdd) Run(ctx context.Context, s *shell) error {
	shown, err := ask[string](ctx, s, "app-password/add", accountRequest{Address: c.Address, Name: c.Name})
	if err == nil {
		fmt.Fprintln(s.out, shown)
	}
	return err
}

type appPasswordList struct {
	accountArg
	listing
}

// Run lists app passwords.
func (c *appPasswordList) Run(ctx context.Context, s *shell) error {
	list, err := ask[[]admin.AppPassword](ctx, s, "app-password/list", accountRequest{Address: c.Address})
	if err != nil {
		return err
	}
	return showList(s, c.listing, list, c.Address+" has no app passwords.", func(w io.Writer, list []admin.AppPassword) {
		t := newTable(w, "NAME", "SINCE", "LAST USED")
		for _, p := range list {
			t.row(p.Name, date(p.Created), ago(time.Now(), p.LastUsed))
		}
		t.flush()
	})
}

type appPasswordRemove struct {
	accountArg
	Name string `arg:"" help:"The app password's name."`
}

// Run removes an app password.
func (c *appPasswordRemove) Run(ctx context.Context, s *shell) error {
	_, err := ask[nothing](ctx, s, "app-password/remove", accountRequest{Address: c.Address, Name: c.Name})
	if err == nil {
		fmt.Fprintf(s.out, "Removed the app password %q of %s.\n", c.Name, c.Address)
	}
	return err
}
