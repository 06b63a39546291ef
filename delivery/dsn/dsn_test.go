package dsn

import (
	"bytes"
	"errors"
	"flag"
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
	return map[string]Report{
		"unknown": failed(unknown), "several": several, "late": late, "expired": expired, "nowhere": nowhere, "large": large, "global": global,
		"returned": failed(Recipient{Address: address("bob@there.test"), Status: [3]int{5, 0, 0}, Cause: Returned, Detail: "returned by the administrator"}),
	}
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
		case i > 0 && !strings.HasSuffix(h.Get("Final-Recipient"), "; "+r.Recipients[i-1].Address.String()):
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
