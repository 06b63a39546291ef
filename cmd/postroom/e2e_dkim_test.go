package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postroom/cmd/postroom/bench"
	"postroom/delivery/smtpclient/smtptest"
	"postroom/store/admin"
)

// A strange message is one of the test data: what we make of it, and what comes
// out behind Postfix.
type strange struct {
	name    string // its file
	sent    []byte
	arrived string
}

// refused are those that we don't accept, and why.
var refused = map[string]string{
	"enmime/LICENSE":                                   notField,
	"enmime/bad-header-start.raw":                      notList, // its first line continues our From
	"enmime/erroneous.raw":                             notField,
	"enmime/qp-utf8-header-no-break.raw":               notField,
	"mime4j/LICENSE":                                   notList, // as above
	"mime4j/basic-plain-with-bad-header-separator.msg": notField,
	"mime4j/hdr-fakeout.msg":                           notField,
	"mime4j/malformedHeader-nocrlfcrlf.msg":            notField,
	"mime4j/malformedHeader-noheader.msg":              notField,
	"mime4j/malformedHeaderStartsBody-nocrlfcrlf.msg":  notField,
	"mime4j/malformedHeaderStartsBody-noheader.msg":    notField,
	"mime4j/obsolete.msg":                              notField,
	"python-email/msg_19.txt":                          notField,
	"python-email/msg_35.txt":                          notField,
}

const (
	notField = "554 5.6.0 A line of the message's header is not a header field"
	notList  = "550 5.7.1 The field From is not a list of mail addresses"
)

// breaks reports whether Postfix breaks any signature: it folds lines of more than
// 998 octets (smtp_line_length_limit), which no server has to take (RFC 5322
// section 2.1.1).
func (m *strange) breaks() bool {
	for line := range bytes.SplitSeq(m.sent, []byte("\r\n")) {
		if len(line) > 998 {
			return true
		}
	}
	return false
}

// strangeMessages returns the messages that parsers stumble over, as alice could
// send them.
func strangeMessages(t *testing.T) []*strange {
	t.Helper()
	dir := os.Getenv("POSTROOM_TESTDATA")
	if dir == "" {
		t.Skip("needs the test data that POSTROOM_TESTDATA points to")
	}
	root := filepath.Join(dir, "messages")
	var list []*strange
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		list = append(list, &strange{name: name, sent: asAlice(content)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

var (
	anyLineEnd = regexp.MustCompile("\r\n|\r|\n")
	mboxLine   = regexp.MustCompile(`^From [^:\r]*[ -][^\r]*\r\n`)
	fromField  = regexp.MustCompile("(?im)^From[ \t]*:.*\n([ \t].*\n)*")
)

// asAlice makes line ends CRLF, takes away the line that an mbox has in front of a
// message, and puts the one From field that alice may use in the place of the first
// one, or in front.
func asAlice(message []byte) []byte {
	const from = "From: Alice <alice@sign.test>\r\n"
	message = anyLineEnd.ReplaceAll(message, []byte("\r\n"))
	message = mboxLine.ReplaceAll(message, nil)
	header, body, whole := bytes.Cut(message, []byte("\r\n\r\n"))
	header = append(header, "\r\n"...)
	if whole {
		body = append([]byte("\r\n"), body...)
	}
	at := 0
	if first := fromField.FindIndex(header); first != nil {
		at = first[0]
	}
	header = append(slices.Clone(fromField.ReplaceAll(header[:at], nil)), append([]byte(from), fromField.ReplaceAll(header[at:], nil)...)...)
	message = append(header, body...)
	if !bytes.HasSuffix(message, []byte("\r\n")) {
		message = append(message, "\r\n"...) // SMTP has no other end
	}
	return message
}

// sendStrange sends all messages through our server and a Postfix behind it, each
// to an address of its own, and returns those that our server has taken.
func sendStrange(t *testing.T, messages []*strange) ([]*strange, []admin.DKIMKey) {
	t.Helper()
	sink := &smtptest.Server{TLS: smtptest.Certificate(t, "sink.test")}
	p := startPostfix(t, sink.Start(t, "127.0.0.6").String())
	names, err := bench.StartDNS("judge.test. 60 IN MX 10 mx.remote.test.", "mx.remote.test. 60 IN A "+postfixIP)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(names.Close)
	s := prepareSite(t)
	s.Env = []string{
		"POSTROOM_DNS_SERVERS=" + names.Addr, "POSTROOM_DELIVERY_PORT=" + p.port, "POSTROOM_DELIVERY_PRIVATE_DESTINATIONS=true",
		"POSTROOM_LIMITS_MESSAGES_PER_HOUR=0", "POSTROOM_LIMITS_RECIPIENTS_PER_DAY=0",
	}
	s.start()
	s.addAccounts("alice@sign.test")
	var taken []*strange
	for i, m := range messages {
		reply, _ := sendVia(t.Context(), s.Submission, "alice@sign.test", "alice@sign.test", fmt.Sprintf("m%d@judge.test", i), m.sent)
		if strings.HasPrefix(reply, "250 ") {
			taken = append(taken, m)
		}
		if want := cmp.Or(refused[m.name], "250 2.0.0 accepted"); !strings.HasPrefix(reply, want) {
			t.Errorf("%s: %q, want %q", m.name, reply, want)
		}
	}
	s.until("all have arrived", func() bool { return sink.Count() >= len(taken) })
	for _, m := range sink.Messages() {
		var i int
		if _, err := fmt.Sscanf(m.Rcpt[0], "RCPT TO:<m%d@judge.test>", &i); err != nil {
			t.Fatalf("%s: %v", m.Rcpt[0], err)
		}
		messages[i].arrived = m.Data
	}
	var keys []admin.DKIMKey
	s.list(&keys, "dkim", "list", "sign.test")
	return taken, keys
}

// A verifier judges messages: for each file which keys' signatures are good.
type verifier func(t *testing.T, files []string, keys []admin.DKIMKey) map[string][]string

// What we sign verifies at other people's, with both keys, after Postfix has had it.
func TestOthersVerifyOurSignatures(t *testing.T) {
	messages := strangeMessages(t)
	taken, keys := sendStrange(t, messages)
	if len(keys) != 2 || len(taken) < 200 {
		t.Fatalf("%d messages are signed with %d keys", len(taken), len(keys))
	}
	dir := t.TempDir()
	var files []string
	byFile := make(map[string]*strange)
	for i, m := range taken {
		file := filepath.Join(dir, fmt.Sprintf("%d.eml", i))
		if err := os.WriteFile(file, []byte(m.arrived), 0o600); err != nil {
			t.Fatal(err)
		}
		files, byFile[file] = append(files, file), m
	}
	for name, verify := range map[string]verifier{"opendkim": verifyByOpenDKIM, "mailauth": verifyByMailauth} {
		t.Run(name, func(t *testing.T) {
			verdicts := verify(t, files, keys)
			for file, m := range byFile {
				want := []string{keys[1].Selector, keys[0].Selector}
				if m.breaks() {
					want = nil
				}
				slices.Sort(want)
				if got := slices.Sorted(slices.Values(verdicts[file])); !slices.Equal(got, want) {
					t.Errorf("%s: the signatures of %v are good, want %v:\n%.1500s", m.name, got, want, m.arrived)
				}
			}
		})
	}
}

// verifyByOpenDKIM has Debian's milter judge.
func verifyByOpenDKIM(t *testing.T, files []string, keys []admin.DKIMKey) map[string][]string {
	need(t, "opendkim", "opendkim")
	var records strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&records, "%s %s\n", k.Record, k.Value)
	}
	conf := write(t, "opendkim.conf", "Mode v\nSyslog no\nTestPublicKeys "+write(t, "records", records.String())+"\n")
	verdicts := make(map[string][]string)
	for _, file := range files {
		for result := range strings.SplitSeq(runProgram(t, nil, nil, "opendkim", "-x", conf, "-vv", "-t", file), ";") {
			if good := opendkimPass.FindStringSubmatch(result); good != nil {
				verdicts[file] = append(verdicts[file], good[1])
			}
		}
	}
	return verdicts
}

// opendkimPass is a result in the Authentication-Results field that it would add.
var opendkimPass = regexp.MustCompile(`(?s)^\s*dkim=pass .*header\.d=sign\.test .*header\.s=(\S+)`)

// verifyByMailauth has the npm package judge.
func verifyByMailauth(t *testing.T, files []string, keys []admin.DKIMKey) map[string][]string {
	dir := os.Getenv("POSTROOM_MAILAUTH")
	if dir == "" {
		t.Skip("needs mailauth (npm install mailauth): POSTROOM_MAILAUTH names the folder that has its node_modules")
	}
	need(t, "node", "nodejs")
	records := make(map[string]string)
	for _, k := range keys {
		records[k.Record] = k.Value
	}
	text, err := json.Marshal(records)
	if err != nil {
		t.Fatal(err)
	}
	script := write(t, "verify.cjs", mailauthScript)
	args := append([]string{script, write(t, "records.json", string(text))}, files...)
	out := runProgram(t, nil, []string{"NODE_PATH=" + filepath.Join(dir, "node_modules")}, "node", args...)
	verdicts := make(map[string][]string)
	if err := json.Unmarshal([]byte(out), &verdicts); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return verdicts
}

const mailauthScript = `
const { dkimVerify } = require('mailauth/lib/dkim/verify');
const fs = require('fs');
const [records, ...files] = process.argv.slice(2);
const dns = JSON.parse(fs.readFileSync(records));
const resolver = async (name, type) => {
  if (type === 'TXT' && dns[name]) return [[dns[name]]];
  throw Object.assign(new Error('no such record'), { code: 'ENOTFOUND' });
};
(async () => {
  const good = {};
  for (const file of files) {
    const { results } = await dkimVerify(fs.readFileSync(file), { resolver });
    good[file] = results.filter((r) => r.status.result === 'pass' && r.signingDomain === 'sign.test').map((r) => r.selector);
  }
  console.log(JSON.stringify(good));
})();
`
