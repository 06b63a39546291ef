package smtpd

import (
	"strings"
	"testing"
)

func TestResultsAreFolded(t *testing.T) {
	long := `dkim=fail reason="the signed header fields are not as they were, all of them that are signed" header.d=` +
		strings.Repeat("a", 60) + `.test header.s=selector header.a=rsa-sha256 header.b="abcdefgh"`
	got := string(appendFolded([]byte("\t"), long))
	if back := strings.ReplaceAll(got, "\r\n\t ", " "); back != "\t"+long {
		t.Errorf("unfolded it is %q", back)
	}
	lines := strings.Split(got, "\r\n")
	if len(lines) < 3 {
		t.Errorf("%q", lines)
	}
	for i, line := range lines {
		if len(line) > 72 && strings.Contains(line[2:], " ") && !strings.Contains(line, `"`) || strings.Count(line, `"`)%2 != 0 {
			t.Errorf("line %d: %q", i, line)
		}
	}
	if got := string(appendFolded(nil, "spf=pass smtp.mailfrom=far.test")); got != "spf=pass smtp.mailfrom=far.test" {
		t.Errorf("%q", got)
	}
}

// TestMessageOf: a file is read as a message on its way is.
func TestMessageOf(t *testing.T) {
	m := MessageOf([]byte("From: a@x.test,\r\n b@y.test\r\nTo: c@z.test\r\n\r\nHello\r\n"))
	if m.FromFields != 1 || len(m.From) != 2 || m.From[1].Domain != "y.test" || !strings.HasSuffix(string(m.Header), "z.test\r\n") {
		t.Errorf("%+v", m)
	}
	if m := MessageOf([]byte("From: a@x.test\r\nFrom: nonsense\r\n\r\n")); m.FromFields != 2 || m.From != nil {
		t.Errorf("%+v", m)
	}
}
