package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// A UsageError is a mistake in the configuration or the command line: exit
// status 2, and nothing has been touched.
type UsageError struct{ Text string }

func (e *UsageError) Error() string { return e.Text }

func usagef(format string, args ...any) error {
	return &UsageError{fmt.Sprintf(format, args...)}
}

const configFile = "postroom.toml"

// findConfig returns the configuration file to read, in the order --config,
// $POSTROOM_CONFIG, the working folder; "" if there is none.
func findConfig(flag string, getenv func(string) string) string {
	if flag != "" {
		return flag
	}
	if file := getenv("POSTROOM_CONFIG"); file != "" {
		return file
	}
	if _, err := os.Stat(configFile); err == nil {
		return configFile
	}
	return ""
}

// loadConfig reads file ("" means local mode) and then the environment. What is
// wrong with either is a *UsageError that names the key.
func loadConfig(file string, environ []string) (*Config, error) {
	c := localDefaults()
	if file != "" {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usagef("configuration: %s; “postroom init” writes one", osReason(err))
		}
		if err != nil {
			return nil, usagef("configuration: %s", osReason(err))
		}
		c = defaults()
		c.File = file
		if err := c.parse(text); err != nil {
			return nil, usagef("%s: %v", file, err)
		}
	}
	if err := c.readEnv(environ); err != nil {
		return nil, err
	}
	return c, c.check()
}

// osReason says what a failed file operation is about in one line.
func osReason(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Sprintf("%s: %v", pe.Path, pe.Err)
	}
	return err.Error()
}

// parse reads the text of a configuration file into c.
func (c *Config) parse(text []byte) error {
	var tree map[string]any
	if err := toml.NewDecoder(bytes.NewReader(text)).Decode(&tree); err != nil {
		if de, ok := errors.AsType[*toml.DecodeError](err); ok {
			row, column := de.Position()
			return fmt.Errorf("line %d, column %d: %s", row, column, strings.TrimPrefix(de.Error(), "toml: "))
		}
		return errors.New(strings.TrimPrefix(err.Error(), "toml: "))
	}
	return c.apply(tree)
}

// apply sets every key of tree, and fails on one that there isn't.
func (c *Config) apply(tree map[string]any) error {
	all := sections(c)
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		i := slices.IndexFunc(all, func(s section) bool { return s.name == name })
		if i < 0 || name == "" {
			if err := setKey(all, name, tree[name]); err != nil {
				return err
			}
			continue
		}
		table, ok := tree[name].(map[string]any)
		if !ok {
			return fmt.Errorf("%s: is a table: [%s]", name, name)
		}
		for _, k := range slices.Sorted(maps.Keys(table)) {
			if err := setKey(all, name+"."+k, table[k]); err != nil {
				return err
			}
		}
	}
	return nil
}

func setKey(all []section, path string, v any) error {
	for _, s := range all {
		for _, k := range s.keys {
			if k.path != path {
				continue
			}
			if err := k.set(v); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			return nil
		}
	}
	return unknownKey(all, path)
}

// unknownKey names a key that there isn't, and the one that was probably meant.
func unknownKey(all []section, path string) error {
	last := path[strings.LastIndexByte(path, '.')+1:]
	best, distance := "", 3
	for _, s := range all {
		for _, k := range s.keys {
			d := editDistance(k.path, path)
			if k.path[strings.LastIndexByte(k.path, '.')+1:] == last {
				d = min(d, 2)
			}
			if d < distance {
				best, distance = k.path, d
			}
		}
	}
	if best == "" {
		return fmt.Errorf("unknown key %s", path)
	}
	return fmt.Errorf("unknown key %s; did you mean %s?", path, best)
}

// editDistance is how many letters have to be added, taken away or changed to
// turn a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// envName returns the name of the environment variable that sets a key.
func envName(path string) string {
	return "POSTROOM_" + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// readEnv sets the keys that the environment gives. An empty variable counts:
// it empties a list.
func (c *Config) readEnv(environ []string) error {
	given := make(map[string]string, len(environ))
	for _, kv := range environ {
		if name, v, ok := strings.Cut(kv, "="); ok {
			given[name] = v
		}
	}
	for _, s := range sections(c) {
		for _, k := range s.keys {
			name := envName(k.path)
			text, ok := given[name]
			if !ok {
				continue
			}
			if err := k.set(k.fromText(text)); err != nil {
				return usagef("%s (key %s): %v", name, k.path, err)
			}
		}
	}
	return nil
}

// unknownVariables returns the names of variables that look like keys and are
// none. They may belong to something else, so they are no error.
func unknownVariables(c *Config, environ []string) []string {
	known := []string{"POSTROOM_CONFIG"}
	for _, s := range sections(c) {
		for _, k := range s.keys {
			known = append(known, envName(k.path))
		}
	}
	var unknown []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "POSTROOM_") && !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// check looks at what no single key can see.
func (c *Config) check() error {
	switch {
	case c.Data == "":
		return usagef("data: needs a folder")
	case (c.TLS.Cert == "") != (c.TLS.Key == ""):
		return usagef("tls.cert and tls.key: one is of no use without the other")
	case c.TLS.ACMEDNS != "" && (c.TLS.ACMETSIGName == "" || c.TLS.ACMETSIGSecret == ""):
		return usagef("tls.acme_dns: needs tls.acme_tsig_name and tls.acme_tsig_secret too, the key that its updates are signed with")
	}
	return nil
}
