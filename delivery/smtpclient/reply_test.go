package smtpclient

import (
	"bufio"
	"strings"
	"testing"
	"unicode"
)

func TestAnswer(t *testing.T) {
	for _, test := range []struct{ reply, text, enhanced string }{
		{"250 ok\r\n", "250 ok", "0.0.0"},
		{"250\r\n", "250", "0.0.0"},
		{"550 5.1.1 no such user\n", "550 5.1.1 no such user", "5.1.1"},
		{"550-5.1.1 a\r\n550-5.1.1 b\r\n550 5.1.1\r\n", "550 5.1.1 a b", "5.1.1"},
		{"550-5.1.1 a\r\n550 5.7.1 b\r\n", "550 5.1.1 a 5.7.1 b", "5.1.1"},
		{"550 4.1.1 the classes differ\r\n", "550 4.1.1 the classes differ", "0.0.0"},
		{"550 1.2.3.4 is listed\r\n", "550 1.2.3.4 is listed", "0.0.0"},
		{"550 grüß\x01 dich\xff\r\n", "550 grüß  dich?", "0.0.0"},
	} {
		t.Run(test.reply, func(t *testing.T) {
			r, err := readReply(bufio.NewReader(strings.NewReader(test.reply)))
			if err != nil {
				t.Fatal(err)
			}
			a := r.answer()
			e := a.Enhanced
			if got := strings.Join([]string{itoa(e[0]), itoa(e[1]), itoa(e[2])}, "."); a.Text != test.text || got != test.enhanced {
				t.Errorf("%q %s, want %q %s", a.Text, got, test.text, test.enhanced)
			}
		})
	}
}

func itoa(n int) string { return string(rune('0' + n)) }

func FuzzReply(f *testing.F) {
	for _, seed := range []string{"250 ok\r\n", "250-a\r\n250 b\r\n", "550-5.1.1 a\r\n550 5.1.1 b\r\n", "25\r\n", "999 x\r\n", "250-a\r\n251 b\r\n", strings.Repeat("250-x\r\n", 300)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := readReply(bufio.NewReaderSize(strings.NewReader(s), maxReplyLine))
		if err != nil {
			return
		}
		a := r.answer()
		if r.code < 200 || r.code > 599 || len(a.Text) > maxWords || strings.ContainsFunc(a.Text, func(c rune) bool { return !unicode.IsPrint(c) }) {
			t.Errorf("%q became %+v", s, a)
		}
		if e := a.Enhanced; e != [3]int{} && e[0] != a.Code/100 {
			t.Errorf("%q became %+v", s, a)
		}
	})
}
