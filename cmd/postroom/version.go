package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// versionCmd says what this program is.
type versionCmd struct{ listing }

type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Run prints the version.
func (c *versionCmd) Run(s *shell) error {
	return show(s, c.listing, version(), func(w io.Writer, v versionInfo) {
		fmt.Fprintf(w, "postroom %s", v.Version)
		if v.Revision != "" {
			fmt.Fprintf(w, " (%s)", v.Revision)
		}
		fmt.Fprintf(w, ", %s, %s\n", v.Go, v.Platform)
	})
}

// version reads what the Go tool wrote into the program when it built it.
func version() versionInfo {
	v := versionInfo{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			v.Revision = s.Value[:12]
		}
	}
	return v
}
