package smtpclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"postroom/smtpd/wire"
)

// group is how many commands are sent before their replies are read, if the
// server can do that (RFC 2920). More could fill the buffers of both sides, each
// waiting for the other to read.
const group = 50

// A transaction is one MAIL, its RCPTs and its DATA.
type transaction struct {
	conn    *Conn
	message Message
	utf8    bool
	to      []int    // of the message's recipients
	answers []Answer // of all of the message's recipients

	accepted  []int // those of to that RCPT took
	mail      Answer
	data      reply
	elsewhere bool
	stale     bool
	trouble   bool // the connection failed, not the message
	stopped   bool // what ended it will end the message's next one too
}

// A command is one line to send, and what to do with its reply.
type command struct {
	name, line string
	take       func(reply)
}

// run goes through the transaction. Its error is our own trouble.
func (t *transaction) run(ctx context.Context) error {
	err := t.envelope()
	t.conn.open = true
	if err != nil {
		t.broke(err)
		return nil
	}
	switch {
	case t.data.code == 0: // DATA was not sent, or there is nobody to send to
		return nil
	case len(t.accepted) == 0:
		if t.data.code == 354 { // it waits for a message to nobody
			t.conn.Close()
		}
		return nil
	case t.data.code != 354:
		t.finish(t.unlessTaken(t.data.answer()))
		return nil
	}
	return t.body(ctx)
}

// commands are the lines of the transaction, RSET first if another one was left
// before its end.
func (t *transaction) commands() []command {
	var list []command
	if t.conn.open {
		list = append(list, command{"RSET", "RSET", t.resetDone})
	}
	list = append(list, command{"MAIL", t.mailLine(), t.mailDone})
	for _, i := range t.to {
		list = append(list, command{"RCPT", t.rcptLine(t.message.To[i]), func(r reply) { t.rcptDone(i, r) }})
	}
	return append(list, command{"DATA", "DATA", func(r reply) { t.data = r }})
}

// envelope sends the commands in groups. Its error is the loss of the
// connection.
func (t *transaction) envelope() error {
	size := 1
	if t.conn.Offers("PIPELINING") {
		size = group
	}
	for list := t.commands(); len(list) > 0; {
		n := min(size, len(list))
		if t.stopped || list[0].name == "DATA" && len(t.accepted) == 0 {
			return nil
		}
		if err := t.exchange(list[:n]); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

func (t *transaction) exchange(list []command) error {
	c := t.conn
	if err := c.quiet(list[0].name); err != nil {
		return err
	}
	for _, cmd := range list {
		c.w.WriteString(cmd.line) // its error is Flush's too
		c.w.WriteString("\r\n")
	}
	if err := c.w.Flush(); err != nil {
		return c.lost(list[0].name, err)
	}
	for _, cmd := range list {
		got, err := c.read(cmd.name, c.client.CommandTimeout)
		if err != nil {
			return err
		}
		cmd.take(got)
		t.trouble = t.trouble || got.code == 421
		if got.code == 421 && !t.stopped {
			t.stopped = true
			t.finish(got.answer())
			t.unanswered(got.answer())
		}
		if c.broken { // 421: the server has closed, or is about to
			return nil
		}
	}
	return nil
}

// resetDone: a server that refuses RSET is not to be used again.
func (t *transaction) resetDone(r reply) {
	if r.code != 250 {
		t.conn.broken = true
		t.mailDone(reply{421, r.lines})
	}
}

func (t *transaction) mailDone(r reply) {
	t.mail = r.answer()
	if t.mail.Taken() {
		return
	}
	t.stopped = true
	t.elsewhere = !t.mail.Refused()
	t.stale = r.code == 421 && t.conn.messages > 0
	t.unanswered(t.mail)
}

func (t *transaction) rcptDone(i int, r reply) {
	if !t.mail.Taken() {
		return // 503, of course
	}
	t.answers[i] = r.answer()
	switch {
	case r.code == 503:
		t.confused(i)
	case t.answers[i].Taken():
		t.accepted = append(t.accepted, i)
	}
}

// confused: a server that took MAIL and doesn't know of it at RCPT has lost count
// of the replies, or we have. That says nothing about the recipients.
func (t *transaction) confused(i int) {
	t.answers[i].Code = 0
	t.conn.broken, t.stopped, t.trouble = true, true, true
	t.finish(t.answers[i])
	t.unanswered(t.answers[i])
}

// body sends the message itself.
func (t *transaction) body(ctx context.Context) error {
	c := t.conn
	if err := c.quiet("DATA"); err != nil {
		t.broke(err)
		return nil
	}
	if err := t.copyBody(ctx); err != nil {
		c.broken = true
		var ours *ownError
		if errors.As(err, &ours) {
			c.Close() // without the final dot
			t.finish(ownWords("the message could not be read here"))
			return ours.cause
		}
		t.trouble = true
		t.finish(t.early(c.lost("the message", err)))
		return nil
	}
	got, err := c.read("the end of the message", 2*c.client.CommandTimeout)
	if err != nil {
		t.broke(err)
		return nil
	}
	t.trouble = got.code == 421
	c.open = got.code != 250
	t.finish(got.answer())
	return nil
}

// An ownError is a failure to read what we are to send.
type ownError struct{ cause error }

func (e *ownError) Error() string { return e.cause.Error() }

// copyBody sends the message and the final dot.
func (t *transaction) copyBody(ctx context.Context) error {
	body, err := t.message.Open(ctx)
	if err != nil {
		return &ownError{fmt.Errorf("open message: %w", err)}
	}
	defer body.Close()
	from := &ownReader{r: body}
	to := wire.NewDotWriter(t.conn.w)
	n, err := io.Copy(to, from)
	switch {
	case from.err != nil:
		return &ownError{fmt.Errorf("read message: %w", from.err)}
	case errors.Is(err, wire.ErrBareControl):
		return &ownError{fmt.Errorf("read message: %w", err)}
	case err != nil:
		return err
	case n != t.message.Size:
		return &ownError{fmt.Errorf("read message: %d octets, %d expected", n, t.message.Size)}
	}
	if err := to.Close(); errors.Is(err, wire.ErrBareControl) {
		return &ownError{fmt.Errorf("read message: %w", err)}
	}
	return t.conn.w.Flush()
}

// An ownReader remembers that it was reading that failed, not writing.
type ownReader struct {
	r   io.Reader
	err error
}

func (o *ownReader) Read(p []byte) (int, error) {
	n, err := o.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		o.err = err
	}
	return n, err
}

// early returns what a server said that closed the connection in the middle of
// the message, if that can still be read.
func (t *transaction) early(lost error) Answer {
	t.conn.conn.SetReadDeadline(time.Now().Add(time.Second))
	if got, err := readReply(t.conn.r); err == nil && got.code >= 400 {
		return got.answer()
	}
	return ownWords(lost.Error())
}

// broke notes the loss of the connection for all who have no answer yet. Before
// MAIL was answered nothing has happened, and another try may be made at once.
func (t *transaction) broke(err error) {
	if t.mail == (Answer{}) {
		t.elsewhere = true
		t.stale = t.conn.messages > 0
	}
	t.stopped, t.trouble = true, true
	t.finish(ownWords(err.Error()))
	t.unanswered(ownWords(err.Error()))
}

// finish gives an answer to all whom RCPT took.
func (t *transaction) finish(a Answer) {
	for _, i := range t.accepted {
		t.answers[i] = a
	}
}

// unanswered gives an answer to all who have none.
func (t *transaction) unanswered(a Answer) {
	for _, i := range t.to {
		if t.answers[i] == (Answer{}) {
			t.answers[i] = a
		}
	}
}

// unlessTaken keeps an answer that agrees to the wrong thing from passing as
// success.
func (t *transaction) unlessTaken(a Answer) Answer {
	if a.Taken() {
		a.Code = 0
		t.conn.broken = true
	}
	return a
}

// postponed returns the recipients that the server wants in another transaction.
func (t *transaction) postponed() []int {
	var list []int
	for _, i := range t.to {
		if t.answers[i].Remote && t.answers[i].tooMany() {
			list = append(list, i)
		}
	}
	return list
}

// giveUp gives the recipients whose turn won't come the reason.
func (t *transaction) giveUp(rest []int) {
	reason := t.mail
	if reason.Taken() || reason == (Answer{}) {
		reason = ownWords(t.conn.remote + " ended the connection before their turn")
		for _, i := range t.to {
			if a := t.answers[i]; !a.Taken() && !a.Refused() {
				reason = a
			}
		}
	}
	for _, i := range rest {
		t.answers[i] = reason
	}
}
