package smtpd

import "testing"

func TestParseOriginal(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"decodes xtext", "RFC822;a+2Bb+40x.test", "rfc822;a+b@x.test"},
		{"refuses half a hexchar", "rfc822;a+2", ""},
		{"refuses a hexchar in lower case", "rfc822;a+2b", ""},
		{"refuses a line end", "rfc822;a+0D+0Ab", ""},
		{"refuses text that isn't ASCII", "rfc822;grå@x.test", ""},
		{"decodes utf-8-addr-xtext", `utf-8;gr\x{E5}\x{2B}@x.test`, "utf-8;grå+@x.test"},
		{"keeps utf-8-addr-unitext", "UTF-8;grå@x.test", "utf-8;grå@x.test"},
		{"refuses a control character in it", `utf-8;a\x{0A}b`, ""},
		{"refuses a surrogate", `utf-8;a\x{D800}`, ""},
		{"refuses an open brace", `utf-8;a\x{E5`, ""},
		{"refuses broken UTF-8", "utf-8;\xff", ""},
		{"refuses no type", ";a", ""},
		{"refuses no address", "rfc822;", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := parseOriginal(tt.in)
			if ok != (tt.want != "") || ok && got != tt.want {
				t.Errorf("parseOriginal(%q) = %q, %v; want %q", tt.in, got, ok, tt.want)
			}
		})
	}
}

// FuzzPath checks that nothing a client writes as a path gives an address that
// means something else when it is written again.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"<a@b.test> SIZE=1", `<"a>b"@c.test>`, "<@x.test:a@b.test>", "<>", "a@b.test", `<"\">`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		mailbox, _, ok := cutPath(s)
		if !ok {
			return
		}
		a, err := parseRecipient(mailbox)
		if err != nil {
			return
		}
		again, _, ok := cutPath("<" + a.String() + "> NOTIFY=NEVER")
		b, err := parseRecipient(again)
		if !ok || err != nil || a != b {
			t.Errorf("%q gave %q, which gives %q, %v", s, a, b, err)
		}
	})
}
