package web

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if stopChromium != nil {
		stopChromium()
	}
	os.Exit(code)
}

// stopChromium ends the browser that the tests share, nil if none was needed.
var stopChromium func()

// startChromium starts it: that takes longer than most tests do.
var startChromium = sync.OnceValues(func() (context.Context, error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "postroom-chromium-")
	if err != nil {
		return nil, err
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(folder), chromedp.Flag("disable-gpu", true),
		chromedp.Flag("no-sandbox", os.Geteuid() == 0), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
	)
	ctx, stopProgram := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, stop := chromedp.NewContext(ctx)
	stopChromium = func() {
		stop()
		stopProgram()
		os.RemoveAll(folder)
	}
	return ctx, chromedp.Do(ctx)
})

// chromium opens a tab for the test, with cookies of its own. Whatever is loaded
// there is ours: the test fails if a page asks another host for something.
func chromium(t *testing.T) context.Context {
	t.Helper()
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Skip("needs chromium (Debian package chromium)")
	}
	browser, err := startChromium()
	if err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	ctx, stop := context.WithTimeout(browser, 9*time.Minute)
	t.Cleanup(stop)
	loads := new(loads)
	ctx, stop = chromedp.NewContext(ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(loads.note))
	t.Cleanup(func() {
		stop()
		for _, url := range loads.elsewhere() {
			t.Errorf("a page asked for %s", url)
		}
	})
	if err := chromedp.Do(ctx); err != nil { // the tab lives as long as the context that it is opened with
		t.Fatalf("open a tab: %v", err)
	}
	if script := os.Getenv("POSTROOM_AXE"); script != "" {
		axe, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: string(axe)}); err != nil {
			t.Fatal(err)
		}
	}
	return ctx
}

// loads are the hosts that a tab's pages asked for something.
type loads struct {
	mu   sync.Mutex
	urls []string
}

func (l *loads) note(event any) {
	if sent, ok := event.(*network.EventRequestWillBeSent); ok {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.urls = append(l.urls, sent.Request.URL)
	}
}

// elsewhere returns what didn't come from this machine.
func (l *loads) elsewhere() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.urls) == 0 {
		return []string{"nothing at all: its requests were not seen"}
	}
	var strange []string
	for _, url := range l.urls {
		ours := strings.HasPrefix(url, "http://127.0.0.1:") || strings.HasPrefix(url, "data:") || url == "about:blank"
		if !ours {
			strange = append(strange, url)
		}
	}
	return strange
}

// What axe-core is asked: all its rules, also those that are only good practice,
// and in the other colours what depends on colours.
const (
	allRules    = `{}`
	colourRules = `{runOnly: ["color-contrast", "link-in-text-block"]}`
)

// examine reports what axe-core finds on the page, in light and dark colours.
func examine(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	for scheme, rules := range map[string]string{"light": allRules, "dark": colourRules} {
		run := `axe.run(` + rules + `).then(r => r.passes.length == 0 ? ["nothing was examined"] : r.violations.map(v => v.id + ": " + v.nodes.map(n => n.target.join(" ") + " " + (n.failureSummary || "")).slice(0, 3).join("; ")))`
		found, err := chromedp.Run(ctx, inScheme(scheme, chromedp.Evaluate[[]string](run, chromedp.EvalAwaitPromise)))
		if err != nil {
			t.Fatalf("axe on %s: %v", name, err)
		}
		for _, f := range found {
			t.Errorf("axe on %s, %s: %s", name, scheme, f)
		}
	}
}

// inScheme does what is to be done in light or dark colours.
func inScheme[T any](scheme string, do chromedp.Action[T]) chromedp.Action[T] {
	return func(ctx context.Context, tab *chromedp.Target) (T, error) {
		media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}}
		if _, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, media); err != nil {
			var none T
			return none, err
		}
		return do(ctx, tab)
	}
}

// regard measures the page at a width. If POSTROOM_AXE names axe-core's script
// (axe.min.js), that looks for what keeps people out; if POSTROOM_SCREENSHOTS names
// a folder, pictures are left there, light and dark.
func regard(t *testing.T, ctx context.Context, name string, width int64) {
	t.Helper()
	wide, err := chromedp.Run(ctx, chromedp.Evaluate[int64]("document.documentElement.scrollWidth"))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if wide > width {
		t.Errorf("%s at %d pixels is %d wide", name, width, wide)
	}
	if os.Getenv("POSTROOM_AXE") != "" {
		examine(t, ctx, fmt.Sprintf("%s at %d pixels", name, width))
	}
	if folder := os.Getenv("POSTROOM_SCREENSHOTS"); folder != "" {
		photograph(t, ctx, fmt.Sprintf("%s/%s-%d", folder, name, width))
	}
}

// photograph writes the page in light and dark.
func photograph(t *testing.T, ctx context.Context, file string) {
	t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		picture, err := chromedp.Run(ctx, inScheme(scheme, chromedp.FullScreenshot(100)))
		if err == nil {
			err = os.WriteFile(file+"-"+scheme+".png", picture, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
