package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mayImport is the architecture: which of our packages each one imports, and no
// other.
// Changing it is changing the architecture, so do it on purpose.
var mayImport = map[string][]string{
	"migrations":                   {},
	"store/mail":                   {},
	"smtpd/wire":                   {},
	"delivery/resolver":            {},
	"delivery/dane":                {},
	"delivery/dkim":                {"store/mail"},
	"store":                        {"store/mail"},
	"store/auth":                   {"store"},
	"store/zone":                   {},
	"store/admin":                  {"store", "store/auth", "store/mail", "store/zone"},
	"store/sqlite":                 {"store", "store/mail", "migrations"},
	"store/storetest":              {"store", "store/mail"},
	"smtpd/policy":                 {"smtpd/policy/dkim", "smtpd/policy/dmarc", "smtpd/policy/spf", "store", "store/mail"},
	"smtpd/policy/dkim":            {},
	"smtpd/policy/dmarc":           {},
	"smtpd/policy/spf":             {},
	"smtpd/srs":                    {"store/mail"},
	"smtpd":                        {"smtpd/policy", "smtpd/srs", "store", "store/auth", "store/mail"},
	"pop3d":                        {"smtpd/wire", "store", "store/auth"},
	"delivery/route":               {"store/mail"},
	"delivery/dsn":                 {"store/mail"},
	"delivery/sts":                 {"store"},
	"delivery/smtpclient":          {"smtpd/wire", "store/mail"},
	"delivery/smtpclient/smtptest": {},
	"delivery":                     {"delivery/dane", "delivery/dkim", "delivery/dsn", "delivery/route", "delivery/smtpclient", "delivery/sts", "store", "store/mail"},
	"web":                          {"store", "store/admin", "store/auth", "store/zone", "web/phrase"},
	"web/phrase":                   {},
	"cmd/postroom/bench":           {},
	"cmd/postroom": {
		"cmd/postroom/bench", "delivery", "delivery/resolver", "delivery/route", "delivery/sts", "pop3d", "smtpd", "smtpd/policy", "smtpd/policy/spf",
		"store", "store/admin", "store/auth", "store/mail", "store/sqlite", "store/zone", "web", "web/phrase",
	},
}

func TestImports(t *testing.T) {
	const module, root = "postroom/", "../.."
	used := make(map[[2]string]bool)
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		pkg := path.Clean(filepath.ToSlash(dir))
		allowed, known := mayImport[pkg]
		if !known {
			t.Errorf("%s: package %s is missing from mayImport", file, pkg)
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			imported, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module)
			used[[2]string{pkg, imported}] = true
			if ours && !slices.Contains(allowed, imported) {
				t.Errorf("%s: %s may not import %s", file, pkg, imported)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg, allowed := range mayImport {
		for _, imported := range allowed {
			if !used[[2]string{pkg, imported}] {
				t.Errorf("%s doesn't import %s: mayImport needn't say so", pkg, imported)
			}
		}
	}
}
