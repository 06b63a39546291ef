package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// listing is embedded by the commands that list or show something.
type listing struct {
	JSON bool `name:"json" help:"Print JSON for programs to read."`
}

// show prints v as JSON if that was asked for, else with human.
func show[T any](s *shell, l listing, v T, human func(io.Writer, T)) error {
	if l.JSON {
		return printJSON(s.out, v)
	}
	human(s.out, v)
	return nil
}

// showList is show for a list; with nothing in it, people read empty.
func showList[T any](s *shell, l listing, list []T, empty string, human func(io.Writer, []T)) error {
	if list == nil {
		list = []T{} // JSON: [], not null
	}
	if len(list) == 0 && !l.JSON {
		fmt.Fprintln(s.out, empty)
		return nil
	}
	return show(s, l, list, human)
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// A table prints rows in aligned columns.
type table struct{ tw *tabwriter.Writer }

func newTable(w io.Writer, columns ...string) *table {
	t := &table{tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.StripEscape)}
	if len(columns) > 0 {
		t.row(columns...)
	}
	return t
}

// row adds a row. Text from outside can't break the columns or the terminal.
func (t *table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = printable(c)
	}
	fmt.Fprintln(t.tw, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
}

func (t *table) flush() { t.tw.Flush() }

// printable replaces the control characters of s, so that a stranger's text
// can't steer the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || 0x7f <= r && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

// clip shortens s to at most n characters.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// plural counts in words: "1 message", "3 messages".
func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// orNothing is the text of an empty cell.
func orNothing(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
