package smtpclient

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"postroom/store/mail"
)

// Bounds of what a server may answer, well above RFC 5321 4.5.3.1.5.
const (
	maxReplyLine  = 4096
	maxReplyLines = 200
	maxWords      = 1000 // octets of an Answer's Text
)

// An Answer is what came of one step for one recipient: the remote's reply, or
// what went wrong on this side of it.
type Answer struct {
	Code     int    // 0 if there was no reply
	Enhanced [3]int // RFC 3463; zero if the reply has none
	Text     string // the whole reply, code included, in one printable line; else what went wrong
	Remote   bool   // these are the remote's own words
}

// Taken reports whether the remote agreed.
func (a Answer) Taken() bool { return a.Code/100 == 2 }

// Refused reports whether trying again is pointless. Whatever is neither Taken
// nor Refused is temporary, garbage too.
func (a Answer) Refused() bool { return a.Code/100 == 5 }

// tooMany reports whether the answer to RCPT asks for the recipient to be sent
// in another transaction (RFC 5321 4.5.3.1.10).
func (a Answer) tooMany() bool {
	if a.Enhanced[1] == 5 && a.Enhanced[2] == 3 {
		return a.Code == 452 || a.Code == 552
	}
	return a.Code == 452 && a.Enhanced == [3]int{}
}

// ownWords makes a temporary answer of what went wrong here.
func ownWords(text string) Answer { return Answer{Text: mail.Printable(text, maxWords)} }

// refusal makes a final answer of our own.
func refusal(code, subject, detail int, text string) Answer {
	return Answer{Code: code, Enhanced: [3]int{5, subject, detail}, Text: text}
}

// A reply is what a server said: at least one line, without the codes.
type reply struct {
	code  int
	lines []string
}

var (
	errReplyTooLong = errors.New("a line of the reply is too long")
	errReplyLines   = fmt.Errorf("the reply has more than %d lines", maxReplyLines)
	errGarbage      = errors.New("the reply is not SMTP")
)

// readReply reads one reply, however many lines it has. A bare LF ends a line
// too: what a server answers in can't be turned against anybody.
func readReply(r *bufio.Reader) (reply, error) {
	var got reply
	for range maxReplyLines {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return reply{}, errReplyTooLong
		}
		if err != nil {
			return reply{}, err
		}
		code, text, last, err := parseLine(bytes.TrimRight(line, "\r\n"))
		if err != nil || got.code != 0 && got.code != code {
			return reply{}, errGarbage
		}
		got.code, got.lines = code, append(got.lines, text)
		if last {
			return got, nil
		}
	}
	return reply{}, errReplyLines
}

func parseLine(line []byte) (code int, text string, last bool, err error) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' {
		return 0, "", false, errGarbage
	}
	n, err := strconv.ParseUint(string(line[:3]), 10, 16)
	if err != nil {
		return 0, "", false, errGarbage
	}
	if len(line) == 3 {
		return int(n), "", true, nil
	}
	if line[3] != ' ' && line[3] != '-' {
		return 0, "", false, errGarbage
	}
	return int(n), string(line[4:]), line[3] == ' ', nil
}

// answer makes one line of the reply. A code that each of its lines begins with
// is said once.
func (r reply) answer() Answer {
	a := Answer{Code: r.code, Remote: true}
	var b strings.Builder
	b.WriteString(strconv.Itoa(r.code))
	for i, line := range r.lines {
		enhanced, rest := cutEnhanced(line)
		switch {
		case i == 0 && enhanced[0] == r.code/100:
			a.Enhanced = enhanced
		case i > 0 && enhanced != [3]int{} && enhanced == a.Enhanced:
			line = rest
		}
		if b.Len() < maxWords && line != "" {
			b.WriteByte(' ')
			b.WriteString(strings.TrimSpace(line))
		}
	}
	a.Text = mail.Printable(b.String(), maxWords)
	return a
}

// cutEnhanced takes an enhanced status code (RFC 2034) off the front of a line;
// it is zero if there is none.
func cutEnhanced(line string) (code [3]int, rest string) {
	word, rest, _ := strings.Cut(line, " ")
	parts := strings.Split(word, ".")
	if len(parts) != 3 {
		return [3]int{}, line
	}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 16)
		if err != nil || n > 999 {
			return [3]int{}, line
		}
		code[i] = int(n)
	}
	if code[0] != 2 && code[0] != 4 && code[0] != 5 {
		return [3]int{}, line
	}
	return code, rest
}
