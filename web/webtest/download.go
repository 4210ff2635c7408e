package webtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
)

// Download clicks what leads to a file, and returns its name and what is in it.
func (p *Part) Download(role, name string) (file string, content []byte) {
	p.w.t.Helper()
	dir := p.w.t.TempDir()
	c := chromedp.FromContext(p.w.ctx)
	if _, err := cdp.Call(p.w.ctx, c.Browser, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, BrowserContextID: c.BrowserContextID, DownloadPath: dir,
	}); err != nil {
		p.w.t.Fatalf("allow downloads: %v", err)
	}
	p.Click(role, name)
	p.w.until("a file", func() (bool, string) {
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 1 {
			return false, fmt.Sprint(entries, err)
		}
		file = entries[0].Name() // the browser's own name for it until it is whole
		return !strings.HasPrefix(file, ".") && !strings.HasSuffix(file, ".crdownload"), file
	})
	content, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		p.w.t.Fatal(err)
	}
	return file, content
}
