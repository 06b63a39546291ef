package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
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
	text, err := indented(v, "")
	if err == nil {
		_, err = fmt.Fprintf(w, "%s\n", text)
	}
	return err
}

// indented returns v as JSON; prefix stands in front of every line but the first.
func indented(v any, prefix string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent(prefix, "  ")
	err := enc.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

// A table prints rows in aligned columns.
type table struct {
	w     io.Writer
	rows  [][]string
	notes map[int]string // lines of their own, by the number of rows above them
}

func newTable(w io.Writer, columns ...string) *table {
	t := &table{w: w}
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
	t.rows = append(t.rows, cells)
}

// note adds a line that is in no column under the last row.
func (t *table) note(text string) {
	if t.notes == nil {
		t.notes = make(map[int]string)
	}
	t.notes[len(t.rows)] = printable(text)
}

// flush prints the rows. The last column is as wide as it likes.
func (t *table) flush() {
	var widths []int
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for n, row := range t.rows {
		var line strings.Builder
		for i, c := range row {
			line.WriteString(c)
			line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)+2))
		}
		fmt.Fprintln(t.w, strings.TrimRight(line.String(), " "))
		if note := t.notes[n+1]; note != "" {
			fmt.Fprintln(t.w, note)
		}
	}
}

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
