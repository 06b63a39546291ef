package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// initCmd writes a configuration file for a real host.
type initCmd struct {
	Hostname string `placeholder:"NAME" help:"The server's name, such as mail.example.org; asked for if it isn't given."`
	Data     string `placeholder:"FOLDER" help:"Where the mail is kept; asked for if the name is (/var/lib/postroom)."`
	Output   string `short:"o" placeholder:"FILE" help:"The file to write; - for standard output. Otherwise the one of --config."`
	Force    bool   `help:"Write over a file that is there already."`
}

// Run asks for what the flags don't say and writes the file.
func (c *initCmd) Run(s *shell) error {
	c.Output = cmp.Or(c.Output, s.configFlag, s.getenv("POSTROOM_CONFIG"), configFile)
	if err := c.mayWrite(); err != nil {
		return err
	}
	conf := realHost()
	answers := bufio.NewReader(s.in)
	var err error
	if conf.Hostname, err = c.ask(s, answers, c.Hostname, "Name of this server", likelyHostname()); err != nil {
		return err
	}
	if err := checkHostname(conf.Hostname); err != nil {
		return usagef("hostname: %v", err)
	}
	if c.Hostname != "" {
		c.Data = cmp.Or(c.Data, conf.Data) // whoever gives flags is not asked for the rest
	}
	if conf.Data, err = c.ask(s, answers, c.Data, "Folder for the mail", conf.Data); err != nil {
		return err
	}
	if c.Output == "-" {
		_, err := io.WriteString(s.out, configText(conf))
		return err
	}
	if err := c.write(configText(conf)); err != nil {
		return err
	}
	c.sayNext(s, conf)
	return nil
}

func (c *initCmd) mayWrite() error {
	if c.Output == "-" || c.Force {
		return nil
	}
	if _, err := os.Lstat(c.Output); err == nil {
		return fmt.Errorf("%s is there already; --force writes over it, --output names another file", c.Output)
	}
	return nil
}

// ask returns given, or the answer to a question, or what is proposed if the
// answer is an empty line.
func (c *initCmd) ask(s *shell, answers *bufio.Reader, given, question, proposed string) (string, error) {
	if given != "" {
		return given, nil
	}
	fmt.Fprintf(s.err, "%s [%s]: ", question, proposed)
	line, err := answers.ReadString('\n')
	if err != nil {
		fmt.Fprintln(s.err)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the answer: %w", err)
	}
	if line = strings.TrimSpace(line); line != "" {
		return line, nil
	}
	return proposed, nil
}

// likelyHostname proposes the machine's own name if it is a full one.
func likelyHostname() string {
	if name, err := os.Hostname(); err == nil && strings.Contains(name, ".") && checkHostname(name) == nil {
		return name
	}
	return "mail.example.org"
}

func (c *initCmd) write(text string) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if c.Force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(c.Output, flags, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already", c.Output)
	}
	if err != nil {
		return errors.New(osReason(err))
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Close())
}

// realHost returns what a host that others can reach begins with: beside the
// defaults, the web page with TLS and a certificate from an authority.
func realHost() *Config {
	conf := defaults()
	conf.TLS.ACME = true
	conf.Listen.HTTPS, conf.Listen.HTTP = []string{"0.0.0.0:443"}, []string{"0.0.0.0:80"}
	return conf
}

func (c *initCmd) sayNext(s *shell, conf *Config) {
	_, domain, _ := strings.Cut(conf.Hostname, ".")
	flag := ""
	if filepath.Clean(c.Output) != filepath.Clean(findConfig("", s.getenv)) {
		flag = " --config " + c.Output
	}
	fmt.Fprintf(s.out, `Wrote %[1]s. What comes next:

  1. Let DNS lead to this host: an A record for %[3]s, and a reverse name
     (PTR) for its address. Ports 25, 80, 443, 465, 587 and 995 must be open to it.
  2. postroom%[4]s serve
     It prints a link once. In a browser, that leads through who is the
     administrator, the domain, its DNS and the first account to a test mail.
     It gets its certificate from Let's Encrypt, whose terms you accept by
     tls.acme = true; “postroom%[4]s check certificate” says how that goes.
  3. Without a browser:
     postroom%[4]s domain add %[2]s
     postroom%[4]s account add you@%[2]s --admin
     postroom%[4]s check dns %[2]s
`, c.Output, domain, conf.Hostname, flag)
}

// configText returns c as a file with a comment for each key.
func configText(c *Config) string {
	var b strings.Builder
	b.WriteString("# The configuration of postroom. Every key has a default, which is what stands here\n" +
		"# unless you change it, and can be given as an environment variable too:\n" +
		"# listen.smtp is POSTROOM_LISTEN_SMTP, with commas between the elements of a list.\n" +
		"# Sizes are decimal (1MB is 1,000,000 octets; MiB and GiB are powers of two);\n" +
		"# durations have the units s, m, h and d.\n")
	for _, s := range sections(c) {
		b.WriteByte('\n')
		if s.name != "" {
			if s.doc != "" {
				writeComment(&b, s.doc)
			}
			fmt.Fprintf(&b, "[%s]\n", s.name)
		}
		for i, k := range s.keys {
			if i > 0 {
				b.WriteByte('\n')
			}
			writeComment(&b, k.doc)
			fmt.Fprintf(&b, "%s = %s\n", strings.TrimPrefix(k.path, s.name+"."), k)
		}
	}
	return b.String()
}

// writeComment writes text in lines of at most 96 characters.
func writeComment(b *strings.Builder, text string) {
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > 96 {
			fmt.Fprintln(b, line)
			line = "#"
		}
		line += " " + word
	}
	fmt.Fprintln(b, line)
}
