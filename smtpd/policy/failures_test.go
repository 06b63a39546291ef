package policy

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// TestFailures makes the DNS fail each check in each way.
func TestFailures(t *testing.T) {
	covered := make(map[string]int)
	for _, want := range Failures() {
		covered[want.Check]++
		t.Run(want.Check+"/"+string(want.Trouble), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				v, err := fail(t, want)
				if err != nil || v.Answer != want.Answer {
					t.Errorf("%v, %v, want %v", v.Answer, err, want.Answer)
				}
				if got := resultOf(v.Checks, want.Check); got != want.Result {
					t.Errorf("result %q, want %q: %+v", got, want.Result, v.Checks)
				}
				if took := time.Since(began); took > 15*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
	if len(covered) != 9 {
		t.Errorf("checks in the table: %v", covered)
	}
}

// resultOf returns the word of the check that a row of the table is about.
func resultOf(list []store.CheckResult, row string) string {
	name, _, _ := strings.Cut(row, "=")
	name, _, _ = strings.Cut(name, " ")
	if name == "own_domains" {
		name = "spf"
	}
	for _, c := range list {
		if c.Check == name {
			return c.Result
		}
	}
	return ""
}

// fail has a message judged by one check, while the DNS fails for it.
func fail(t *testing.T, row Failure) (Verdict, error) {
	dns := &fakeDNS{txt: map[string]string{
		"_dmarc.far.test": "v=DMARC1; p=none",
		"far.test":        "v=spf1 -all",
		"other.test":      "v=spf1 -all",
	}, ip: map[string]string{}}
	message := sign(t, dns, "far.test", "From: s@far.test\r\n\r\nHello\r\n")
	a := &Authentication{DNS: dns, SPF: Mark, DKIM: Mark}
	name := ""
	switch row.Check {
	case "blocklists":
		dns.ip["1.2.0.192.list.test"] = word(row.Trouble)
		lists := &Blocklists{DNS: dns, Clients: []string{"list.test"}, Needed: 1}
		return lists.OfRecipient().Judge(t.Context(), testClient, Recipient{Sender: mail.Address{Local: "s", Domain: "far.test"}})
	case "spf=mark", "spf=enforce":
		name, a.SPF = "far.test", ParseMode(strings.TrimPrefix(row.Check, "spf="))
	case "own_domains":
		name, a.OwnDomains, a.Ours = "far.test", true, ours("far.test")
	case "dkim=mark":
		name = "k._domainkey.far.test"
	case "dmarc=mark", "dmarc=enforce":
		name, a.DMARC = "_dmarc.far.test", ParseMode(strings.TrimPrefix(row.Check, "dmarc="))
	case "dmarc by spf":
		name, a.DMARC = "far.test", Enforce
		message = strings.Replace(message, "Hello", "Changed", 1)
	case "dmarc by dkim":
		name, a.DMARC = "k._domainkey.far.test", Enforce
	default:
		t.Fatalf("nothing is known of the check %q", row.Check)
	}
	if strings.HasPrefix(row.Check, "dmarc by") {
		dns.txt["_dmarc.far.test"] = "v=DMARC1; p=reject"
	}
	if dns.txt[name] = word(row.Trouble); row.Trouble == NoDomain {
		delete(dns.txt, name)
	}
	return a.Check().Judge(t.Context(), testClient, letter("s@far.test", message))
}

func word(trouble Trouble) string {
	return map[Trouble]string{ServFail: "servfail", Timeout: "slow", Garbage: "garbage"}[trouble]
}

func TestFailuresIsWhole(t *testing.T) {
	rows := make(map[string][]Trouble)
	for _, f := range Failures() {
		rows[f.Check] = append(rows[f.Check], f.Trouble)
	}
	for check, troubles := range rows {
		for _, want := range []Trouble{NoDomain, ServFail, Timeout, Garbage} {
			if !slices.Contains(troubles, want) && (want != NoDomain || !strings.Contains(check, " by ")) {
				t.Errorf("%s says nothing of %s", check, want)
			}
		}
	}
}
