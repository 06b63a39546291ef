package web

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// noSentences look like sentences and are none.
var noSentences = map[string]bool{
	"Mon, 2 Jan 2006 15:04:05 MST": true,
}

// TestSentencesStandInPhrase reads the handlers: what they say to people stands in
// package phrase, so that it sounds alike and can be put into another language.
func TestSentencesStandInPhrase(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for where, text := range sentences(t, name) {
			t.Errorf("%s says %q: that belongs into package phrase", where, text)
		}
	}
}

var wordsOfSentence = regexp.MustCompile(`\pL[\pL’',:;%]* \S+( \S+)*`)

// sentences returns the literals of a file that look like something said to people,
// by their place: what has three words or more and ends with a stop, or four that begin
// with a capital. Shorter titles and the names of buttons stand where their page is made.
func sentences(t *testing.T, name string) map[string]string {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	ast.Inspect(file, func(n ast.Node) bool {
		literal, ok := n.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return true
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil || noSentences[text] || len(strings.Fields(text)) < 3 {
			return true
		}
		capital := text[0] >= 'A' && text[0] <= 'Z' && len(strings.Fields(text)) > 3
		if wordsOfSentence.MatchString(text) && (capital || strings.ContainsAny(text[len(text)-1:], ".?:")) {
			found[files.Position(literal.Pos()).String()] = text
		}
		return true
	})
	return found
}
