// Package dsn writes delivery status notifications (RFC 3464, in the frame of
// RFC 6522): what a sender gets to read when a message could not be delivered,
// or is late. It says what happened in the words of people first, and for
// programs after that.
package dsn

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"io"
	"strings"
	"time"

	"postroom/store/mail"
)

// A Report is about one message and some of its recipients, who share one
// Action.
type Report struct {
	Hostname string       // of the server that reports: ours
	ID       string       // its Message-ID, without brackets
	At       time.Time    // when it is written
	To       mail.Address // the sender of the message
	Action   Action

	Arrival    time.Time // when the message came to us
	EnvelopeID string    // ENVID, if it had one
	Subject    string    // Message is asked for it if this is empty
	Recipients []Recipient

	// Message gives the message that this is about, with CRLF line ends; nil if
	// it can't be had. Size is how many octets it has.
	Message io.Reader
	Size    int64
	Return  mail.Return
}

// An Action is what happened, as RFC 3464 2.3.3 calls it.
type Action string

// The actions that are reported.
const (
	Failed  Action = "failed"
	Delayed Action = "delayed"
)

// A Recipient is one whose mail could not be delivered.
type Recipient struct {
	Address  mail.Address
	Original string // ORCPT as "type;address", or empty
	Status   [3]int // RFC 3463; the class is made to fit the action
	Cause    Cause
	// Remote is the host that spoke, or that was spoken to, and Words what it
	// said; empty if no server has said anything.
	Remote string
	Words  string
	// Detail says what went wrong if Words is empty, or besides them.
	Detail      string
	LastAttempt time.Time // zero: there was none
	Since       time.Time // how long it has been tried: since then
	RetryUntil  time.Time // Delayed: when it is given up
}

// A Document is a report as it goes out.
type Document struct {
	Body     []byte // the whole message
	EightBit bool   // it has octets above 127: BODY=8BITMIME
	UTF8     bool   // its header has: SMTPUTF8
}

// Compose writes a report. It fails only if the message can't be read.
func Compose(r Report) (Document, error) {
	original, err := readOriginal(r)
	if err != nil {
		return Document{}, err
	}
	if r.Subject == "" {
		r.Subject = original.subject
	}
	d := &document{boundary: boundary(r)}
	d.header(r)
	d.part("text/plain; charset=utf-8", "Notification")
	d.b.WriteString(text(r))
	global := isGlobal(r, original)
	if global {
		d.part("message/global-delivery-status", "Delivery report")
	} else {
		d.part("message/delivery-status", "Delivery report")
	}
	d.status(r, global)
	d.original(original, global)
	fmt.Fprintf(&d.b, "\r\n--%s--\r\n", d.boundary)
	doc := Document{Body: d.b.Bytes(), UTF8: !r.To.IsASCII()}
	doc.EightBit = !isASCII(doc.Body)
	return doc, nil
}

// isGlobal reports whether the machine's part needs UTF-8 (RFC 6533): for an
// address, or for the header of the message.
func isGlobal(r Report, o original) bool {
	for _, recipient := range r.Recipients {
		if !recipient.Address.IsASCII() || !isASCII([]byte(recipient.Original)) {
			return true
		}
	}
	return !r.To.IsASCII() || o.utf8Header
}

// A document is a report that is being written.
type document struct {
	b        bytes.Buffer
	boundary string
}

// boundary is made of what the report is about: the same report is the same
// text.
func boundary(r Report) string {
	h := fnv.New64a()
	fmt.Fprint(h, r.ID, r.At.UnixNano())
	return "=_report_" + hex.EncodeToString(h.Sum(nil))
}

func (d *document) header(r Report) {
	d.field("From", "Mail Delivery System <MAILER-DAEMON@"+r.Hostname+">")
	d.field("To", "<"+r.To.String()+">")
	d.field("Subject", subject(r))
	d.field("Date", r.At.Format(dateLayout))
	d.field("Message-ID", "<"+r.ID+">")
	d.field("Auto-Submitted", "auto-replied")
	d.field("MIME-Version", "1.0")
	fmt.Fprintf(&d.b, "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"%s\"\r\n", d.boundary)
	d.field("Content-Transfer-Encoding", "8bit")
	d.b.WriteString("\r\nThis is a delivery report in MIME format.\r\n")
}

const dateLayout = "Mon, 02 Jan 2006 15:04:05 -0700"

func subject(r Report) string {
	if r.Action == Delayed {
		return "Your message is late"
	}
	return "Your message could not be delivered"
}

func (d *document) part(contentType, description string) {
	fmt.Fprintf(&d.b, "\r\n--%s\r\n", d.boundary)
	d.field("Content-Description", description)
	d.field("Content-Type", contentType)
	d.field("Content-Transfer-Encoding", "8bit")
	d.b.WriteString("\r\n")
}

// field writes a header field, folded at blanks to lines of 78 where it can be,
// and of 998 everywhere (RFC 5322 2.1.1).
func (d *document) field(name, value string) {
	line := name + ":"
	for word := range strings.FieldsSeq(value) {
		for len(word) > 900 {
			d.b.WriteString(line + "\r\n")
			cut := runeStart(word, 900)
			line, word = " "+word[:cut], word[cut:]
		}
		if len(line)+1+len(word) > 78 && line != name+":" {
			d.b.WriteString(line + "\r\n")
			line = ""
		}
		line += " " + word
	}
	d.b.WriteString(line + "\r\n")
}

// runeStart returns the largest index of s up to n where no character is cut.
func runeStart(s string, n int) int {
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return n
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// original writes the part with the message, or its header (RFC 6522 section 3).
func (d *document) original(o original, global bool) {
	switch {
	case o.text == nil:
		return
	case o.whole && global && o.utf8Header:
		d.part("message/global", "Your message")
	case o.whole:
		d.part("message/rfc822", "Your message")
	case global && o.utf8Header:
		d.part("message/global-headers", "Header of your message")
	default:
		d.part("text/rfc822-headers", "Header of your message")
	}
	d.b.Write(o.text)
}
