package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
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

// openTerminal returns the two ends of a pseudo terminal: the person's and the
// program's.
func openTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("needs pseudo terminals: %v", err)
	}
	t.Cleanup(func() { person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return person, program
}

// promptWriter has a person answer each prompt when it is printed: the terminal
// is silent by then.
type promptWriter struct {
	person  io.Writer
	answers []string
}

// Write answers the prompt p.
func (w *promptWriter) Write(p []byte) (int, error) {
	if strings.HasSuffix(string(p), ": ") && len(w.answers) > 0 {
		answer := w.answers[0]
		w.answers = w.answers[1:]
		if _, err := io.WriteString(w.person, answer); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func TestAskPassword(t *testing.T) {
	for _, test := range []struct {
		it      string
		answers []string
		want    string
		fails   string
	}{
		{"takes what was typed twice", []string{"a b c\n", "a b c\n"}, "a b c", ""},
		{"refuses two different ones", []string{"abc\n", "abd\n"}, "", "not the same"},
		{"refuses an empty one", []string{"\n"}, "", "empty"},
	} {
		t.Run(test.it, func(t *testing.T) {
			person, program := openTerminal(t)
			before, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
			if err != nil {
				t.Fatal(err)
			}
			s := &shell{in: program, err: &promptWriter{person, test.answers}}
			got, err := s.askPassword("alice@example.org")
			if got != test.want || (err != nil) != (test.fails != "") || err != nil && !strings.Contains(err.Error(), test.fails) {
				t.Errorf("got %q, %v", got, err)
			}
			if _, err := program.WriteString("end"); err != nil {
				t.Fatal(err)
			}
			shown := make([]byte, 100)
			if n, err := person.Read(shown); err != nil || string(shown[:n]) != "end" {
				t.Errorf("the terminal showed %q, %v", shown[:n], err)
			}
			after, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
			if err != nil || *after != *before {
				t.Errorf("the terminal isn't as it was: %v", err)
			}
		})
	}
}
