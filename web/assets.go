package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed assets
var assetFiles embed.FS

// An asset is a file that pages load. Its URL holds a hash of its content, so
// that browsers may keep it for ever and still never show a stale one.
type asset struct {
	name    string // as in the URL: postroom.1a2b3c4d5e.css
	content []byte
}

// loadAssets returns the assets by the name of their file.
func loadAssets(files fs.FS) (map[string]asset, error) {
	assets := make(map[string]asset)
	names, err := fs.Glob(files, "assets/*")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("load asset: %w", err)
		}
		base, ext := path.Base(name), path.Ext(name)
		sum := sha256.Sum256(content)
		hashed := strings.TrimSuffix(base, ext) + "." + hex.EncodeToString(sum[:5]) + ext
		assets[base] = asset{hashed, content}
	}
	return assets, nil
}

// assetURL is what templates call to name an asset.
func (p *pages) assetURL(file string) (string, error) {
	a, ok := p.assets[file]
	if !ok {
		return "", fmt.Errorf("no asset %q", file)
	}
	return "/assets/" + a.name, nil
}

func (p *pages) asset(v *visit) error {
	for _, a := range p.assets {
		if a.name == v.r.PathValue("name") {
			v.w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
			http.ServeContent(v.w, v.r, a.name, time.Time{}, bytes.NewReader(a.content))
			return nil
		}
	}
	return errNoPage
}

// favicon answers browsers that ask for the icon without reading the page.
func (p *pages) favicon(v *visit) error {
	a := p.assets["icon.svg"]
	v.w.Header().Set("Cache-Control", "public, max-age=86400")
	v.w.Header().Set("Content-Type", "image/svg+xml")
	http.ServeContent(v.w, v.r, "icon.svg", time.Time{}, bytes.NewReader(a.content))
	return nil
}
