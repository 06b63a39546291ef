package smtpclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"postroom/store/mail"
)

// What can't be sent to a server as it is: we never change a message.
var (
	errTooLarge = refusal(552, 3, 4, "the message is larger than the server takes")
	errNeeds8   = refusal(554, 6, 3, "the message has 8-bit content, which the server doesn't take (no 8BITMIME)")
	errNeedsUTF = refusal(553, 6, 7, "the message needs internationalized mail, which the server doesn't take (no SMTPUTF8)")
	errNeedsTLS = refusal(550, 7, 30, "the message requires TLS all the way (REQUIRETLS), which the server doesn't assure")
)

// fitting returns the recipients that the message can be sent to on this
// connection, and whether SMTPUTF8 must be asked for; the others have got their
// answer.
func (c *Conn) fitting(ctx context.Context, m Message, answers []Answer) (to []int, asUTF8 bool, err error) {
	if limit := c.sizeLimit(); limit > 0 && m.Size > limit {
		tooLarge := errTooLarge
		tooLarge.Text = fmt.Sprintf("%s: %d octets, at most %d", errTooLarge.Text, m.Size, limit)
		return none(answers, tooLarge), false, nil
	}
	if !c.Offers("8BITMIME") {
		if found, err := m.contains8bit(ctx, true); err != nil || found {
			return none(answers, errNeeds8), false, err
		}
	}
	asUTF8, err = m.needsUTF8(ctx)
	if err != nil {
		return nil, false, err
	}
	if asUTF8 && !c.Offers("SMTPUTF8") {
		return none(answers, errNeedsUTF), false, nil
	}
	for i, recipient := range m.To {
		if recipient.Address.IsASCII() || c.Offers("SMTPUTF8") {
			asUTF8 = asUTF8 || !recipient.Address.IsASCII()
			to = append(to, i)
		} else {
			answers[i] = errNeedsUTF
		}
	}
	return to, asUTF8, nil
}

func none(answers []Answer, a Answer) []int {
	for i := range answers {
		answers[i] = a
	}
	return nil
}

// sizeLimit returns how large a message may be, 0 if the server doesn't say (RFC
// 1870 section 4).
func (c *Conn) sizeLimit() int64 {
	n, err := strconv.ParseInt(c.extensions["SIZE"], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// needsUTF8 reports whether the message can only be sent with SMTPUTF8, whoever
// the recipient is. A client that asked for it without need isn't followed. A
// header that isn't ASCII and came without SMTPUTF8 goes on as it came.
func (m Message) needsUTF8(ctx context.Context) (bool, error) {
	if !m.From.IsASCII() {
		return true, nil
	}
	if !m.Envelope.UTF8 {
		return false, nil
	}
	return m.contains8bit(ctx, false)
}

// contains8bit looks for an octet above 127: in the whole message, or in its
// header.
func (m Message) contains8bit(ctx context.Context, whole bool) (bool, error) {
	body, err := m.Open(ctx)
	if err != nil {
		return false, fmt.Errorf("open message: %w", err)
	}
	defer body.Close()
	buf := make([]byte, 16<<10)
	var line int // octets since the last LF, CR not counted
	for {
		n, err := body.Read(buf)
		for _, b := range buf[:n] {
			switch {
			case b >= utf8.RuneSelf:
				return true, nil
			case b == '\n' && line == 0 && !whole:
				return false, nil
			case b == '\n':
				line = 0
			case b != '\r':
				line++
			}
		}
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("read message: %w", err)
		}
	}
}

// isUTF8Type reports whether an ORCPT is of the kind that RFC 6533 adds.
func isUTF8Type(r mail.Recipient) bool {
	return len(r.Original) > 6 && r.Original[:6] == "utf-8;"
}
