package web_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	devpage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// chromeTime is how long a step in the browser may take.
const chromeTime = 30 * time.Second

// chrome is a real browser with one page, which keeps nothing.
type chrome struct {
	t   *testing.T
	ctx context.Context
	url string // of the server

	mu       sync.Mutex
	problems []string // that scripts and the security policy had
}

// startChrome starts a browser for the server at url.
func startChrome(t *testing.T, url string) *chrome {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(chromePath(t)))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // which root cannot have
	}
	ctx, end := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(end)
	c := &chrome{t: t, url: url}
	ctx, closePage := chromedp.NewContext(ctx, chromedp.WithListener(c.listen))
	t.Cleanup(closePage)
	c.ctx = ctx
	c.do("start", chromedp.EmulateViewport(1024, 800))
	return c
}

func chromePath(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("Chromium is missing: run scripts/prepare, which installs it")
	return ""
}

// listen keeps what goes wrong in the page. An answer with status 4xx does not: it
// is a page like others; nor do hints to developers.
func (c *chrome) listen(ev any) {
	problem := ""
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		problem = ev.ExceptionDetails.Text
	case *runtime.EventConsoleAPICalled:
		problem = "console." + string(ev.Type)
	case *log.EventEntryAdded:
		refused := ev.Entry.Source == log.EntrySourceNetwork && strings.Contains(ev.Entry.Text, "status of 4")
		if !refused && ev.Entry.Level != log.EntryLevelVerbose {
			problem = fmt.Sprintf("%s: %s", ev.Entry.Level, ev.Entry.Text)
		}
	}
	if problem != "" {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.problems = append(c.problems, problem)
	}
}

// wantNoProblems holds that scripts ran and the security policy was kept.
func (c *chrome) wantNoProblems() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.problems {
		c.t.Errorf("in the browser: %s", p)
	}
}

func (c *chrome) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	c.t.Helper()
	if _, err := ask(c, chromedp.Steps(steps...)); err != nil {
		c.t.Fatalf("%s: %v", what, err)
	}
}

// ask runs one action in time.
func ask[T any](c *chrome, a chromedp.Action[T]) (T, error) {
	return chromedp.Run(c.ctx, func(ctx context.Context, t *chromedp.Target) (T, error) {
		ctx, cancel := context.WithTimeout(ctx, chromeTime)
		defer cancel()
		return a(ctx, t)
	})
}

// open goes to a page.
func (c *chrome) open(path string) {
	c.t.Helper()
	c.do("open "+path, chromedp.Navigate(c.url+path))
}

// fill types into the fields with these ids: ids and texts in turn.
func (c *chrome) fill(pairs ...string) {
	c.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		c.do("fill "+pairs[i], chromedp.Clear(chromedp.ID(pairs[i])), chromedp.SendKeys(chromedp.ID(pairs[i]), pairs[i+1]))
	}
}

// click clicks what stays on the page.
func (c *chrome) click(selector string) {
	c.t.Helper()
	c.do("click "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// follow clicks what leads to a page, and waits for that.
func (c *chrome) follow(selector string) {
	c.t.Helper()
	if _, err := ask(c, chromedp.WaitEvent(devpage.LoadEventFired, nil, chromedp.Click(chromedp.CSS(selector)))); err != nil {
		c.t.Fatalf("follow %s: %v", selector, err)
	}
}

// want holds that the page is at a path and shows texts.
func (c *chrome) want(path string, texts ...string) {
	c.t.Helper()
	if got := eval[string](c, "location.pathname + location.search"); got != path {
		c.t.Errorf("got the page %s, want %s", got, path)
	}
	shown := eval[string](c, "document.body.innerText")
	for _, text := range texts {
		if !strings.Contains(shown, text) {
			c.t.Errorf("%s: got no %q in %s", path, text, shown)
		}
	}
}

// eval returns the value of an expression in the page.
func eval[T any](c *chrome, expression string) T {
	c.t.Helper()
	out, err := ask(c, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		c.t.Fatalf("%s: %v", expression, err)
	}
	return out
}

// scripts has pages run their scripts or not.
func (c *chrome) scripts(on bool) {
	c.t.Helper()
	c.do("scripts", call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on}))
}

// call makes an action of a command of the browser.
func call[P any](command cdp.Command[P, cdp.Empty], params P) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, command, params)
		return chromedp.Void{}, err
	}
}

// look writes pictures of the page to out/pages, for a person to look at, at three
// widths, light and dark, and holds that nothing is wider than the page.
func (c *chrome) look(name string) {
	c.t.Helper()
	dir := filepath.Join("..", "out", "pages")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		c.t.Fatal(err)
	}
	for _, scheme := range []string{"light", "dark"} {
		features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
		for _, width := range []int64{390, 1024, 1600} {
			c.do("look", call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}), chromedp.EmulateViewport(width, 800))
			if got := eval[int64](c, "document.documentElement.scrollWidth"); got > width {
				c.t.Errorf("%s at %d pixels: got %d pixels of content", name, width, got)
			}
			picture, err := ask(c, chromedp.FullScreenshot(100))
			if err != nil {
				c.t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, width, scheme)), picture, 0o644); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	c.do("look", chromedp.EmulateViewport(1024, 800))
}
