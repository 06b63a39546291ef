package smtpclient

import (
	"cmp"
	"slices"
	"strings"
)

// begin goes from the connection to the point where MAIL may follow.
func (c *Conn) begin() error {
	steps := []func() error{c.greeting, c.hello, c.startTLS, c.login}
	if c.target.Implicit {
		steps = []func() error{c.handshake, c.greeting, c.hello, c.login}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Conn) greeting() error {
	reply, err := c.read("greeting", c.client.CommandTimeout)
	if err != nil {
		return c.fail(err)
	}
	if reply.code != 220 {
		return c.problem(reply.answer(), nil)
	}
	if name, _, _ := strings.Cut(reply.lines[0], " "); c.isOurs(strings.TrimSuffix(name, ".")) {
		return c.problem(reply.answer(), ErrSelf)
	}
	return nil
}

func (c *Conn) isOurs(name string) bool {
	names := []string{c.client.Hostname, c.hostname()}
	if c.client.OurNames != nil {
		names = append(names, c.client.OurNames()...)
	}
	return slices.ContainsFunc(names, func(ours string) bool { return strings.EqualFold(ours, name) })
}

// hostname is our own name on this connection.
func (c *Conn) hostname() string { return cmp.Or(c.target.Hostname, c.client.Hostname) }

// hello says EHLO, and HELO to a server that doesn't know it.
func (c *Conn) hello() error {
	reply, err := c.command("EHLO", "EHLO "+c.hostname())
	extended := err == nil && reply.code/100 != 5
	if err == nil && !extended {
		reply, err = c.command("HELO", "HELO "+c.hostname())
	}
	if err != nil {
		return c.fail(err)
	}
	if reply.code != 250 {
		failed := c.problem(reply.answer(), nil)
		failed.Final = reply.code/100 == 5
		return failed
	}
	c.extensions = make(map[string]string)
	if !extended {
		return nil
	}
	for _, line := range reply.lines[1:] {
		keyword, params, _ := strings.Cut(line, " ")
		c.extensions[strings.ToUpper(keyword)] = params
	}
	return nil
}
