package web

import (
	"postroom/store"

	"postroom/web/phrase"
)

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
	"list":             {"Your lists", phrase.AsksLists},
	"rate":             {"Rate", phrase.AsksRate},
	"blocklist":        {"Blocklists", phrase.AsksBlocklists},
	"domain_blocklist": {"Domain blocklists", phrase.AsksDomainBlocklists},
	"spf":              {"SPF", phrase.AsksSPF},
	"dkim":             {"DKIM", phrase.AsksDKIM},
	"dmarc":            {"DMARC", phrase.AsksDMARC},
	"own_domains":      {"Our own domains", phrase.AsksOwnDomains},
	"vacation":         {"Vacation notice", phrase.AsksVacation},
	"authentication":   {"Authentication", phrase.AsksAuthentication},
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
