package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the README's table of keys")

// keyTable returns every key with its variable and its default, in Markdown.
func keyTable() string {
	var b strings.Builder
	b.WriteString("| key | default | what it says |\n| --- | --- | --- |\n")
	for _, s := range sections(defaults()) {
		for _, k := range s.keys {
			fmt.Fprintf(&b, "| `%s`<br>`%s` | `%s` | %s |\n", k.path, envName(k.path), k, strings.ReplaceAll(k.doc, "|", `\|`))
		}
	}
	return b.String()
}

func TestREADMEListsEveryKey(t *testing.T) {
	const file, begin, end = "../../README.md", "-update -->\n", "<!-- end of keys -->"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	if !ok {
		t.Fatal("no table of keys")
	}
	have, after, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatal("no end of the table of keys")
	}
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+keyTable()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have != keyTable() {
		t.Error("the table of keys is out of date: go test ./cmd/postroom -run README -update")
	}
}
