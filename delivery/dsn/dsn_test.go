package dsn

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset"
	"github.com/emersion/go-message/textproto"
	"github.com/google/go-cmp/cmp"

	"postroom/store/mail"
)

var update = flag.Bool("update", false, "write the golden files")

var now = time.Date(2026, 3, 4, 15, 6, 7, 0, time.UTC)

const letter = "From: Alice <alice@our.test>\r\nTo: bob@there.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nHello Bob.\r\n"

func address(s string) mail.Address {
	a, err := mail.ParseAddress(s)
	if err != nil {
		panic(s)
	}
	return a
}

func failed(to ...Recipient) Report {
	return Report{
		Hostname:   "mail.our.test",
		ID:         "38gt@mail.our.test",
		At:         now,
		To:         address("alice@our.test"),
		Action:     Failed,
		Arrival:    now.Add(-time.Minute),
		Recipients: to,
		Message:    strings.NewReader(letter),
		Size:       int64(len(letter)),
	}
}

var unknown = Recipient{
	Address: address("bob@there.test"), Status: [3]int{5, 1, 1}, Cause: NoAddress, Remote: "mx.there.test",
	Words:       `550 5.1.1 <bob@there.test>: Recipient address rejected: User unknown in virtual mailbox table`,
	LastAttempt: now, Since: now.Add(-time.Minute),
}

func reports() map[string]Report {
	several := failed(unknown, Recipient{
		Address: address(`"a b"@there.test`), Original: "rfc822;Boss@our.test", Status: [3]int{5, 7, 1}, Cause: Refused,
		Remote: "mx.there.test", Words: "550 5.7.1 Your message looks like spam – see https://there.test/why", LastAttempt: now,
	}, Recipient{
		Address: address("full@there.test"), Status: [3]int{5, 2, 2}, Cause: Full, Remote: "mx.there.test", Words: "552 5.2.2 Mailbox full", LastAttempt: now,
	})
	several.EnvelopeID, several.Return = "order 7", mail.ReturnHeaders

	late := failed(Recipient{
		Address: address("bob@there.test"), Cause: Unreachable, Remote: "mx.there.test", Since: now.Add(-5 * time.Hour),
		Detail: "connect to mx.there.test (192.0.2.1): connection refused", LastAttempt: now, RetryUntil: now.Add(100 * time.Hour),
	})
	late.Action, late.Arrival = Delayed, now.Add(-5*time.Hour)

	expired := failed(Recipient{
		Address: address("bob@there.test"), Status: [3]int{5, 4, 7}, Cause: Unreachable, Since: now.Add(-120 * time.Hour),
		Detail: "connect to mx.there.test (192.0.2.1): timed out", LastAttempt: now,
	})
	nowhere := failed(Recipient{
		Address: address("bob@nowhere.test"), Status: [3]int{5, 1, 2}, Cause: NoAddress, Detail: "the domain does not exist", LastAttempt: now,
	})
	large := failed(Recipient{
		Address: address("bob@there.test"), Status: [3]int{5, 3, 4}, Cause: Unfit, Remote: "mx.there.test",
		Detail: "the message is larger than the server takes: 60000000 octets, at most 10000000", LastAttempt: now,
	})
	text := strings.Replace(letter, "=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße", 1)
	global := failed(Recipient{
		Address: address("jörg@there.test"), Original: "utf-8;jörg@there.test", Status: [3]int{5, 6, 7}, Cause: Unfit, Remote: "mx.there.test",
		Detail: "the message needs internationalized mail", LastAttempt: now,
	})
	global.To, global.Message, global.Size = address("älice@our.test"), strings.NewReader(text), int64(len(text))
	all := map[string]Report{
		"unknown": failed(unknown), "several": several, "late": late, "expired": expired, "nowhere": nowhere, "large": large, "global": global,
		"returned": failed(Recipient{Address: address("bob@there.test"), Status: [3]int{5, 0, 0}, Cause: Returned, Detail: "returned by the administrator"}),
	}
	for name, r := range moreReports() {
		all[name] = r
	}
	return all
}

// oneOf is a report on a recipient of there.test.
func oneOf(change func(r *Report, to *Recipient)) Report {
	to := unknown
	r := failed()
	change(&r, &to)
	r.Recipients = []Recipient{to}
	return r
}

func said(cause Cause, status [3]int, words string) Report {
	return oneOf(func(_ *Report, to *Recipient) { to.Cause, to.Status, to.Words = cause, status, words })
}

func moreReports() map[string]Report {
	return map[string]Report{
		"spam":      said(Spam, [3]int{5, 7, 1}, "550 5.7.1 Message content rejected, it looks like spam"),
		"listed":    said(Listed, [3]int{5, 7, 1}, "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org"),
		"unproven":  said(Unproven, [3]int{5, 7, 26}, "550 5.7.26 Unauthenticated email is not accepted due to domain's DMARC policy"),
		"forbidden": said(Forbidden, [3]int{5, 7, 1}, "550 5.7.1 Only members may write to this list"),
		"policy":    said(Refused, [3]int{5, 7, 1}, "554 5.7.1 Refused for policy reasons"),
		"toomuch":   said(TooMuch, [3]int{5, 7, 28}, "550 5.7.28 An unusual rate of mail comes from your address"),
		"disabled":  said(Disabled, [3]int{5, 2, 1}, "550 5.2.1 The account is inactive"),
		"loop": oneOf(func(_ *Report, to *Recipient) {
			to.Cause, to.Status, to.Words, to.Detail = Loop, [3]int{5, 4, 6}, "", "mail for this domain would come back to ourselves"
		}),
		"requiretls": oneOf(func(_ *Report, to *Recipient) {
			to.Cause, to.Status, to.Words, to.Detail = Unfit, [3]int{5, 7, 30}, "", "the server doesn't offer REQUIRETLS"
		}),
		"notls": oneOf(func(_ *Report, to *Recipient) {
			to.Cause, to.Status, to.Words, to.Detail = NoTLS, [3]int{5, 4, 7}, "", "TLS with mx.there.test (192.0.2.1): the certificate has expired (MTA-STS policy of there.test)"
			to.GivenUp, to.Since = true, now.Add(-120*time.Hour)
		}),
		"login": oneOf(func(_ *Report, to *Recipient) {
			to.Cause, to.Status, to.Words, to.GivenUp, to.Since = Misconfigured, [3]int{5, 4, 7}, "", true, now.Add(-120*time.Hour)
			to.Relay, to.Remote, to.Detail = "smart.our.test", "smart.our.test", "the login at the relay smart.our.test failed, refused: 535 5.7.8 bad credentials"
		}),
		"fullfordays": oneOf(func(_ *Report, to *Recipient) {
			to.Cause, to.Status, to.Words, to.GivenUp, to.Since = Full, [3]int{5, 4, 7}, "452 4.2.2 Over quota", true, now.Add(-120*time.Hour)
		}),
		"nottaken": oneOf(func(_ *Report, to *Recipient) {
			to.Cause, to.Status, to.Words, to.GivenUp, to.Since = Unreachable, [3]int{5, 4, 7}, "451 4.7.1 Greylisted, come back", true, now.Add(-120*time.Hour)
		}),
		"relay": oneOf(func(_ *Report, to *Recipient) {
			to.Cause, to.Status, to.Words, to.GivenUp, to.Since = Unreachable, [3]int{5, 4, 7}, "", true, now.Add(-120*time.Hour)
			to.Relay, to.Remote, to.Detail = "smart.our.test", "smart.our.test", "connect to smart.our.test (192.0.2.1): timed out"
		}),
		"backup": oneOf(func(r *Report, to *Recipient) {
			to.Cause, to.Status, to.Words, to.GivenUp, to.Since = Unreachable, [3]int{5, 4, 7}, "", true, now.Add(-21*24*time.Hour)
			to.Backup, to.Detail, r.Arrival, r.To = true, "connect to mx.there.test (192.0.2.1): timed out", to.Since, address("carol@far.test")
			r.SevenBit = true
		}),
		"delivered": oneOf(func(r *Report, to *Recipient) { r.Action, *to = Delivered, Recipient{Address: address("bob@our.test")} }),
		"relayed":   oneOf(func(r *Report, to *Recipient) { r.Action, to.Words = Relayed, "250 2.0.0 Ok: queued as 4XyZ" }),
		"expanded":  oneOf(func(r *Report, to *Recipient) { r.Action, *to = Expanded, Recipient{Address: address("team@our.test")} }),
		"forwarded": oneOf(func(r *Report, to *Recipient) {
			to.Via, r.To, r.SevenBit, r.HeaderID, r.Trace = address("team@our.test"), address("carol@far.test"), true, "1@far.test", "0c1d2e3f4g5h6"
		}),
		"owner": oneOf(func(r *Report, to *Recipient) {
			to.Via, r.To, r.Sender = address("team@our.test"), address("postmaster@our.test"), address("carol@far.test")
		}),
		"ulabels": oneOf(func(r *Report, to *Recipient) {
			to.Address, to.Status, to.Words, to.Remote = address("bob@bücher.test"), [3]int{5, 1, 2}, "", ""
			to.Detail, r.At = "the domain does not exist", now.In(time.FixedZone("CET", 3600))
		}),
		"many": manyRecipients(12),
	}
}

func manyRecipients(n int) Report {
	var list []Recipient
	for i := range n {
		to := unknown
		to.Address = address(fmt.Sprintf("user%d@there.test", i))
		to.Words = fmt.Sprintf("550 5.1.1 <user%d@there.test>: User unknown", i)
		switch {
		case i%4 == 1:
			to.Cause, to.Status, to.Words = Full, [3]int{5, 2, 2}, fmt.Sprintf("552 5.2.2 Over quota, ticket %c%d", 'a'+i%26, i)
		case i%6 == 2:
			to.Cause, to.Status, to.Words, to.Remote, to.GivenUp = Unreachable, [3]int{5, 4, 7}, "", "", true
			to.Address = address(fmt.Sprintf("user@host%d.test", i))
			to.Detail, to.Since = fmt.Sprintf("connect to host%d.test (192.0.2.%d): timed out", i, i), now.Add(-120*time.Hour)
		}
		list = append(list, to)
	}
	return failed(list...)
}

func TestReports(t *testing.T) {
	for name, r := range reports() {
		t.Run(name, func(t *testing.T) {
			doc, err := Compose(r)
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".eml")
			if *update {
				if err := os.WriteFile(golden, doc.Body, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(doc.Body)); diff != "" {
				t.Error(diff)
			}
			checkReport(t, r, doc)
		})
	}
}

// checkReport reads a report as another program would.
func checkReport(t *testing.T, r Report, doc Document) {
	t.Helper()
	for line := range bytes.SplitSeq(doc.Body, []byte("\r\n")) {
		if len(line) > 998 || bytes.ContainsAny(line, "\r\n\x00") {
			t.Errorf("a line is %q", line)
		}
	}
	header, _, _ := bytes.Cut(doc.Body, []byte("\r\n\r\n"))
	if isASCII(header) == doc.UTF8 || isASCII(doc.Body) == doc.EightBit {
		t.Errorf("UTF8 is %v, EightBit is %v", doc.UTF8, doc.EightBit)
	}
	m, err := message.Read(bytes.NewReader(doc.Body))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, _ := m.Header.ContentType()
	if kind != "multipart/report" || params["report-type"] != "delivery-status" || m.Header.Get("Auto-Submitted") != "auto-replied" {
		t.Errorf("it is %s %v", kind, params)
	}
	var kinds []string
	parts := m.MultipartReader()
	for part, err := parts.NextPart(); !errors.Is(err, io.EOF); part, err = parts.NextPart() {
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := part.Header.ContentType()
		if kinds = append(kinds, kind); strings.HasSuffix(kind, "delivery-status") {
			checkStatus(t, r, part.Body)
		}
	}
	if len(kinds) < 2 || len(kinds) > 3 || kinds[0] != "text/plain" {
		t.Errorf("its parts are %q", kinds)
	}
}

func checkStatus(t *testing.T, r Report, body io.Reader) {
	t.Helper()
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(strings.TrimRight(string(text), "\r\n"), "\r\n\r\n")
	if len(blocks) != len(r.Recipients)+1 {
		t.Fatalf("%d blocks for %d recipients: %q", len(blocks), len(r.Recipients), blocks)
	}
	for i, block := range blocks {
		h, err := readBlock(block)
		switch {
		case err != nil:
			t.Errorf("%q: %v", block, err)
		case i == 0 && h.Get("Reporting-MTA") != "dns; mail.our.test":
			t.Errorf("the first block is %q", block)
		case i > 0 && !strings.HasSuffix(h.Get("Final-Recipient"), "; "+r.known(r.Recipients[i-1]).String()):
			t.Errorf("block %d is %q", i, block)
		case i > 0 && h.Get("Action") != string(r.Action):
			t.Errorf("block %d is %q", i, block)
		}
	}
}

func readBlock(block string) (message.Header, error) {
	m, err := message.Read(strings.NewReader(block + "\r\n\r\n"))
	if err != nil {
		return message.Header{Header: textproto.Header{}}, err
	}
	return m.Header, nil
}

func TestManyRecipientsStaySane(t *testing.T) {
	r := manyRecipients(100)
	for i := range r.Recipients {
		r.Recipients[i].Words = fmt.Sprintf("550 5.7.1 %d %s", i, strings.Repeat("word ", 200))
		r.Recipients[i].Cause = Cause(i % int(Returned))
	}
	doc, err := Compose(r)
	if err != nil {
		t.Fatal(err)
	}
	checkReport(t, r, doc)
	human, _, _ := strings.Cut(string(doc.Body), "message/delivery-status")
	if len(doc.Body) > 100<<10 || strings.Count(human, "\r\n") > 800 {
		t.Errorf("the report has %d octets, %d lines for people", len(doc.Body), strings.Count(human, "\r\n"))
	}
	for _, to := range r.Recipients {
		if !strings.Contains(human, to.Address.String()) {
			t.Errorf("it doesn't name %s", to.Address)
		}
	}
}

// Whoever forwards mail needn't tell everybody where to.
func TestTargetIsNotDisclosed(t *testing.T) {
	for _, cause := range []Cause{NoAddress, Full, Unreachable, Loop, Unfit, Spam, Disabled} {
		for _, status := range [][3]int{{5, 1, 1}, {5, 1, 2}, {5, 4, 4}} {
			r := oneOf(func(_ *Report, to *Recipient) {
				to.Via, to.Cause, to.Status, to.Backup = address("team@our.test"), cause, status, true
				to.Words, to.Detail, to.Remote = "", "", "mx.elsewhere.test"
			})
			r.Message = nil
			doc, err := Compose(r)
			if err != nil {
				t.Fatal(err)
			}
			if text := string(doc.Body); strings.Contains(text, "there.test\r") || strings.Contains(text, "bob") || !strings.Contains(text, "Final-Recipient: rfc822; team@our.test\r\n") {
				t.Errorf("cause %d, status %v: %s", cause, status, text)
			}
		}
	}
}

func TestServerThatTakesSevenBits(t *testing.T) {
	r := failed(unknown)
	text := letter + "Grüße\r\n"
	r.Message, r.Size, r.SevenBit = strings.NewReader(text), int64(len(text)), true
	doc, err := Compose(r)
	if err != nil {
		t.Fatal(err)
	}
	checkReport(t, r, doc)
	if doc.EightBit || !isASCII(doc.Body) || !strings.Contains(string(doc.Body), "text/rfc822-headers") {
		t.Errorf("%s", doc.Body)
	}
}

func TestHowMuchComesBack(t *testing.T) {
	header := "Subject: x\r\nX-Long: " + strings.Repeat("y", 2000) + "\r\nTo: z\r\n"
	for _, test := range []struct {
		name string
		body string
		ret  mail.Return
		want string // the type of the last part
	}{
		{"a small message comes back whole", "x\r\n", mail.ReturnDefault, "message/rfc822"},
		{"its header alone if that was asked for", "x\r\n", mail.ReturnHeaders, "text/rfc822-headers"},
		{"of a larger one the header", strings.Repeat("x\r\n", 50000), mail.ReturnDefault, "text/rfc822-headers"},
		{"a larger one if that was asked for", strings.Repeat("x\r\n", 50000), mail.ReturnFull, "message/rfc822"},
		{"never a very large one", strings.Repeat("x\r\n", 500000), mail.ReturnFull, "text/rfc822-headers"},
		{"nor one with very long lines", strings.Repeat("x", 2000) + "\r\n", mail.ReturnFull, "text/rfc822-headers"},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := "Subject: x\r\n\r\n" + test.body
			r := failed(unknown)
			r.Message, r.Size, r.Return = strings.NewReader(text), int64(len(text)), test.ret
			doc, err := Compose(r)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(doc.Body), "Content-Type: "+test.want+"\r\n") {
				t.Errorf("the report is %.3000s", doc.Body)
			}
			checkReport(t, r, doc)
		})
	}
	r := failed(unknown)
	r.Message, r.Size = strings.NewReader(header+"\r\nx\r\n"), int64(len(header)+5)
	doc, err := Compose(r)
	if err != nil || strings.Contains(string(doc.Body), "X-Long") || !strings.Contains(string(doc.Body), "\r\nTo: z\r\n") {
		t.Errorf("with a long header line: %v, %s", err, doc.Body)
	}
	checkReport(t, r, doc)
}

func TestUnreadableMessage(t *testing.T) {
	r := failed(unknown)
	r.Message = io.MultiReader(strings.NewReader("Subject: x\r\n"), brokenReader{})
	if _, err := Compose(r); err == nil {
		t.Error("a report was made of a message that can't be read")
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("disk gone") }

func TestHostileWords(t *testing.T) {
	r := failed(Recipient{
		Address: address("bob@there.test"), Status: [3]int{5, 7, 1}, Remote: "mx.there.test",
		Words: "550 " + strings.Repeat("x", 3000) + " ü\r\nSubject: injected\r\n\r\n--=_report_0000",
	})
	r.EnvelopeID, r.Subject = "a\r\nBcc: x@y", "b\r\nBcc: x@y"
	r.Recipients[0].Original = "rfc822;x\r\nBcc: x@y"
	doc, err := Compose(r)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(doc.Body), "\nBcc:") || strings.Contains(string(doc.Body), "\nSubject: injected") {
		t.Errorf("%s", doc.Body)
	}
	checkReport(t, r, doc)
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "1 second", 7 * time.Second: "7 seconds", 59500 * time.Millisecond: "59 seconds",
		time.Minute: "1 minute", 59 * time.Minute: "59 minutes", 4 * time.Hour: "4 hours",
		47 * time.Hour: "47 hours", 5 * 24 * time.Hour: "5 days", 5*24*time.Hour + time.Hour: "5 days",
	} {
		if got := duration(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

// FuzzCompose checks that another program can read the report, whatever
// strangers have said.
func FuzzCompose(f *testing.F) {
	f.Add("550 no", "Hello", "bob@there.test", "rfc822;x@y", letter, "mx.there.test", byte(0))
	f.Add("550 \x1b[2J\r\n.\r\n", "=?utf-8?q?=0D=0A?=", `"a  b\""@xn--bcher-kva.test`, "utf-8;ü@y", "Subject: \xff\r\n\r\n\x00", "[192.0.2.1]", byte(1))
	f.Add(strings.Repeat("ü", 2000), strings.Repeat("x", 3000), "jörg@there.test", ";", strings.Repeat("y", 2000), "", byte(6))
	f.Fuzz(func(t *testing.T, words, subject, to, original, text, remote string, flags byte) {
		a, err := mail.ParseAddress(to)
		if err != nil {
			return // nobody to report about
		}
		r := failed(unknown)
		r.Recipients = append(r.Recipients, Recipient{
			Address: a, Original: original, Words: words, Remote: remote, Detail: subject, Cause: Cause(flags % 14),
			Status: [3]int{5, int(flags % 8), int(flags % 11)}, Since: now,
		})
		r.Action = []Action{Failed, Delayed, Delivered, Relayed, Expanded}[flags%5]
		r.SevenBit = flags&8 != 0
		if flags&16 != 0 {
			r.To = a
		}
		if flags&32 != 0 {
			r.Recipients[1].Via = a
			r.Sender = a
		}
		r.Subject, r.EnvelopeID, r.HeaderID, r.Trace = subject, subject, words, remote
		r.Message, r.Size = strings.NewReader(text), int64(len(text))
		doc, err := Compose(r)
		if err != nil {
			t.Fatal(err)
		}
		checkReport(t, r, doc)
		if r.SevenBit && r.To.IsASCII() && doc.EightBit {
			t.Error("it needs 8-bit transport")
		}
	})
}
