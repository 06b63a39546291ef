package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

type checkConfig struct{ listing }

// A configReport is what a configuration comes to.
type configReport struct {
	File     string          `json:"file,omitempty"` // none: local mode
	Changed  []changedKey    `json:"changed"`        // keys that aren't as they are by default
	Findings []configFinding `json:"findings"`
}

// A changedKey is a key and its values, as the configuration file writes them.
type changedKey struct {
	Key     string `json:"key"`
	Value   string `json:"value"`
	Default string `json:"default"`
	From    string `json:"from"` // "file", "environment"
}

// A configFinding is something that a start depends on.
type configFinding struct {
	OK    bool   `json:"ok"`
	About string `json:"about"` // a key, or an environment variable
	Text  string `json:"text"`
}

// Run reads the configuration and says what it comes to. Nothing is started, and
// nothing made.
func (c *checkConfig) Run(ctx context.Context, s *shell) error {
	conf, err := s.config()
	if err != nil {
		return err
	}
	r := configReport{
		File:     conf.File,
		Changed:  keysChanged(conf, s.getenv),
		Findings: append(lookAt(conf), lookAtPorts(conf, serverRuns(ctx, conf))...),
	}
	for _, name := range unknownVariables(conf, s.environ) {
		r.Findings = append(r.Findings, configFinding{true, name, "names no key, so it changes nothing"})
	}
	if err := show(s, c.listing, r, printConfig); err != nil {
		return err
	}
	return r.problem()
}

// problem is what is wrong, nil if nothing is.
func (r configReport) problem() error {
	var bad []string
	for _, f := range r.Findings {
		if !f.OK {
			bad = append(bad, f.About+": "+f.Text)
		}
	}
	if bad == nil {
		return nil
	}
	return errors.New(strings.Join(bad, "; "))
}

// keysChanged returns the keys that differ from their defaults. Secrets aren't
// shown.
func keysChanged(conf *Config, getenv func(string) string) []changedKey {
	by := defaults()
	if conf.LocalMode {
		by = localDefaults()
	}
	changed := []changedKey{}
	before := sections(by)
	for i, s := range sections(conf) {
		for j, k := range s.keys {
			c := changedKey{Key: k.path, Value: k.String(), Default: before[i].keys[j].String(), From: "file"}
			if c.Value == c.Default {
				continue
			}
			if getenv(envName(k.path)) != "" || conf.File == "" {
				c.From = "environment"
			}
			if strings.HasSuffix(k.path, "_secret") {
				c.Value = `"…"`
			}
			changed = append(changed, c)
		}
	}
	return changed
}

// serverRuns reports whether a server has the data of conf.
func serverRuns(ctx context.Context, conf *Config) bool {
	c, err := dialControl(ctx, conf.Data)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// lookAt looks at the files that conf names.
func lookAt(conf *Config) []configFinding {
	findings := []configFinding{{true, "hostname", "this server is called " + conf.Name()}, lookAtData(conf.Data)}
	if conf.TLS.Cert != "" {
		f := configFinding{true, "tls.cert", "the certificate and its key can be read, and belong together"}
		if _, err := readFiles(conf); err != nil {
			f = configFinding{false, "tls.cert", strings.TrimPrefix(err.Error(), "tls.cert: ")}
		}
		findings = append(findings, f)
	}
	if conf.TLS.ACMERoots != "" {
		f := configFinding{true, "tls.acme_roots", "can be read"}
		if _, err := os.ReadFile(conf.TLS.ACMERoots); err != nil {
			f = configFinding{false, "tls.acme_roots", osReason(err)}
		}
		findings = append(findings, f)
	}
	return findings
}

// lookAtData looks whether the data folder can be used, or made.
func lookAtData(dir string) configFinding {
	info, err := os.Stat(dir)
	switch {
	case err == nil && !info.IsDir():
		return configFinding{false, "data", dir + " is not a folder"}
	case err == nil && unix.Access(dir, unix.R_OK|unix.W_OK|unix.X_OK) != nil:
		return configFinding{false, "data", "no right to write in " + dir}
	case err == nil:
		return configFinding{true, "data", dir + " is there"}
	case !errors.Is(err, fs.ErrNotExist):
		return configFinding{false, "data", osReason(err)}
	}
	parent := filepath.Dir(dir)
	for parent != filepath.Dir(parent) {
		if _, err := os.Stat(parent); err == nil {
			break
		}
		parent = filepath.Dir(parent)
	}
	if unix.Access(parent, unix.W_OK|unix.X_OK) != nil {
		return configFinding{false, "data", fmt.Sprintf("%s can't be made: no right to write in %s", dir, parent)}
	}
	return configFinding{true, "data", dir + " will be made"}
}

// lookAtPorts tries to listen where a server would. What is in use while one runs
// is taken for its own.
func lookAtPorts(conf *Config, running bool) []configFinding {
	var findings []configFinding
	for _, want := range conf.Listen.wanted() {
		for _, addr := range want.addrs {
			f := configFinding{true, "listen." + want.service, addr + " is free"}
			l, err := net.Listen(conf.network(addr), addr)
			switch {
			case err == nil:
				l.Close()
			case running && errors.Is(err, unix.EADDRINUSE):
				f.Text = addr + " is in use, as it should be: the server runs"
			default:
				f.OK, f.Text = false, strings.TrimPrefix(bindError(f.About, addr, err).Error(), f.About+": ")
			}
			findings = append(findings, f)
		}
	}
	return findings
}

func printConfig(w io.Writer, r configReport) {
	if r.File == "" {
		fmt.Fprintln(w, "There is no configuration file: this is local mode, and nothing leaves this machine.")
	} else {
		fmt.Fprintf(w, "%s can be read.\n", printable(r.File))
	}
	if len(r.Changed) == 0 {
		fmt.Fprintln(w, "\nEvery key is as it is by default.")
	} else {
		fmt.Fprintln(w, "\nThese keys are not as they are by default:")
		t := newTable(w, "  KEY", "VALUE", "DEFAULT", "FROM")
		for _, k := range r.Changed {
			t.row("  "+k.Key, k.Value, k.Default, k.From)
		}
		t.flush()
	}
	fmt.Fprintln(w)
	t := newTable(w)
	for _, f := range r.Findings {
		word := "ok"
		if !f.OK {
			word = "WRONG"
		}
		t.row(word, f.About, f.Text)
	}
	t.flush()
}
