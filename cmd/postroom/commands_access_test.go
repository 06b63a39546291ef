package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestAccessCommands(t *testing.T) {
	p := newPlace(t)
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"block", "list"}, "Nobody is blocked.\n"},
		{[]string{"allow", "list"}, "Nobody is allowed past the checks.\n"},
		{[]string{"block", "add", "192.0.2.77/24", "--note", "guesses"}, "Blocked 192.0.2.0/24.\n"},
		{[]string{"allow", "add", "*.Example.ORG"}, "Allowed example.org.\n"},
		{[]string{"allow", "add", "192.0.2.0/24"}, "Allowed 192.0.2.0/24; it was in the block list before.\n"},
		{[]string{"block", "list", "--json"}, "[]\n"},
		{[]string{"allow", "remove", "192.0.2.0/24"}, "192.0.2.0/24 is allowed no more.\n"},
		{[]string{"concerns"}, "Nothing to worry about.\n"},
		{[]string{"concerns", "--json"}, "[]\n"},
	} {
		if out := p.do("", tt.args...); out != tt.says {
			t.Errorf("%q says %q, want %q", tt.args, out, tt.says)
		}
	}
	p.do("", "block", "add", "eve@example.org", "--note", "a \x1b[31mred\x1b[0m note", "--expires", "2d")
	var list []struct {
		What, Note       string
		Created, Expires time.Time
	}
	if err := json.Unmarshal([]byte(p.do("", "block", "list", "--json")), &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || list[0].What != "eve@example.org" || list[0].Expires.Sub(list[0].Created) != 48*time.Hour || !strings.Contains(list[0].Note, "red") {
		t.Errorf("got %+v", list)
	}
	for _, tt := range []struct {
		status int
		says   string
		args   []string
	}{
		{statusFailed, "bob@example.org is not in the block list.", []string{"block", "remove", "bob@example.org"}},
		{statusFailed, "is no address (192.0.2.1), network", []string{"block", "add", "what is this"}},
		{statusFailed, "is not a length of time", []string{"block", "add", "192.0.2.1", "--expires", "soon"}},
		{statusUsage, "what", []string{"block", "add"}},
	} {
		if said := p.fails(tt.status, "", tt.args...); !strings.Contains(said, tt.says) {
			t.Errorf("%q says %q, want %q", tt.args, said, tt.says)
		}
	}
}
