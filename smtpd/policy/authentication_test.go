package policy

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"io"
	netmail "net/mail"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/google/go-cmp/cmp"

	"postroom/store"
	"postroom/store/mail"
)

var testClient = Client{Addr: netip.MustParseAddr("192.0.2.1"), Helo: "client.test", Hostname: "mail.example.test"}

// sign signs a message for a domain, and publishes the key.
func sign(t testing.TB, dns *fakeDNS, domain, message string) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	dns.txt["k._domainkey."+domain] = "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)
	var signed bytes.Buffer
	if err := dkim.Sign(&signed, strings.NewReader(message), &dkim.SignOptions{Domain: domain, Selector: "k", Signer: private}); err != nil {
		t.Fatal(err)
	}
	return signed.String()
}

// letter is a message as the session makes it.
func letter(sender, message string) *Message {
	m := &Message{Open: func() io.Reader { return strings.NewReader(message) }, Size: int64(len(message))}
	m.Header = []byte(message[:strings.Index(message, "\r\n\r\n")+2])
	m.FromFields = strings.Count("\r\n"+string(m.Header), "\r\nFrom:")
	if sender != "" {
		m.Envelope.Sender, _ = mail.ParseAddress(sender)
	}
	for line := range strings.SplitSeq(string(m.Header), "\r\n") {
		if value, ok := strings.CutPrefix(line, "From:"); ok {
			list, err := netmail.ParseAddressList(value)
			if err != nil {
				m.From = nil
				break
			}
			for _, a := range list {
				address, _ := mail.ParseAddress(a.Address)
				m.From = append(m.From, address)
			}
		}
	}
	return m
}

func ours(list ...string) func(context.Context, string) (bool, error) {
	return func(_ context.Context, domain string) (bool, error) { return slices.Contains(list, domain), nil }
}

// world is the DNS of the tests of the whole check. The client's address is the one
// that may send for sent.test.
func world() *fakeDNS {
	return &fakeDNS{
		txt: map[string]string{
			"sent.test":                 "v=spf1 ip4:192.0.2.1 -all",
			"fail.test":                 "v=spf1 ip4:192.0.2.99 -all exp=why.fail.test",
			"why.fail.test":             `ask "us" about %{i}`,
			"soft.test":                 "v=spf1 ~all",
			"_dmarc.sent.test":          "v=DMARC1; p=reject",
			"_dmarc.reject.test":        "v=DMARC1; p=reject",
			"_dmarc.quarantine.test":    "v=DMARC1; p=quarantine",
			"_dmarc.none.test":          "v=DMARC1; p=none",
			"_dmarc.tested.test":        "v=DMARC1; p=reject; t=y",
			"_dmarc.quietly.test":       "v=DMARC1; p=quarantine; t=y",
			"_dmarc.below.test":         "v=DMARC1; p=none; sp=quarantine; np=reject",
			"there.below.test":          "something",
			"_dmarc.strict.test":        "v=DMARC1; p=reject; adkim=s; aspf=s",
			"mail.strict.test":          "v=spf1 ip4:192.0.2.1 -all",
			"_dmarc.broken.test":        "v=DMARC1; p=everything",
			"_dmarc.told.test":          "v=DMARC1; p=everything; rua=mailto:x@told.test",
			"_dmarc.down.test":          "servfail",
			"client.test":               "v=spf1 ip4:192.0.2.1 -all",
			"mail.sent.test":            "v=spf1 ip4:192.0.2.1 -all",
			"lists.test":                "v=spf1 ip4:192.0.2.1 -all",
			"_dmarc.bad.test":           "v=DMARC1; p=reject\nv=DMARC1; p=none",
			"_dmarc.xn--bcher-kva.test": "v=DMARC1; p=reject",
		},
		mx: map[string]string{"there.below.test": ""},
		ip: map[string]string{"there.below.test": "192.0.2.7"},
	}
}

func TestAuthentication(t *testing.T) {
	full := func() *Authentication {
		return &Authentication{SPF: Mark, DKIM: Mark, DMARC: Enforce, OwnDomains: true}
	}
	mark := func() *Authentication { return &Authentication{SPF: Mark, DKIM: Mark, DMARC: Mark} }
	enforce := func() *Authentication { return &Authentication{SPF: Enforce, DKIM: Mark, DMARC: Enforce} }
	tests := []struct {
		it, sender, from string
		modes            func() *Authentication
		signer           string // who signs it
		code             int    // 0: taken
		says             string // in the answer
		results          string // in Authentication-Results
		spam             bool
	}{
		{"takes what SPF proves", "s@sent.test", "s@sent.test", full, "", 0, "", "dmarc=pass (p=reject) header.from=sent.test", false},
		{"takes what SPF proves for a host of the organization", "s@mail.sent.test", "s@sent.test", full, "", 0, "", "dmarc=pass", false},
		{"takes what DKIM proves", "s@elsewhere.test", "s@reject.test", full, "reject.test", 0, "", "dmarc=pass", false},
		{"takes what DKIM proves for a host of the organization", "s@elsewhere.test", "s@reject.test", full, "mail.reject.test", 0, "", "dmarc=pass", false},
		{"takes what the author's organization has signed", "s@elsewhere.test", "s@mail.reject.test", full, "reject.test", 0, "", "dmarc=pass (sp=reject)", false},
		{"refuses what nothing proves", "s@lists.test", "s@reject.test", full, "lists.test", 550, "DMARC: this isn't proven to be from reject.test, whose policy (p=reject) is to refuse it", "dmarc=fail (p=reject) header.from=reject.test", false},
		{"refuses it by the organization's policy", "s@lists.test", "s@mail.reject.test", full, "", 550, "mail.reject.test, whose policy of reject.test", "dmarc=fail", false},
		{"only marks if told so", "s@lists.test", "s@reject.test", mark, "", 0, "", "dmarc=fail (p=reject)", false},
		{"marks as spam what is to be quarantined", "s@lists.test", "s@quarantine.test", full, "", 0, "", "dmarc=fail (p=quarantine)", true},
		{"marks nothing as spam if only to mark", "s@lists.test", "s@quarantine.test", mark, "", 0, "", "dmarc=fail (p=quarantine)", false},
		{"takes what the owner doesn't mind", "s@lists.test", "s@none.test", full, "", 0, "", "dmarc=fail (p=none)", false},
		{"takes what has no policy", "s@lists.test", "s@unknown.test", full, "", 0, "", "dmarc=none header.from=unknown.test", false},
		{"quarantines while refusing is tested", "s@lists.test", "s@tested.test", full, "", 0, "", "dmarc=fail (p=reject)", true},
		{"does nothing while quarantine is tested", "s@lists.test", "s@quietly.test", full, "", 0, "", "dmarc=fail (p=quarantine)", false},
		{"goes by sp for a domain below", "s@lists.test", "s@there.below.test", full, "", 0, "", "dmarc=fail (sp=quarantine)", true},
		{"goes by np for one that doesn't exist", "s@lists.test", "s@nowhere.below.test", full, "", 550, "(np=reject)", "dmarc=fail (np=reject)", false},
		{"goes by p for the domain itself", "s@lists.test", "s@below.test", full, "", 0, "", "dmarc=fail (p=none)", false},
		{"wants the same domain where alignment is strict", "s@mail.strict.test", "s@strict.test", full, "mail.strict.test", 550, "strict.test", "dmarc=fail", false},
		{"takes the same domain where alignment is strict", "s@lists.test", "s@strict.test", full, "strict.test", 0, "", "dmarc=pass", false},
		{"passes over a policy that can't be understood", "s@lists.test", "s@broken.test", full, "", 0, "", "dmarc=none", false},
		{"takes it for none if the owner wants to hear", "s@lists.test", "s@told.test", full, "", 0, "", "dmarc=fail (p=none)", false},
		{"takes two records for none", "s@lists.test", "s@bad.test", full, "", 0, "", "dmarc=none", false},
		{"has mail come again whose policy isn't known", "s@lists.test", "s@down.test", full, "", 451, "4.4.3", "dmarc=temperror", false},
		{"takes it if only to mark", "s@lists.test", "s@down.test", mark, "", 0, "", "dmarc=temperror", false},
		{"takes no policy of the null sender's", "", "s@client.test", full, "", 0, "", "spf=pass smtp.helo=client.test", false},
		{"reads a domain in U-labels", "s@lists.test", "s@bücher.test", full, "", 550, "xn--bcher-kva.test", "", false},

		{"refuses two authors of different domains", "s@sent.test", "s@sent.test, s@reject.test", full, "", 550, "one author", "dmarc=permerror", false},
		{"refuses two authors if only the second's policy says so", "s@lists.test", "s@unknown.test, s@quarantine.test", full, "", 550, "one author", "dmarc=permerror", false},
		{"takes two authors whom nobody minds", "s@lists.test", "s@unknown.test, s@none.test", full, "", 0, "", "dmarc=permerror", false},
		{"takes two authors of one domain", "s@sent.test", "s@sent.test, t@sent.test", full, "", 0, "", "dmarc=pass", false},
		{"refuses two fields", "s@sent.test", "s@sent.test\r\nFrom: s@sent.test", full, "", 550, "one field From", "dmarc=permerror", false},
		{"takes two fields if only to mark", "s@sent.test", "s@sent.test\r\nFrom: s@sent.test", mark, "", 0, "", "dmarc=permerror", false},
		{"sees the domain in a field that can't be read", "s@sent.test", "<s@reject.test", full, "", 550, "isn't proven to be from reject.test", "dmarc=fail", false},
		{"sees the author in one that is badly written", "s@sent.test", "Sent, Inc. [x] <s@sent.test>", full, "", 0, "", "dmarc=pass", false},
		{"takes an address for a name", "s@sent.test", "x@reject.test <s@sent.test>", full, "", 0, "", "dmarc=pass", false},
		{"takes none for a name that could be an author", "s@sent.test", "x@reject.test, [] <s@sent.test>", full, "", 550, "one author", "dmarc=permerror", false},
		{"takes no second address for a comment", "s@sent.test", "[] <s@sent.test> <x@reject.test>", full, "", 550, "one author", "dmarc=permerror", false},
		{"isn't tired by many addresses of one domain", "s@sent.test", strings.Repeat("[] s@sent.test,", 50) + "x@reject.test", full, "", 550, "one author", "dmarc=permerror", false},
		{"takes no address for a name that has the brackets in a comment", "s@sent.test", "x@reject.test [] (<s@sent.test>)", full, "", 550, "one author", "dmarc=permerror", false},
		{"goes by the domain above one that can be none", "s@sent.test", "[] x@my_host.reject.test", full, "", 550, "isn't proven to be from reject.test", "dmarc=fail", false},
		{"goes by it in other dots too", "s@sent.test", "[] x@_。-x.reject。test", full, "", 550, "isn't proven to be from reject.test", "dmarc=fail", false},
		{"goes by the end of a name that is too long", "s@sent.test", "[] x@" + strings.Repeat("Y.", 1000) + "reject.test", full, "", 550, "policy of reject.test", "dmarc=fail", false},
		{"sees a domain behind blanks and comments", "s@sent.test", "[] x@ (a) (b)reject.test", full, "", 550, "isn't proven to be from reject.test", "dmarc=fail", false},
		{"takes a field that names nobody", "s@sent.test", "nobody", full, "", 0, "", "dmarc=permerror", false},
		{"refuses a crowd", "s@sent.test", crowd(11), full, "", 550, "too many domains", "dmarc=permerror", false},

		{"wants a domain of ours to pass SPF", "s@ours.test", "s@ours.test", full, "", 550, "log in on port 587", "", false},
		{"isn't content with a signature then", "s@ours.test", "s@ours.test", full, "ours.test", 550, "log in on port 587", "dkim=pass", false},
		{"leaves ours alone if told so", "s@ours.test", "s@ours.test", mark, "", 0, "", "spf=none smtp.mailfrom=ours.test", false},

		{"only marks what fails SPF", "s@fail.test", "s@none.test", full, "", 0, "", "spf=fail smtp.mailfrom=fail.test", false},
		{"refuses it if told so, in the owner's words", "s@fail.test", "s@none.test", enforce, "", 550, `5.7.23 SPF: fail.test doesn't allow 192.0.2.1 to send its mail: "ask 'us' about 192.0.2.1"`, "spf=fail", false},
		{"takes what fails softly", "s@soft.test", "s@none.test", enforce, "", 0, "", "spf=softfail", false},
	}
	for _, tt := range tests {
		t.Run(tt.it, func(t *testing.T) {
			a, dns := tt.modes(), world()
			a.DNS, a.Ours = dns, ours("ours.test")
			text := "From: " + tt.from + "\r\nSubject: hello\r\n\r\nHello\r\n"
			if tt.signer != "" {
				text = sign(t, dns, tt.signer, text)
			}
			v, err := a.Check().Judge(t.Context(), testClient, letter(tt.sender, text))
			if err != nil || v.Answer.Code != tt.code || !strings.Contains(v.Answer.Error(), tt.says) {
				t.Errorf("%v, %v, want %d and %q", v.Answer, err, tt.code, tt.says)
			}
			if all := strings.Join(v.Results, "; "); !strings.Contains(all, tt.results) {
				t.Errorf("results %q, want %q", all, tt.results)
			}
			if spam := slices.Contains(v.Fields, "X-Spam: yes\r\n"); spam != tt.spam {
				t.Errorf("spam: %v", spam)
			}
			if len(v.Checks) == 0 || v.Answer.Code == 0 != (v.Reason == "") {
				t.Errorf("checks %+v, reason %q", v.Checks, v.Reason)
			}
		})
	}
}

// However a field From is made, finding who it is from costs about its length.
func TestAuthorsOfLargeFields(t *testing.T) {
	for _, unit := range []string{"@(", "@()", "_.", "@_.", "A.", "@。", "@x.", "<", "@a ", "(@"} {
		m := &Message{Header: []byte("From: x@y" + strings.Repeat(unit, 128<<10/len(unit)) + "\r\n"), FromFields: 1}
		began := time.Now()
		authorsOf(m)
		if d := time.Since(began); d > 3*time.Second {
			t.Errorf("%q: %v", unit, d)
		}
	}
}

func crowd(n int) string {
	var list []string
	for i := range n {
		list = append(list, "s@host"+string(rune('a'+i))+".test")
	}
	return strings.Join(list, ", ")
}

func TestAuthenticationTakesOursThatPass(t *testing.T) {
	a := &Authentication{DNS: world(), SPF: Mark, OwnDomains: true, Ours: ours("sent.test")}
	v, err := a.Check().Judge(t.Context(), testClient, letter("s@sent.test", "From: s@sent.test\r\n\r\nHello\r\n"))
	want := []store.CheckResult{
		{Check: "spf", Result: "pass", Detail: "ip4:192.0.2.1 in the record of sent.test"},
	}
	if diff := cmp.Diff(want, v.Checks); diff != "" || err != nil || !v.Pass() {
		t.Errorf("%v, %v, checks:\n%s", v.Answer, err, diff)
	}
}

func TestAuthenticationNotesTheClientsName(t *testing.T) {
	a := &Authentication{DNS: world(), SPF: Mark}
	v, err := a.Check().Judge(t.Context(), testClient, letter("s@fail.test", "From: s@sent.test\r\n\r\nHello\r\n"))
	want := []store.CheckResult{
		{Check: "spf", Result: "fail", Detail: "-all in the record of fail.test"},
		{Check: "spf", Result: "pass", Detail: "of EHLO: ip4:192.0.2.1 in the record of client.test"},
	}
	if diff := cmp.Diff(want, v.Checks); diff != "" || err != nil || !v.Pass() {
		t.Errorf("%v, %v, checks:\n%s", v.Answer, err, diff)
	}
	if all := strings.Join(v.Results, "; "); all != "spf=fail smtp.mailfrom=fail.test; spf=pass smtp.helo=client.test" {
		t.Error(all)
	}
}

func TestAuthenticationCantTellWhatIsOurs(t *testing.T) {
	trouble := errors.New("disk on fire")
	a := &Authentication{DNS: world(), OwnDomains: true, Ours: func(context.Context, string) (bool, error) { return false, trouble }}
	if _, err := a.Check().Judge(t.Context(), testClient, letter("s@fail.test", "\r\n\r\n")); !errors.Is(err, trouble) {
		t.Errorf("%v", err)
	}
}

// TestAuthenticationIsNotAskedInVain: no DNS for who has logged in, nor where all
// is off.
func TestAuthenticationIsNotAskedInVain(t *testing.T) {
	dns := world()
	m := letter("s@sent.test", "From: s@sent.test\r\n\r\nHello\r\n")
	m.Forwards = true
	m.Open = func() io.Reader { t.Error("the message is read"); return strings.NewReader("") }
	for name, tt := range map[string]struct {
		a      *Authentication
		client Client
	}{
		"logged in": {&Authentication{DNS: dns, SPF: Enforce, DKIM: Mark, DMARC: Enforce, Forwards: true}, Client{Account: 7}},
		"all off":   {&Authentication{DNS: dns}, testClient},
	} {
		v, err := tt.a.Check().Judge(t.Context(), tt.client, m)
		if diff := cmp.Diff(Verdict{}, v); diff != "" || err != nil || len(dns.asked) > 0 {
			t.Errorf("%s: %v, asked %q, verdict:\n%s", name, err, dns.asked, diff)
		}
	}
}

// TestAuthenticationOfForwards: what is forwarded is looked at in any mode.
func TestAuthenticationOfForwards(t *testing.T) {
	for _, tt := range []struct {
		it, sender, signer, changed string
		authentic                   bool
	}{
		{"believes a signature of the sender's domain", "s@far.test", "far.test", "", true},
		{"believes that of a domain above it", "s@news.far.test", "far.test", "", true},
		{"makes nothing of that of another domain", "s@far.test", "other.test", "", false},
		{"takes no likeness for the same", "s@so-far.test", "far.test", "", false},
		{"sees what was changed", "s@far.test", "far.test", "PS\r\n", false},
		{"proves nobody who has no name", "", "far.test", "", false},
		{"believes SPF where that is on", "s@sent.test", "", "", true},
	} {
		t.Run(tt.it, func(t *testing.T) {
			dns := world()
			text := "From: s@far.test\r\n\r\nHello\r\n"
			if tt.signer != "" {
				text = sign(t, dns, tt.signer, text)
			}
			m := letter(tt.sender, text+tt.changed)
			m.Forwards = true
			a := &Authentication{DNS: dns, Forwards: true}
			if tt.signer == "" {
				a.SPF = Mark
			}
			v, err := a.Check().Judge(t.Context(), testClient, m)
			if err != nil || v.Authentic != tt.authentic || !v.Pass() {
				t.Errorf("%+v, %v, want %v", v, err, tt.authentic)
			}
		})
	}
}

// A torn is a message that can't be read to its end.
type torn struct{ io.Reader }

func (r torn) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err == io.EOF {
		err = errors.New("disk on fire")
	}
	return n, err
}

func TestAuthenticationBelievesNothingUnread(t *testing.T) {
	dns := world()
	text := sign(t, dns, "sent.test", "From: s@sent.test\r\n\r\nHello\r\n")
	m := letter("s@sent.test", text)
	m.Open = func() io.Reader { return torn{strings.NewReader(text)} }
	a := &Authentication{DNS: dns, DKIM: Mark}
	if v, err := a.Check().Judge(t.Context(), testClient, m); err == nil || v.Authentic {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestResultsHoldNoStrangersWords: what a stranger says can't end a line or a result.
func TestResultsHoldNoStrangersWords(t *testing.T) {
	dns := world()
	evil := "x\r\n\t;dmarc=pass;y"
	text := "DKIM-Signature: v=1; d=" + evil + "; s=" + evil + "; a=" + evil + "; h=from; b=" + evil + "; bh=" + evil + "\r\n" +
		"DKIM-Signature: v=1; d=a(b.test; s=k; a=rsa-sha256; h=from; b=AAAA; bh=AAAA\r\nFrom: <x@a;b dmarc=pass.test>\r\n\r\nHello\r\n"
	client := testClient
	client.Helo = "a;dmarc=pass"
	m := letter("", text)
	a := &Authentication{DNS: dns, SPF: Mark, DKIM: Mark, DMARC: Mark}
	v, err := a.Check().Judge(t.Context(), client, m)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range v.Results {
		if strings.ContainsAny(r, "\r\n;") || strings.Contains(r, "dmarc=pass") {
			t.Errorf("%q", r)
		}
	}
}
