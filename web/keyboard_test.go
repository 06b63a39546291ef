package web

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"postroom/store/admin"
)

// What is asked of a page, in its own words.
const (
	// stops lists what the Tab key has to come to, in the order of the page: what
	// can be pressed, followed or filled in and is shown. Of radio buttons with one
	// name the keyboard comes to one.
	stops = `(() => {
		window.stops = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']")]
			.filter(e => e.checkVisibility({visibilityProperty: true}) && !e.disabled)
			.filter(e => e.type != "radio" || e.checked || !document.querySelector('input[name="' + e.name + '"]:checked') && e == document.querySelector('input[name="' + e.name + '"]'));
		return window.stops.map(e => e.outerHTML.slice(0, 120));
	})()`
	// focused says at which of the stops the keyboard is, and whether that can be seen.
	focused = `(() => {
		const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
		return {
			Stop: window.stops.indexOf(e),
			Ring: style.outlineStyle != "none" && parseFloat(style.outlineWidth) >= 1.5 || style.boxShadow != "none",
			Shown: box.width > 1 && box.height > 1 && box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth,
		};
	})()`
	// moving lists what moves although the visitor asked for less of that.
	moving = `[...document.querySelectorAll("*")].filter(e => {
		const s = getComputedStyle(e), d = s => s.split(",").some(d => parseFloat(d) > 0);
		return d(s.transitionDuration) && s.transitionProperty != "none" || s.animationName != "none" && d(s.animationDuration) || s.scrollBehavior == "smooth";
	}).map(e => e.outerHTML.slice(0, 80)).slice(0, 3)`
)

type focus struct {
	Stop        int
	Ring, Shown bool
}

// TestKeyboardReachesEverything goes through each page with the Tab key: it comes to
// each link, button and field in their order, where it is can be seen, and the first
// stop leads past the navigation.
func TestKeyboardReachesEverything(t *testing.T) {
	s := newSite(t)
	paths := s.bareExamples()
	s.submit(boss, "dana@partner.example", "nobody@gone.example")
	s.round(s.deferred)
	paths["busy-queue"], paths["busy-messages"], paths["busy-destinations"] = "/queue", "/messages", "/destinations"
	w := newWalk(t, s)
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		t.Run(name, func(t *testing.T) { tabThrough(t, w.ctx, s.http.URL+paths[name]) })
	}
	w.run("sign out", chromedp.Navigate(s.http.URL+"/"), chromedp.Click(css(".who button")), chromedp.WaitVisible(css("#username")))
	t.Run("sign-in", func(t *testing.T) { tabThrough(t, w.ctx, s.http.URL+"/login") })
}

func tabThrough(t *testing.T, ctx context.Context, url string) {
	t.Helper()
	ask := func(expression string) focus {
		t.Helper()
		at, err := chromedp.Run(ctx, chromedp.Evaluate[focus](expression))
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatal(err)
	}
	want, err := chromedp.Run(ctx, inScheme("light", chromedp.Evaluate[[]string](`document.activeElement.blur(), `+stops)))
	if err != nil || len(want) < 4 || !strings.Contains(want[0], "Skip to the content") {
		t.Fatalf("the stops are %q, %v", want, err)
	}
	restless, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](moving))
	if err != nil || len(restless) > 0 {
		t.Errorf("it moves: %q, %v", restless, err)
	}
	// A field that has the focus when the page opens is where the keyboard begins: go
	// back to the top, as Ctrl+Home and a click would.
	if err := chromedp.Do(ctx, discard(chromedp.Evaluate[bool](`(document.body.tabIndex = -1, document.body.focus(), document.body.removeAttribute("tabindex"), true)`))); err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if err := chromedp.Do(ctx, chromedp.KeyEvent(kb.Tab)); err != nil {
			t.Fatal(err)
		}
		at := ask(focused)
		for range 6 { // within a date the day, the month, the year and the calendar are stops
			if i == 0 || at.Stop != i-1 || !strings.Contains(want[i-1], `type="date"`) {
				break
			}
			if err := chromedp.Do(ctx, chromedp.KeyEvent(kb.Tab)); err != nil {
				t.Fatal(err)
			}
			at = ask(focused)
		}
		if at.Stop != i {
			t.Fatalf("stop %d should be %s, and is number %d", i, want[i], at.Stop)
		}
		if !at.Ring {
			t.Errorf("nobody sees that %s has the focus", want[i])
		}
		if !at.Shown {
			t.Errorf("%s has the focus where nobody sees it", want[i])
		}
	}
	if err := chromedp.Do(ctx, chromedp.Focus(css(".skip")), chromedp.KeyEvent(kb.Enter)); err != nil {
		t.Fatal(err)
	}
	inside, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.activeElement.id == "main"`))
	if err != nil || !inside {
		t.Errorf("the first stop doesn't lead to the content: %v", err)
	}
}

// discard does something for what it does alone.
func discard[T any](do chromedp.Action[T]) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, tab *chromedp.Target) (chromedp.Void, error) {
		_, err := do(ctx, tab)
		return chromedp.Void{}, err
	}
}

// TestEverythingWorksWithoutScript signs in, searches, makes a mistake in a form,
// mends it and removes what it made, in a browser that runs no script.
func TestEverythingWorksWithoutScript(t *testing.T) {
	s := newSite(t)
	s.receive("kim@friends.example", 1000, boss)
	s.receive("lee@others.example", 1000, boss)
	ctx := chromium(t)
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	w := &walk{t, s, ctx}
	w.run("sign in", chromedp.EmulateViewport(390, 900), signIn(s))
	if n, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.querySelectorAll("[data-copy] + button").length`)); err != nil || n != 0 {
		t.Fatalf("script runs: %d, %v", n, err)
	}
	w.run("open the menu and search", chromedp.Click(css(".menu summary")), chromedp.Click(css(`.menu a[href="/messages"]`)),
		chromedp.WaitVisible(css("#q")), chromedp.SendKeys(css("#q"), "kim@friends.example\r"), chromedp.WaitVisible(css(`#q[value="kim@friends.example"]`)))
	w.reads("main", "kim@friends.example")
	if text, err := chromedp.Run(ctx, chromedp.Text(css("main"))); err != nil || strings.Contains(text, "lee@others.example") {
		t.Errorf("the search found %q, %v", text, err)
	}
	w.run("add an alias with a mistake", chromedp.Click(css(".menu summary")), chromedp.Click(css(`.menu a[href="/aliases"]`)), chromedp.SendKeys(css("#source"), "info@example.org"),
		chromedp.SendKeys(css("#targets"), "info@example.org"), chromedp.Click(css("#add button")), chromedp.WaitVisible(css("#add .notice.bad")))
	w.reads("#add", "lead back to itself")
	w.run("mend it", chromedp.SetValue(css("#targets"), boss), chromedp.Click(css("#add button")), chromedp.WaitVisible(css(".notice.good")))
	w.run("remove it", chromedp.Click(css(`a[href="/aliases/info@example.org/remove"]`)), chromedp.WaitVisible(css(".confirm")),
		chromedp.Click(css(".confirm button")), chromedp.WaitVisible(css(".notice.good")))
	w.reads("main", "The alias info@example.org was removed", "There are no aliases yet")
	const zoe = "zoe@example.org"
	s.account(admin.NewAccount{Address: zoe})
	w.run("remove an account after typing its address", chromedp.Navigate(s.http.URL+accountURL(zoe)+"/remove"), chromedp.SendKeys(css("#typed"), "zoe\r"),
		chromedp.WaitVisible(css(".notice.bad")), chromedp.SetValue(css("#typed"), zoe), chromedp.Click(css(".confirm button")), chromedp.WaitVisible(css(".notice.good")))
	w.reads("main", "zoe@example.org was removed")
}
