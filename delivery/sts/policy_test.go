package sts

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRecords(t *testing.T) {
	for _, test := range []struct {
		name    string
		records []string
		id      string
	}{
		{"one is taken", []string{"v=STSv1; id=20160831085700Z;"}, "20160831085700Z"},
		{"one without the last semicolon is", []string{"v=STSv1;id=1"}, "1"},
		{"one with blanks is", []string{"v=STSv1 \t; id=1 ; "}, "1"},
		{"one with other fields is", []string{"v=STSv1; x-a_b.c=d; id=1; e=f"}, "1"},
		{"one among others is", []string{"v=spf1 -all", "v=STSv1; id=1", "v=STSv2; id=2", "v=STSv11; id=3"}, "1"},
		{"none is none", nil, ""},
		{"two are none", []string{"v=STSv1; id=1", "v=STSv1; id=1"}, ""},
		{"two of which one is wrong are none", []string{"v=STSv1; id=1", "v=STSv1; id=?"}, ""},
		{"a lower-case version is none", []string{"v=stsv1; id=1"}, ""},
		{"no id is none", []string{"v=STSv1; x=1"}, ""},
		{"an id in capitals is none", []string{"v=STSv1; ID=1"}, ""},
		{"two ids are none", []string{"v=STSv1; id=1; id=2"}, ""},
		{"an empty id is none", []string{"v=STSv1; id="}, ""},
		{"a long id is none", []string{"v=STSv1; id=" + strings.Repeat("1", 33)}, ""},
		{"an id with a sign is none", []string{"v=STSv1; id=1-2"}, ""},
		{"an empty field is none", []string{"v=STSv1;; id=1"}, ""},
		{"a field without a value is none", []string{"v=STSv1; id=1; x"}, ""},
		{"the version alone is none", []string{"v=STSv1;"}, ""},
		{"a version in the middle is none", []string{"id=1; v=STSv1;"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if id := pick(test.records); id != test.id {
				t.Errorf("%q", id)
			}
		})
	}
}

const right = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.test\r\nmx: *.example.net\r\nmax_age: 604800\r\n"

func TestParsePolicy(t *testing.T) {
	week := 7 * 24 * time.Hour
	for _, test := range []struct {
		name, text string
		mode       string
		mx         []string
		maxAge     time.Duration
		err        string
	}{
		{"the usual", right, Enforce, []string{"mail.example.test", "*.example.net"}, week, ""},
		{"LF alone", strings.ReplaceAll(right, "\r", ""), Enforce, []string{"mail.example.test", "*.example.net"}, week, ""},
		{"no last line end", strings.TrimSpace(right), Enforce, []string{"mail.example.test", "*.example.net"}, week, ""},
		{"empty lines and blanks", "\n" + strings.ReplaceAll(right, "\r\n", " \r\n\r\n"), Enforce, []string{"mail.example.test", "*.example.net"}, week, ""},
		{"other fields", right + "x-new: größer\r\n", Enforce, []string{"mail.example.test", "*.example.net"}, week, ""},
		{"a field again", right + "mode: none\r\nmax_age: 1\r\nversion: 2\r\n", Enforce, []string{"mail.example.test", "*.example.net"}, week, ""},
		{"capitals in a name", "version:STSv1\nmode:testing\nmx:MX.Example.TEST\nmax_age:0\n", Testing, []string{"mx.example.test"}, 0, ""},
		{"none needs no names", "version: STSv1\nmode: none\nmax_age: 31557600\n", None, nil, 31557600 * time.Second, ""},
		{"too old an age", "version: STSv1\nmode: none\nmax_age: 31557601\n", "", nil, 0, `its max_age is "31557601"`},
		{"a negative age", "version: STSv1\nmode: none\nmax_age: -1\n", "", nil, 0, `its max_age is "-1"`},
		{"no age", "version: STSv1\nmode: none\n", "", nil, 0, `its max_age is ""`},
		{"another version", "version: STSv2\nmode: none\nmax_age: 1\n", "", nil, 0, `its version is "STSv2", not STSv1`},
		{"no version", "mode: none\nmax_age: 1\n", "", nil, 0, `its version is "", not STSv1`},
		{"another mode", "version: STSv1\nmode: Enforce\nmx: a.test\nmax_age: 1\n", "", nil, 0, `its mode is "Enforce"`},
		{"no names", "version: STSv1\nmode: enforce\nmax_age: 1\n", "", nil, 0, "it names no server"},
		{"a wildcard in the middle", "version: STSv1\nmode: enforce\nmx: a.*.test\nmax_age: 1\n", "", nil, 0, `it names "a.*.test" as a server`},
		{"two wildcards", "version: STSv1\nmode: enforce\nmx: *.*.test\nmax_age: 1\n", "", nil, 0, `it names "*.*.test" as a server`},
		{"a wildcard alone", "version: STSv1\nmode: enforce\nmx: *\nmax_age: 1\n", "", nil, 0, `it names "*" as a server`},
		{"part of a label", "version: STSv1\nmode: enforce\nmx: mx*.a.test\nmax_age: 1\n", "", nil, 0, `it names "mx*.a.test" as a server`},
		{"a leading dot", "version: STSv1\nmode: enforce\nmx: .a.test\nmax_age: 1\n", "", nil, 0, `it names ".a.test" as a server`},
		{"HTML", "<html>\n<body>\n", "", nil, 0, `a line is not a field: "<html>"`},
		{"a blank before the colon", "version : STSv1\n", "", nil, 0, `a line is not a field: "version : STSv1"`},
		{"a bare CR", "version: STSv1\rmode: none\n", "", nil, 0, `a line is not a field: "version: STSv1\rmode: none"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, maxAge, err := parsePolicy(test.text)
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || p.Mode != test.mode || !slices.Equal(p.MX, test.mx) || maxAge != test.maxAge {
				t.Errorf("%+v, %v, %v", p, maxAge, err)
			}
		})
	}
}

func TestMatches(t *testing.T) {
	p := Policy{MX: []string{"mail.example.test", "*.example.net"}}
	for host, want := range map[string]bool{
		"mail.example.test":   true,
		"Mail.Example.TEST.":  true,
		"x.mail.example.test": false,
		"example.test":        false,
		"mx.example.net":      true,
		"a.mx.example.net":    false,
		"example.net":         false,
		".example.net":        false,
		"":                    false,
	} {
		if got := p.Matches(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

func FuzzPolicy(f *testing.F) {
	for _, seed := range []string{right, "version: STSv1\nmode: none\nmax_age: 1", "mx: *.a\n", "version:STSv1\nmode:testing\nmx:a\nmax_age:0", "\x00:\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, maxAge, err := parsePolicy(text)
		if err != nil {
			return
		}
		if maxAge < 0 || maxAge > maxMaxAge*time.Second || p.Mode != None && len(p.MX) == 0 {
			t.Errorf("%q became %+v, %v", text, p, maxAge)
		}
		for _, pattern := range p.MX {
			if host := strings.Replace(pattern, "*", "x", 1); !p.Matches(host) || strings.Contains(host, "*") {
				t.Errorf("%q became %+v", text, p)
			}
		}
	})
}

func FuzzRecord(f *testing.F) {
	for _, seed := range []string{"v=STSv1; id=1;", "v=STSv1;x=y;id=2", "v=STSv1", "v=STSv1;;id=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if id := pick([]string{text}); id != "" && (!isID(id) || !strings.HasPrefix(text, "v=STSv1")) {
			t.Errorf("%q has the id %q", text, id)
		}
	})
}
