// Postroom is a mail server in one program: other servers' mail comes in over
// SMTP, users send over submission and collect over POP3, what is for others
// leaves by MX, and the same program is the command line that looks after it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"postroom/store/admin"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], &shell{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ(), program: os.Args[0],
	}))
}

// Exit statuses.
const (
	statusDone   = 0
	statusFailed = 1
	statusUsage  = 2
)

// run is the whole program: it runs the command that args name and returns the
// exit status.
func run(ctx context.Context, args []string, s *shell) (status int) {
	defer func() {
		if code, ok := recover().(exit); ok {
			status = int(code)
		}
	}()
	var grammar commands
	parser, err := newParser(&grammar, s)
	if err != nil {
		return s.fail(err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return s.fail(usageOf(err))
	}
	s.configFlag = grammar.Config
	return s.fail(parsed.Run(ctx, s))
}

// exit carries the status out of kong, which wants to end the program after it
// has printed a help text.
type exit int

func newParser(grammar *commands, s *shell) (*kong.Kong, error) {
	return kong.New(grammar,
		kong.Name("postroom"),
		kong.Description("A mail server in one program. Without any configuration, “postroom serve” starts one that stays on this machine."),
		kong.Writers(s.out, s.err),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.ExplicitGroups([]kong.Group{
			{Key: "server", Title: "The server:"},
			{Key: "people", Title: "Who has mail here:"},
			{Key: "mail", Title: "Mail on its way:"},
			{Key: "data", Title: "The data:"},
			{Key: "commands", Title: "Commands:"},
		}),
		kong.Vars{"outcomes": strings.Join(admin.Outcomes(), ", ")},
		kong.BindTo(context.Background(), (*context.Context)(nil)),
		kong.Bind(s),
	)
}

// usageOf turns what kong says of a wrong command line into one line.
func usageOf(err error) error {
	command := "postroom"
	if pe, ok := errors.AsType[*kong.ParseError](err); ok && pe.Context != nil {
		if node := pe.Context.Selected(); node != nil {
			command = node.FullPath()
		} else if path := pe.Context.Path; len(path) > 1 && path[len(path)-1].Command != nil {
			command = path[len(path)-1].Command.FullPath()
		}
	}
	return usagef("%s (%s --help says more)", strings.TrimSuffix(err.Error(), "."), command)
}

// A shell is what a command has around it.
type shell struct {
	in         io.Reader
	out, err   io.Writer
	environ    []string
	program    string // how it was called
	configFlag string
}

// fail prints err, if there is one, in one line and returns the exit status.
func (s *shell) fail(err error) int {
	if err == nil {
		return statusDone
	}
	fmt.Fprintln(s.err, "postroom:", oneLine(err.Error()))
	if _, ok := errors.AsType[*UsageError](err); ok {
		return statusUsage
	}
	return statusFailed
}

func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

func (s *shell) getenv(name string) string {
	for _, kv := range s.environ {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}

// config loads the configuration that every command works with.
func (s *shell) config() (*Config, error) {
	return loadConfig(findConfig(s.configFlag, s.getenv), s.environ)
}
