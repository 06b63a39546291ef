package dsn

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"mime/quotedprintable"
	"strings"
)

// A document is a report that is being put together.
type document struct {
	b        bytes.Buffer
	parts    []part
	sevenBit bool
}

// A part is one of its body parts, encoded already.
type part struct {
	description, kind, encoding string
	body                        []byte
}

// add appends a part, in an encoding that says no more than it must.
func (d *document) add(description, kind string, body []byte) {
	p := part{description, kind, "7bit", body}
	switch {
	case isASCII(body):
	case d.sevenBit:
		p.encoding, p.body = "quoted-printable", quoted(body)
	default:
		p.encoding = "8bit"
	}
	d.parts = append(d.parts, p)
}

func quoted(body []byte) []byte {
	var b bytes.Buffer
	w := quotedprintable.NewWriter(&b)
	w.Write(body) // a Buffer never fails
	w.Close()
	return b.Bytes()
}

// write returns the whole message.
func (d *document) write(r Report) []byte {
	boundary := d.boundary(r)
	d.header(r, boundary)
	d.b.WriteString("\r\nThis is a delivery report in MIME format.\r\n")
	for _, p := range d.parts {
		fmt.Fprintf(&d.b, "\r\n--%s\r\n", boundary)
		field(&d.b, "Content-Description", p.description)
		field(&d.b, "Content-Type", p.kind)
		field(&d.b, "Content-Transfer-Encoding", p.encoding)
		d.b.WriteString("\r\n")
		d.b.Write(p.body)
	}
	fmt.Fprintf(&d.b, "\r\n--%s--\r\n", boundary)
	return d.b.Bytes()
}

// boundary is made of what the report is about, and stands in none of its parts:
// the same report is the same text.
func (d *document) boundary(r Report) string {
	for n := 0; ; n++ {
		h := fnv.New64a()
		fmt.Fprint(h, r.ID, r.At.UnixNano(), n)
		b := "=_report_" + hex.EncodeToString(h.Sum(nil))
		found := false
		for _, p := range d.parts {
			found = found || bytes.Contains(p.body, []byte(b))
		}
		if !found {
			return b
		}
	}
}

func (d *document) header(r Report, boundary string) {
	b := &d.b
	field(b, "From", "Mail Delivery System <MAILER-DAEMON@"+r.Hostname+">")
	line(b, "To", "<"+r.To.String()+">")
	field(b, "Subject", subject(r))
	field(b, "Date", r.At.Format(dateLayout))
	field(b, "Message-ID", "<"+r.ID+">")
	if isMessageID(r.HeaderID) { // so that it stands beside the message in a mail program
		line(b, "In-Reply-To", "<"+r.HeaderID+">")
		line(b, "References", "<"+r.HeaderID+">")
	}
	field(b, "Auto-Submitted", "auto-replied")
	field(b, "MIME-Version", "1.0")
	fmt.Fprintf(b, "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"%s\"\r\n", boundary)
	field(b, "Content-Transfer-Encoding", d.encoding())
}

// encoding is the widest of the parts' (RFC 2045 6.4).
func (d *document) encoding() string {
	for _, p := range d.parts {
		if p.encoding == "8bit" {
			return "8bit"
		}
	}
	return "7bit"
}

const dateLayout = "Mon, 02 Jan 2006 15:04:05 -0700"

func subject(r Report) string {
	switch r.Action {
	case Delayed:
		return "Your message is late"
	case Delivered:
		return "Your message was delivered"
	case Relayed:
		return "Your message was handed on"
	case Expanded:
		return "Your message was sent on"
	}
	if r.toOwner() {
		return "A message could not be forwarded"
	}
	return "Your message could not be delivered"
}

// isMessageID reports whether a stranger's Message-ID can be repeated.
func isMessageID(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == '<' || s[i] == '>' {
			return false
		}
	}
	return len(s) > 0 && len(s) < 250
}

// field writes a header field, folded at blanks to lines of 78 where it can be,
// and of 998 everywhere (RFC 5322 2.1.1).
func field(b *bytes.Buffer, name, value string) {
	line := name + ":"
	for word := range strings.FieldsSeq(value) {
		for len(word) > maxWord {
			b.WriteString(line + "\r\n")
			cut := runeStart(word, maxWord)
			line, word = " "+word[:cut], word[cut:]
		}
		if len(line)+1+len(word) > 78 && line != name+":" {
			b.WriteString(line + "\r\n")
			line = ""
		}
		line += " " + word
	}
	b.WriteString(line + "\r\n")
}

// line writes a header field whose value is left as it is: each blank in an
// address counts. The value is short and has no line ends.
func line(b *bytes.Buffer, name, value string) {
	b.WriteString(name + ": " + value + "\r\n")
}

// maxWord is how long a word may be that can't be folded.
const maxWord = 900

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
