package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"golang.org/x/sys/unix"

	"postroom/cmd/postroom/bench"
)

// A guided is a new server with a web page, which nobody has set up.
type guided struct {
	*served
	dir, file string
}

// startNew starts a server from a configuration in a fresh folder, whose domain has
// an MX record and nothing else in the DNS.
func startNew(t *testing.T) *guided {
	t.Helper()
	dns, err := bench.StartDNS("new.example. 60 IN MX 10 mail.new.example.", "mail.new.example. 60 IN A 127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dns.Close)
	dir := t.TempDir()
	file := filepath.Join(dir, "postroom.toml")
	text := "hostname = \"mail.new.example\"\ndata = \"data\"\n[listen]\nmetrics = []\nhttps = [\"127.0.0.1:0\"]\n[dns]\nservers = [\"" + dns.Addr + "\"]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return &guided{startWith(t, file), dir, file}
}

// printed is what serve prints for whoever sets it up.
var printed = regexp.MustCompile(`(?m)^  (https?://\S+/setup)#(\S+)$`)

// link returns the address and the code of the page that the server itself listens on
// without TLS.
func (g *guided) link() (page, code string) {
	g.t.Helper()
	poll(g.t, "serve prints the link", func() bool { return strings.Contains(g.other.String(), "account add ADDRESS --admin") })
	links := printed.FindAllStringSubmatch(g.other.String(), -1)
	if len(links) != 2 {
		g.t.Fatalf("it prints %q", g.other.String())
	}
	_, port, _ := strings.Cut(g.ports["https"], ":")
	if links[0][1] != "https://mail.new.example:"+port+"/setup" || links[1][1] != "http://"+g.ports["web"]+"/setup" || links[0][2] != links[1][2] {
		g.t.Errorf("the links are %q", links)
	}
	if n := strings.Count(g.other.String(), links[0][2]); n != 3 {
		g.t.Errorf("the code is printed %d times, want in two links and alone", n)
	}
	return links[1][1], links[1][2]
}

func (g *guided) command(args ...string) string {
	g.t.Helper()
	out, err := command(g.t, g.dir, nil, append([]string{"--config", g.file}, args...)...).CombinedOutput()
	if err != nil {
		g.t.Fatalf("%v: %v: %s", args, err, out)
	}
	return string(out)
}

// opens reports whether a code makes an administrator.
func (g *guided) opens(page, code string) bool {
	g.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	form := fmt.Sprintf("code=%s&address=me@new.example&password=correct+horse&again=correct+horse", code)
	r, err := http.NewRequestWithContext(g.t.Context(), http.MethodPost, page, strings.NewReader(form))
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	res, err := client.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode == http.StatusSeeOther && res.Header.Get("Location") == "/setup/domain"
}

// The link dies with the next start, which prints another; and it is in no file and
// in no log.
func TestServePrintsTheLinkOnce(t *testing.T) {
	g := startNew(t)
	_, old := g.link()
	assertNotKept(t, filepath.Join(g.dir, "data"), old)
	assertNotKept(t, filepath.Join(g.dir, "data"), strings.ReplaceAll(old, "-", ""))
	if g.end(unix.SIGTERM) != statusDone {
		t.Error("it doesn't stop")
	}
	if strings.Contains(g.screen.String(), old) {
		t.Error("the code is in the log")
	}
	again := &guided{startWith(t, g.file), g.dir, g.file}
	page, code := again.link()
	if code == old || again.opens(page, old) {
		t.Error("the old code still works")
	}
	if !again.opens(page, code) {
		t.Error("the new code doesn't work")
	}
	if again.opens(page, code) {
		t.Error("the code works twice")
	}
	again.end(unix.SIGTERM)
	third := startWith(t, g.file)
	if out := third.other.String(); strings.Contains(out, "setup#") {
		t.Errorf("with an administrator it prints %s", out)
	}
}

// An administrator from the command line ends it at once.
func TestCommandLineEndsTheSetup(t *testing.T) {
	g := startNew(t)
	page, code := g.link()
	g.command("domain", "add", "new.example")
	g.command("account", "add", "boss@new.example", "--admin", "--generate")
	if g.opens(page, code) {
		t.Error("somebody else became the administrator")
	}
}

// A walk is what somebody does in a browser.
type walk struct {
	t   *testing.T
	ctx context.Context
}

// browse starts chromium.
func browse(t *testing.T) *walk {
	t.Helper()
	need(t, "chromium", "chromium")
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-gpu", true),
		chromedp.Flag("no-sandbox", os.Geteuid() == 0), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, stop := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	return &walk{t, ctx}
}

func (w *walk) run(what string, steps ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	if err := chromedp.Do(w.ctx, steps...); err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
}

// reads fails the test unless the page holds all the texts.
func (w *walk) reads(texts ...string) {
	w.t.Helper()
	got, err := chromedp.Run(w.ctx, chromedp.Text(chromedp.CSS("main")))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, text := range texts {
		if !strings.Contains(got, text) {
			w.t.Errorf("the page doesn't hold %q:\n%s", text, got)
		}
	}
}

// look measures the page at both widths, and takes pictures if POSTROOM_SCREENSHOTS
// names a folder.
func (w *walk) look(name string) {
	w.t.Helper()
	for _, width := range []int64{390, 1280} {
		w.run("resize", chromedp.EmulateViewport(width, 900))
		wide, err := chromedp.Run(w.ctx, chromedp.Evaluate[int64]("document.documentElement.scrollWidth"))
		if err != nil || wide > width {
			w.t.Errorf("%s at %d pixels is %d wide, %v", name, width, wide, err)
		}
		if folder := os.Getenv("POSTROOM_SCREENSHOTS"); folder != "" {
			w.photograph(filepath.Join(folder, fmt.Sprintf("first-%s-%d", name, width)))
		}
	}
}

func (w *walk) photograph(file string) {
	w.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}}
		picture, err := chromedp.Run(w.ctx, func(ctx context.Context, tab *chromedp.Target) ([]byte, error) {
			if _, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, media); err != nil {
				return nil, err
			}
			return chromedp.FullScreenshot(100)(ctx, tab)
		})
		if err == nil {
			err = os.WriteFile(file+"-"+scheme+".png", picture, 0o600)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// From the link that serve prints to the trace of the first mail.
func TestFirstRun(t *testing.T) {
	g := startNew(t)
	page, code := g.link()
	css := func(s string) chromedp.CSS { return chromedp.CSS(s) }
	w := browse(t)
	w.run("open the link", chromedp.EmulateViewport(1280, 900), chromedp.Navigate(page+"#"+code), chromedp.WaitVisible(css("#code")))
	got, err := chromedp.Run(w.ctx, chromedp.Evaluate[string](`document.querySelector("#code").value + " " + location.href`))
	if err != nil || got != code+" "+page {
		t.Errorf("the page has %q, %v", got, err)
	}
	w.look("admin")
	w.run("mistype the password", chromedp.SendKeys(css("#address"), "me@new.example"), chromedp.SendKeys(css("#password"), "correct horse"), chromedp.SendKeys(css("#again"), "correct hose"),
		chromedp.Click(css("main button")), chromedp.WaitVisible(css(".notice.bad")))
	w.look("admin-mistake")
	w.run("become the administrator", chromedp.SendKeys(css("#password"), "correct horse"), chromedp.SendKeys(css("#again"), "correct horse"),
		chromedp.Click(css("main button")), chromedp.WaitVisible(css(".notice.good")))
	w.reads("me@new.example is the administrator", "new.example", "One more?")
	w.look("domain")
	w.run("go on to the DNS", chromedp.Click(css("main button[value=done]")), chromedp.WaitVisible(css(".record")))
	w.reads("required records are missing or wrong", "Says now", "10 mail.new.example.", "autodiscover.new.example")
	w.look("dns")
	w.run("look again", chromedp.Click(css("a[data-slow]")), chromedp.WaitVisible(css(".record")))
	w.run("skip it", chromedp.Click(css("main button[value=skip]")), chromedp.WaitVisible(css("#there-title")))
	w.look("account")
	w.run("add the first account", chromedp.SendKeys(css("#address"), "alice@new.example"), chromedp.Click(css("#add button")), chromedp.WaitVisible(css(".secret")))
	w.reads("The account is ready", "alice@new.example", "Thunderbird", "Outlook", "iPhone")
	w.look("programs")
	secret, err := chromedp.Run(w.ctx, chromedp.Text(css(".secret code")))
	if err != nil {
		t.Fatal(err)
	}
	w.run("go on to the test mail", chromedp.Click(css(`main a[href^="/setup/test?"]`)), chromedp.WaitVisible(css(`#address[value="alice@new.example"]`)))
	w.look("test")
	w.run("send it", chromedp.Click(css("#send button[type=submit]")), chromedp.WaitVisible(css(".verdict.good")), chromedp.WaitVisible(css(".timeline")))
	w.reads("It works", "Reach the server to send", "Delete it again", "Mail programs will ask whether to trust the certificate", "Accepted", "Delivered into the maildrop")
	w.look("tested")
	trace := g.command("trace", "alice@new.example")
	for _, kind := range []string{"accepted", "delivered"} {
		if !strings.Contains(trace, kind) {
			t.Errorf("the trace lacks %s: %s", kind, trace)
		}
	}
	poll(t, "the trace knows that it was collected and deleted", func() bool {
		trace := g.command("trace", "alice@new.example")
		return strings.Contains(trace, "collected") && strings.Contains(trace, "deleted")
	})
	w.run("finish", chromedp.Click(css(".verdict button[value=done]")), chromedp.WaitVisible(css(".notice.good")))
	w.run("be sent back to nothing", chromedp.Navigate("http://"+g.ports["web"]+"/"), chromedp.WaitVisible(css("#today, .verdict")))
	s := g.served
	conf := trusting(t, filepath.Join(g.dir, "data"))
	s.submit(conf, "alice@new.example", secret, "alice@new.example", "A real one.")
	if mail := s.collect(conf, "alice@new.example", secret); !strings.Contains(mail, "A real one.") {
		t.Errorf("the first mail in the maildrop is %s", mail)
	}
	if log := g.screen.String(); strings.Contains(log, code) || strings.Contains(log, "level=ERROR") {
		t.Errorf("the log:\n%s", log)
	}
}

// Real clients find their settings.
func TestMailProgramsFindTheirSettings(t *testing.T) {
	need(t, "curl", "curl")
	g := startNew(t)
	g.command("domain", "add", "new.example")
	_, port, _ := strings.Cut(g.ports["https"], ":")
	ask := func(url string, args ...string) string {
		t.Helper()
		return runProgram(t, nil, nil, "curl", append([]string{"-sS", "-k", "--connect-to", "::127.0.0.1:" + port, url}, args...)...)
	}
	request := `<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request><EMailAddress>alice@new.example</EMailAddress>` +
		`<AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema></Request></Autodiscover>`
	_, pop3s, _ := strings.Cut(g.ports["pop3s"], ":")
	for url, want := range map[string]string{
		"https://autodiscover.new.example/autodiscover/autodiscover.xml":               "<Port>" + pop3s + "</Port>",
		"https://autoconfig.new.example/mail/config-v1.1.xml":                          "<port>" + pop3s + "</port>",
		"https://mail.new.example/apple.mobileconfig?emailaddress=alice%40new.example": "<integer>" + pop3s + "</integer>",
	} {
		var args []string
		if strings.Contains(url, "autodiscover") {
			args = []string{"-H", "Content-Type: text/xml", "--data", request}
		}
		if got := ask(url, args...); !strings.Contains(got, want) || !strings.Contains(got, "mail.new.example") {
			t.Errorf("%s: %s", url, got)
		}
	}
}
