package main

import (
	"strings"
	"testing"
)

func TestReadPasswordLine(t *testing.T) {
	for _, test := range []struct {
		it, in, want string
		fails        bool
	}{
		{"cuts the line end", "secret\n", "secret", false},
		{"cuts CRLF", "secret\r\n", "secret", false},
		{"takes a line without its end", "secret", "secret", false},
		{"keeps blanks", "  a b\t \n", "  a b\t ", false},
		{"takes the first line alone", "one\ntwo\n", "one", false},
		{"takes as much as is allowed", strings.Repeat("x", maxPassword) + "\n", strings.Repeat("x", maxPassword), false},
		{"refuses nothing", "", "", true},
		{"refuses an empty line", "\n", "", true},
		{"refuses what is too long", strings.Repeat("x", maxPassword+1) + "\n", "", true},
	} {
		got, err := readPasswordLine(strings.NewReader(test.in))
		if got != test.want || (err != nil) != test.fails {
			t.Errorf("it %s: got %q, %v", test.it, got, err)
		}
	}
}
