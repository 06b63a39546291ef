package phrase

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// Every action is told in one sentence.
func TestSentences(t *testing.T) {
	const anna = "anna@example.org"
	for _, test := range []struct {
		action, subject, before, after string
		want                           string
	}{
		{"account.add", "x@a.example", ``, `{"quota":0}`, "added the account x@a.example"},
		{"account.change", "x@a.example", `{"name":"X","quota":1000000000,"admin":false}`, `{"name":"","quota":0,"admin":true}`, "changed the account x@a.example: name X → nothing, quota 1 GB → none, admin no → yes"},
		{"account.disable", "x@a.example", `{"status":"enabled"}`, `{"status":"disabled"}`, "disabled the account x@a.example"},
		{"account.disable", "x@a.example", `{"status":"enabled"}`, `{"status":"refusing"}`, "disabled the account x@a.example, and refuses mail for it"},
		{"account.enable", "x@a.example", `{"status":"refusing"}`, `{"status":"enabled"}`, "enabled the account x@a.example"},
		{"account.forward", "x@a.example", ``, `{"targets":["y@b.example"],"keep":true}`, "forwarded mail for x@a.example to y@b.example, with a copy kept"},
		{"account.forward", "x@a.example", `{"targets":["y@b.example"],"keep":true}`, ``, "stopped forwarding mail for x@a.example"},
		{"account.vacation", "x@a.example", `{"on":false}`, `{"on":true}`, "turned on the vacation notice of x@a.example"},
		{"account.vacation", "x@a.example", `{"on":true}`, `{"on":false}`, "turned off the vacation notice of x@a.example"},
		{"account.password", "x@a.example", `{"password":"none"}`, `{"password":"new"}`, "set a new password for x@a.example"},
		{"account.remove", "x@a.example", `{"messages":3}`, ``, "removed the account x@a.example"},
		{"app-password.add", "x@a.example", ``, `{"name":"laptop"}`, "made the app password “laptop” for x@a.example"},
		{"app-password.remove", "x@a.example", `{"name":"laptop"}`, ``, "removed the app password “laptop” of x@a.example"},
		{"alias.add", "i@a.example", ``, `{"targets":["x@a.example","y@b.example"]}`, "added the alias i@a.example → x@a.example, y@b.example"},
		{"alias.change", "i@a.example", `{"targets":["x@a.example"]}`, `{"targets":["y@b.example"]}`, "changed the alias i@a.example from x@a.example to y@b.example"},
		{"alias.remove", "i@a.example", `{"targets":["x@a.example"]}`, ``, "removed the alias i@a.example → x@a.example"},
		{"backup.take", "/b/one.db", ``, ``, "made the backup /b/one.db"},
		{"device.change", "192.0.2.7", `{"account":"x@a.example"}`, `{"account":"y@a.example"}`, "let the device 192.0.2.7 send as y@a.example"},
		{"device.remove", "192.0.2.7", `{"account":"x@a.example"}`, ``, "removed the device 192.0.2.7, which sent as x@a.example"},
		{"destination.pause", "b.example", `{"paused":false}`, `{"paused":true}`, "paused mail for b.example"},
		{"destination.resume", "b.example", `{"paused":true}`, `{"paused":false}`, "let mail for b.example go on"},
		{"dkim.rotate", "a.example", ``, `{"selectors":["r","e"],"state":"next"}`, "made new DKIM keys for a.example, which wait for the DNS: r, e"},
		{"domain.add", "a.example", ``, `{"backup":true}`, "added the backup domain a.example"},
		{"domain.recipients", "a.example", `{"any":true,"count":0}`, `{"any":false,"count":2000}`, "changed the list of a.example’s recipients: 0 → 2\u202f000"},
		{"domain.recipients", "a.example", `{"any":false,"count":2}`, `{"any":true,"count":0}`, "let mail for every address of a.example be taken"},
		{"limit.set", "server", `{"messages_per_day":"default"}`, `{"messages_per_day":"7"}`, "changed the limits of server: messages per day default → 7"},
		{"list.block", "192.0.2.0/24", ``, `{"list":"block","note":"spam"}`, "blocked 192.0.2.0/24 (spam)"},
		{"list.change", "b.example", `{"list":"block"}`, `{"list":"block","expires":"2026-05-06T07:08:09Z"}`, "changed the entry for b.example in the block list: expires nothing → 2026-05-06 07:08 UTC"},
		{"list.remove", "b.example", `{"list":"allow"}`, ``, "took b.example off the allow list"},
		{"queue.hold", "for b.example", ``, `{"domain":"b.example"}`, "held 3 recipients in the queue (for b.example)"},
		{"route.add", "*", ``, `{"host":"smtp.b.example:587"}`, "added a route for * to smtp.b.example:587"},
		{"source.remove", "192.0.2.1", `{"ip":"192.0.2.1","for":"a.example"}`, ``, "removed 192.0.2.1 from the addresses that mail leaves from for a.example"},
		{"green-thing.remove", "x", ``, ``, "removed the green thing x"},
		{"thing.polish", "x", ``, ``, "polish of the thing x"},
		{"nonsense", "", `[`, `7`, "of the nonsense"},
	} {
		c := Change{Who: anna, Via: "web", Action: test.action, Subject: test.subject, Before: []byte(test.before), After: []byte(test.after), Recipients: 3}
		if got := c.Sentence(); got != anna+" "+test.want {
			t.Errorf("%s:\ngot  %q\nwant %q", test.action, got, anna+" "+test.want)
		}
	}
	for _, test := range []struct {
		change Change
		want   string
	}{
		{Change{Via: "server", Action: "dkim.make", Subject: "a.example", After: []byte(`{"selectors":["r"]}`)}, "The server made DKIM keys for a.example: r"},
		{Change{Via: "web", Action: "domain.add", Subject: "a.example"}, "Somebody who had not signed in added the domain a.example"},
		{Change{Via: "command line", Action: "domain.add", Subject: "a.example", Undoes: 7}, "Somebody added the domain a.example, which undid entry 7"},
	} {
		if got := test.change.Sentence(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestValues(t *testing.T) {
	c := Change{Before: []byte(`{"admin":false,"gone":[],"quota":5000}`), After: []byte(`{"quota":5000,"admin":true,"new_one":{"a":1.5}}`)}
	want := []Value{{"quota", "5 KB", "5 KB"}, {"admin", "no", "yes"}, {"new one", "", `{"a":1.5}`}, {"gone", "", ""}}
	if got := c.Values(); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Whatever an entry holds, each of its names is shown once.
func FuzzValues(f *testing.F) {
	f.Add(`{"a":1}`, `{"a":null,"b":[true,{"c":"d"}]}`)
	f.Add(`{"quota":1e400}`, `[]`)
	f.Fuzz(func(t *testing.T, before, after string) {
		c := Change{Action: "account.change", Before: []byte(before), After: []byte(after)}
		seen := make(map[string]bool)
		for _, v := range c.Values() {
			if seen[v.Name] {
				t.Errorf("%q is there twice", v.Name)
			}
			seen[v.Name] = true
		}
		var object map[string]any
		if json.Unmarshal([]byte(after), &object) == nil {
			for name := range object {
				if !seen[words(name)] {
					t.Errorf("%q is missing", name)
				}
			}
		}
		if strings.TrimSpace(c.Sentence()) == "" {
			t.Error("there is no sentence")
		}
	})
}
