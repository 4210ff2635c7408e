// Package webtest looks at pages with a real browser, Chromium, as people do:
// what is clicked and filled in is found by its role and its name, as a screen
// reader tells them. Whatever the browser complains about fails the test, and so
// do serious faults that axe-core finds, a secret in a page's source, and content
// that is wider than the page.
package webtest

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Patience is how long something may take to appear, and a page to be there. It
// is long because other tests use the machine too.
const Patience = 30 * time.Second

// Chrome is a running browser, for any number of windows.
type Chrome struct {
	ctx context.Context

	mu      sync.Mutex
	seen    map[string]bool // kinds of pages that were judged
	figures map[string]Figures
}

// Start starts a browser that ends with the test.
func Start(t testing.TB) *Chrome {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(program(t)), chromedp.DisableGPU)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // which root cannot have
	}
	ctx, end := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	t.Cleanup(end)
	ctx, closeAll := chromedp.NewContext(ctx)
	t.Cleanup(closeAll)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return &Chrome{ctx: ctx, seen: map[string]bool{}, figures: map[string]Figures{}}
}

// program finds the browser.
func program(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("Chromium is missing: run scripts/prepare, which installs it")
	return ""
}

// Config says what a window is for.
type Config struct {
	// URL is the server's address, without a slash at the end.
	URL string
	// NoScripts has pages run none of their scripts.
	NoScripts bool
	// Secrets returns texts that no page's source may hold; nil for none. It is
	// called for every page.
	Secrets func() []string
}

// Window opens a window with cookies of its own, which is closed when the test
// ends. What the browser complained about by then fails the test.
func (c *Chrome) Window(t testing.TB, cfg Config) *Window {
	t.Helper()
	w := &Window{t: t, chrome: c, cfg: cfg}
	w.Part = &Part{w: w}
	ctx, closeWindow := chromedp.NewContext(c.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(w.listen))
	t.Cleanup(func() {
		closeWindow()
		for _, p := range w.Problems() {
			t.Errorf("in the browser: %s", p)
		}
	})
	w.ctx = ctx
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 900)); err != nil {
		t.Fatalf("open a window: %v", err)
	}
	w.target = chromedp.FromContext(ctx).Target
	w.scripts(!cfg.NoScripts)
	return w
}
