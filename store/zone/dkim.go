package zone

import (
	"slices"
	"strings"
)

// dkim judges the records of the keys that sign (RFC 6376 section 3.6.1).
func (j *judge) dkim() []Record {
	var list []Record
	for _, k := range j.Keys {
		list = append(list, j.key(k))
	}
	return list
}

func (j *judge) key(k Key) Record {
	r := Record{Purpose: DKIM, Name: k.Name, Type: "TXT", Value: k.Value, Level: Required, Found: j.found.TXT[k.Name].List}
	switch k.State {
	case KeySigns:
		r.Why = "With this key others verify the signatures of mail from " + j.Domain + "."
	case KeyNext:
		r.Why = "The next key of " + j.Domain + ": it signs once its record is seen."
	case KeyRetired:
		r.Level = Recommended
		r.Why = "The last key of " + j.Domain + ", still needed for mail that is on its way."
	}
	if !j.Signs {
		r.Level, r.Why = Optional, "The key of "+j.Domain+"; nothing is signed with it while delivery.dkim is off."
	}
	if !r.settle(j.found.TXT[k.Name].Err) {
		r.judgeKey()
	}
	return r
}

func (r *Record) judgeKey() {
	same := slices.IndexFunc(r.Found, func(text string) bool { return sameKey(text, r.Value) })
	switch {
	case same < 0 && tags(r.Found[0])["p"] == "" && len(r.Found) == 1:
		r.be(Wrong, "The record says that the key is revoked, or is none at all: replace it.")
	case same < 0:
		r.be(Wrong, "Another key stands there, so signatures don't verify: replace it.")
	case len(r.Found) > 1:
		r.be(Wrong, "There are %d records at this name, and receivers may take any of them: leave this one alone.", len(r.Found))
	case slices.Contains(strings.Split(tags(r.Found[same])["t"], ":"), "y"):
		r.keep(Fine, r.Found[same], "It says that signing is only tested (t=y): receivers may take mail for unsigned.")
	default:
		r.keep(Right, r.Found[same], "")
	}
}

// sameKey reports whether two records hold the same key, whatever else they say.
func sameKey(a, b string) bool {
	x, y := tags(a), tags(b)
	kind := func(t map[string]string) string { return orElse(t["k"], "rsa") }
	return x["p"] != "" && x["p"] == y["p"] && kind(x) == kind(y) && (x["v"] == "" || x["v"] == "DKIM1")
}

// tags reads the list of tags that DKIM, DMARC and TLSRPT records are made of (RFC
// 6376 section 3.2), without the white space in it; the first of a name counts.
func tags(text string) map[string]string {
	found := make(map[string]string)
	for part := range strings.SplitSeq(text, ";") {
		name, value, ok := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		if _, again := found[name]; ok && !again {
			found[name] = strings.Join(strings.Fields(value), "")
		}
	}
	return found
}
