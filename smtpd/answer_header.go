package smtpd

import (
	"bytes"
	"mime"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"

	"postroom/store/mail"
)

// Bounds on what an answer repeats of a message.
const (
	maxSubject   = 200 // characters
	maxHistory   = 20  // Message-IDs
	maxHistoryID = 250 // octets of each
)

// A correspondence is what an answer needs to know of a message's header.
type correspondence struct {
	automatic string         // why no person waits for an answer; empty if one may
	addressed []mail.Address // by To, Cc and Bcc, also of who has sent it anew
	subject   string         // decoded
	history   string         // Message-IDs of the conversation so far, in brackets
}

// readCorrespondence reads the header of a message, which parseHeader has found.
func readCorrespondence(b []byte, h header) (c correspondence) {
	if h.junk {
		c.automatic = "its header is broken"
		return c
	}
	var replied string // what the message itself answers
	for at := 0; at < h.size; {
		line, _ := cutLine(b[at:h.size])
		name, value, ok := fieldName(line)
		end := fieldEnd(b[:h.size], at+len(line))
		if ok {
			c.field(strings.ToLower(string(name)), b[at+value:end], &replied)
		}
		at = end
	}
	if c.history == "" && strings.Count(replied, "<") == 1 { // RFC 5322 3.6.4
		c.history = replied
	}
	return c
}

func (c *correspondence) field(name string, value []byte, replied *string) {
	if reason := automaticField(name, value); reason != "" && c.automatic == "" {
		c.automatic = reason
	}
	switch name {
	case "to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc":
		if list, err := addresses(value); err == nil {
			c.addressed = append(c.addressed, list...)
		}
	case "subject":
		c.subject = shownText(value)
	case "references":
		c.history = messageIDs(value)
	case "in-reply-to":
		*replied = messageIDs(value)
	}
}

// automaticField says why a field shows that no person waits for an answer, or
// that one would go to many (RFC 3834 2). It is empty if the field shows nothing.
func automaticField(name string, value []byte) string {
	word := firstWord(value)
	switch {
	case name == "auto-submitted" && word != "no":
		return "it was sent automatically (Auto-Submitted)"
	case name == "precedence" && (word == "bulk" || word == "list" || word == "junk"):
		return "it is sent to many (Precedence: " + word + ")"
	case strings.HasPrefix(name, "list-"), name == "mailing-list":
		return "it is from a mailing list"
	case (name == "x-spam" || name == "x-spam-flag" || name == "x-spam-status") && word == "yes":
		return "it is marked as spam"
	case name == "content-type" && word == "multipart/report":
		return "it is a report"
	case name == "x-auto-response-suppress" && word != "none", name == "x-autoreply", name == "x-autorespond":
		return "it was sent automatically (" + name + ")"
	}
	return ""
}

// firstWord returns the first word of a value in lower case, comments aside.
func firstWord(value []byte) string {
	s := skipComments(string(value[:min(len(value), 1000)]))
	if i := strings.IndexAny(s, " \t\r\n;,("); i >= 0 {
		s = s[:i]
	}
	return strings.ToLower(s)
}

// shownText returns an unstructured value as people read it: decoded (RFC 2047),
// in one line, not too long; empty if it can't be read.
func shownText(value []byte) string {
	unfolded := bytes.ReplaceAll(value[:min(len(value), 10_000)], []byte("\r\n"), nil)
	decoder := mime.WordDecoder{CharsetReader: charset.Reader}
	text, err := decoder.DecodeHeader(strings.ToValidUTF8(string(unfolded), "?"))
	if err != nil {
		return ""
	}
	text = strings.Map(func(r rune) rune {
		if isControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > maxSubject {
		text = string(runes[:maxSubject-1]) + "…"
	}
	return text
}

// messageIDs returns the Message-IDs in a value, the first and the last ones if
// there are many, with blanks between.
func messageIDs(value []byte) string {
	var ids []string
	rest := string(value)
	for {
		_, after, found := strings.Cut(rest, "<")
		id, next, ended := strings.Cut(after, ">")
		if !found || !ended {
			break
		}
		rest = next
		if isMessageID(id) {
			ids = append(ids, "<"+id+">")
		}
	}
	if n := len(ids); n > maxHistory {
		ids = append(ids[:1], ids[n-maxHistory+1:]...)
	}
	return strings.Join(ids, " ")
}

func isMessageID(s string) bool {
	if s == "" || len(s) > maxHistoryID {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == '<' {
			return false
		}
	}
	return true
}

// Names of senders that aren't people, and what such names begin and end with
// (RFC 3834 2, RFC 5230 4.6, and what programs use).
var (
	roleNames = []string{
		"mailer-daemon", "mailer", "postmaster", "listserv", "majordomo", "uucp", "nobody",
		"noreply", "no-reply", "no_reply", "donotreply", "do-not-reply", "do_not_reply", "bounce", "bounces",
	}
	roleBeginnings = []string{"owner-"}
	roleEndings    = []string{"-request", "-owner", "-relay", "-outgoing", "-bounces", "-bounce", "-daemon"}
)

// unanswerableSender says why mail from an address is never answered. It is empty
// if it may be.
func unanswerableSender(sender mail.Address) string {
	if sender.IsNull() {
		return "it is a report, or wants no answer"
	}
	local, _, _ := strings.Cut(strings.ToLower(sender.Local), "+") // what follows often names the reader
	for _, name := range roleNames {
		if rest, ok := strings.CutPrefix(local, name); ok && (rest == "" || strings.IndexByte("-.=_", rest[0]) >= 0) {
			return "its sender is no person"
		}
	}
	for _, part := range roleBeginnings {
		if strings.HasPrefix(local, part) {
			return "its sender is no person"
		}
	}
	for _, part := range roleEndings {
		if strings.HasSuffix(local, part) {
			return "its sender is no person"
		}
	}
	return ""
}
