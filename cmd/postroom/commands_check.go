package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"postroom/store"
	"postroom/store/admin"
)

type checkCmd struct {
	Config  checkConfig  `cmd:"" group:"commands" help:"Read the configuration as “serve” does, and say what it comes to."`
	DNS     checkDNS     `cmd:"" name:"dns" group:"commands" help:"Does the DNS say what it must about a domain?"`
	SPF     checkSPF     `cmd:"" name:"spf" group:"commands" help:"May this client send in the name of this sender?"`
	DKIM    checkDKIM    `cmd:"" name:"dkim" group:"commands" help:"Are the signatures of a message good?"`
	DMARC   checkDMARC   `cmd:"" name:"dmarc" group:"commands" help:"What does a domain want done with mail that isn't its own?"`
	Message checkMessage `cmd:"" group:"commands" help:"What would become of this mail, if it came from another server?"`

	Delivery checkDelivery `cmd:"" group:"commands" help:"What would happen to a mail from one address to another?"`

	Certificate checkCertificate `cmd:"" group:"commands" help:"Which certificates do the services show, until when, and what is wrong with them?"`
}

// Help is shown by check --help.
func (*checkCmd) Help() string {
	return "Mail is checked exactly as it is when it comes in: with your own lists, the blocklists and everything else that the " +
		"configuration turns on. Nothing is delivered. The exit status is 0 if the mail would be taken or the check has nothing " +
		"against it, else 1."
}

// clientFlags say who might send something.
type clientFlags struct {
	IP   string `name:"ip" required:"" placeholder:"IP" help:"The address of the client."`
	Helo string `name:"helo" placeholder:"NAME" help:"What it says at EHLO; its address in brackets without."`
	From string `name:"from" required:"" placeholder:"ADDRESS" help:"MAIL FROM; <> for the null sender."`
}

func (f clientFlags) request() admin.CheckRequest {
	return admin.CheckRequest{IP: f.IP, Helo: f.Helo, From: f.From}
}

type checkSPF struct {
	clientFlags
	listing
}

// Run checks SPF.
func (c *checkSPF) Run(ctx context.Context, s *shell) error {
	return s.check(ctx, c.listing, "check/spf", c.request())
}

type checkDKIM struct {
	File string `arg:"" help:"The message, header and all; - for standard input."`
	listing
}

// Run verifies signatures.
func (c *checkDKIM) Run(ctx context.Context, s *shell) error {
	text, err := s.readMessage(c.File)
	if err != nil {
		return err
	}
	return s.check(ctx, c.listing, "check/dkim", admin.CheckRequest{Message: text})
}

type checkDMARC struct {
	Domain string `arg:"" help:"The domain of the field From."`
	listing
}

// Run looks a policy up.
func (c *checkDMARC) Run(ctx context.Context, s *shell) error {
	return s.check(ctx, c.listing, "check/dmarc", admin.CheckRequest{Domain: c.Domain})
}

type checkMessage struct {
	File string `arg:"" help:"The message, header and all; - for standard input."`
	clientFlags
	listing
}

// Run asks what would become of a message.
func (c *checkMessage) Run(ctx context.Context, s *shell) error {
	text, err := s.readMessage(c.File)
	if err != nil {
		return err
	}
	r := c.request()
	r.Message = text
	return s.check(ctx, c.listing, "check/message", r)
}

// readMessage reads a file, or standard input for "-".
func (s *shell) readMessage(file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(s.in)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, errors.New(osReason(err))
	}
	return text, nil
}

// check asks for a report and shows it. It fails if the mail wouldn't be taken.
func (s *shell) check(ctx context.Context, l listing, operation string, r admin.CheckRequest) error {
	report, err := ask[admin.CheckReport](ctx, s, operation, r)
	if err != nil {
		return err
	}
	if err := show(s, l, report, printReport); err != nil || report.Taken {
		return err
	}
	if report.Reply != "" {
		return errors.New("the mail would not be taken: " + printable(report.Reply))
	}
	return errors.New("the check does not pass: " + printable(failing(report.Checks)))
}

// failing names the results of a report in a line.
func failing(checks []store.CheckResult) string {
	var words []string
	for _, c := range checks {
		words = append(words, c.Check+" "+c.Result)
	}
	return strings.Join(words, ", ")
}

// printReport prints a line for each check, what the client would hear, and then
// the reasons.
func printReport(w io.Writer, r admin.CheckReport) {
	t := newTable(w)
	for _, c := range r.Checks {
		t.row(c.Check, c.Result, c.Detail)
	}
	t.flush()
	if len(r.Checks) == 0 {
		fmt.Fprintln(w, "No check had anything to say.")
	}
	if r.Reply != "" {
		fmt.Fprintf(w, "\nThe client would hear: %s\n", printable(r.Reply))
	}
	if r.Spam {
		fmt.Fprintln(w, "The message would be marked: X-Spam: yes")
	}
	if r.Results != "" {
		fmt.Fprintln(w, "\nIt would get this field:")
		for line := range strings.Lines(r.Results) {
			fmt.Fprintln(w, "  "+printable(strings.ReplaceAll(strings.TrimRight(line, "\r\n"), "\t", "    ")))
		}
	}
	if len(r.Explained) > 0 {
		fmt.Fprintln(w, "\nHow it came to that:")
	}
	for _, line := range r.Explained {
		fmt.Fprintln(w, "  "+printable(line))
	}
}
