package web

import "postroom/store"

// A checkRow is what one check of a mail found out, as pages show it.
type checkRow struct {
	Name   string
	Asks   string // the question that the check answers
	Result string
	Tone   string
	Detail string
}

// checkWords say what each check is called and what it is for.
var checkWords = map[string]struct{ name, asks string }{
	"list":             {"Your lists", "Have you blocked or allowed the sender?"},
	"rate":             {"Rate", "Does the client send more than anybody should?"},
	"blocklist":        {"Blocklists", "Is the client’s address on a list of known offenders?"},
	"domain_blocklist": {"Domain blocklists", "Is one of its domains on such a list?"},
	"spf":              {"SPF", "May this client send for the domain of the envelope’s sender?"},
	"dkim":             {"DKIM", "Is the message signed, and unchanged since?"},
	"dmarc":            {"DMARC", "Does the domain that the reader sees in From stand behind it?"},
	"own_domains":      {"Our own domains", "Does a stranger claim to write from one of our addresses?"},
	"authentication":   {"Authentication", "Is the sender who it says?"},
}

// checkRowsOf makes readable what checks found out.
func checkRowsOf(results []store.CheckResult) []checkRow {
	rows := make([]checkRow, len(results))
	for i, r := range results {
		rows[i] = checkRow{Name: r.Check, Result: r.Result, Tone: toneOfCheck(r.Result), Detail: r.Detail}
		if w, known := checkWords[r.Check]; known {
			rows[i].Name, rows[i].Asks = w.name, w.asks
		}
	}
	return rows
}

// toneOfCheck says how a result is to be taken. The words are those of RFC 8601
// and our own.
func toneOfCheck(result string) string {
	switch result {
	case "pass", "allowed", "not listed":
		return "good"
	case "fail", "hardfail", "blocked", "listed", "refused":
		return "bad"
	case "softfail", "temperror", "permerror", "error", "policy":
		return "warn"
	}
	return "quiet" // none, neutral: nothing was said
}
