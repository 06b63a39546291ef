package mail

import "testing"

func TestPrintable(t *testing.T) {
	for _, test := range []struct {
		name, in string
		limit    int
		want     string
	}{
		{"it leaves plain text alone", "550 no such user", 100, "550 no such user"},
		{"it makes one line of several", "one\r\ntwo", 100, "one  two"},
		{"it disarms a terminal's escapes", "\x1b[2Jx", 100, "[2Jx"},
		{"it keeps UTF-8", "żółw", 100, "żółw"},
		{"it marks what isn't UTF-8", "a\xffb", 100, "a?b"},
		{"it cuts between characters", "aéé", 4, "aé"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := Printable(test.in, test.limit); got != test.want {
				t.Errorf("Printable(%q, %d) = %q, want %q", test.in, test.limit, got, test.want)
			}
		})
	}
}
