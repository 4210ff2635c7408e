package webtest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Figures are what a page costs.
type Figures struct {
	Bytes  int64   // of the page over the wire, without styles and scripts
	Server float64 // ms until its first byte
	Paint  float64 // ms until something is shown
}

// Where tests look for axe-core and leave pictures, from the root of the tree.
const (
	axeFile  = "testservers/axe/node_modules/axe-core/axe.min.js"
	pictures = "out/pages"
	// PicturesEnv names the variable that has pictures taken, when it is not "".
	PicturesEnv = "SLUICE_PICTURES"
)

// judge holds what holds for every page. The kind of a page is judged once: its
// path without names and numbers, and what it says.
func (w *Window) judge() {
	w.t.Helper()
	if !strings.HasPrefix(Eval[string](w, "location.href"), w.cfg.URL+"/-/") {
		return
	}
	w.wantNoSecrets()
	kind := w.kind()
	w.chrome.mu.Lock()
	seen := w.chrome.seen[kind]
	w.chrome.seen[kind] = true
	w.chrome.mu.Unlock()
	if seen || w.cfg.NoScripts {
		return
	}
	w.measure(kind)
	w.Look(kind)
}

var (
	versions = regexp.MustCompile(`^[tu]?\d+$`)
	noWord   = regexp.MustCompile(`[^a-z0-9]+`)
)

// kind names what kind of page is shown. What is not there, or not for somebody,
// looks the same everywhere.
func (w *Window) kind() string {
	status := w.Status()
	if status == http.StatusForbidden || status == http.StatusNotFound {
		return fmt.Sprint("status-", status)
	}
	path, query, _ := strings.Cut(strings.TrimPrefix(w.Path(), "/-/"), "?")
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if versions.MatchString(p) || i > 0 && parts[i-1] == "groups" {
			parts[i] = "x"
		}
	}
	if _, after, is := strings.Cut(query, "kind="); is {
		kind, _, _ := strings.Cut(after, "&")
		parts = append(parts, kind)
	}
	if status != http.StatusOK {
		parts = append(parts, fmt.Sprint(status))
	}
	return cmp.Or(strings.Trim(noWord.ReplaceAllString(strings.ToLower(strings.Join(parts, "-")), "-"), "-"), "home")
}

// wantNoSecrets holds that neither the answer nor what scripts made of it has a
// secret.
func (w *Window) wantNoSecrets() {
	w.t.Helper()
	secrets := w.Cookies()
	if w.cfg.Secrets != nil {
		secrets = append(secrets, w.cfg.Secrets()...)
	}
	source, live := w.Source(), w.live()
	for _, s := range secrets {
		if s != "" && (strings.Contains(source, s) || strings.Contains(live, s)) {
			w.t.Errorf("%s: the page holds the secret %q", w.Path(), s)
		}
	}
}

// measure keeps what the page cost.
func (w *Window) measure(kind string) {
	w.t.Helper()
	paint := Eval[[]float64](w, `new Promise((resolve) => {
		const [page] = performance.getEntriesByType("navigation");
		new PerformanceObserver((list) => {
			for (const e of list.getEntriesByName("first-contentful-paint")) resolve([page.responseStart - page.requestStart, e.startTime - page.startTime]);
		}).observe({type: "paint", buffered: true});
	})`)
	w.mu.Lock()
	f := Figures{Bytes: w.bytes[w.document], Server: paint[0], Paint: paint[1]}
	w.mu.Unlock()
	w.chrome.mu.Lock()
	defer w.chrome.mu.Unlock()
	w.chrome.figures[kind] = f
}

// Report returns a table of what the pages cost, and writes it beside the pictures
// when those are wanted.
func (c *Chrome) Report(t testing.TB) string {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var kinds []string
	for kind := range c.figures {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	var out strings.Builder
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "page\tbytes\tserver ms\tpaint ms\t")
	for _, kind := range kinds {
		f := c.figures[kind]
		fmt.Fprintf(table, "%s\t%d\t%.1f\t%.0f\t\n", kind, f.Bytes, f.Server, f.Paint)
	}
	_ = table.Flush() // into memory
	if os.Getenv(PicturesEnv) != "" {
		if err := os.WriteFile(filepath.Join(root(t), pictures, "costs.txt"), []byte(out.String()), 0o644); err != nil {
			t.Error(err)
		}
	}
	return out.String()
}

// Look has axe-core judge the page as it is, light and dark, and holds that
// nothing is wider than the page, and that nothing scrolls by a hair. It writes pictures when [PicturesEnv] is set.
func (w *Window) Look(name string) {
	w.t.Helper()
	Eval[chromedp.Void](w, w.chrome.axe(w.t))
	w.hairs(name)
	for _, scheme := range []string{"light", "dark"} {
		w.media(scheme)
		w.axe(name, scheme)
		w.pictures(name, scheme)
	}
	w.media("")
}

// hairs holds that nothing scrolls by less than four pixels: that is a mistake in a
// border or a margin, and shows as a scrollbar that leads nowhere. The browser of
// the tests has none, so that pictures do not show it.
func (w *Window) hairs(name string) {
	w.t.Helper()
	found := Eval[[]string](w, `[...document.querySelectorAll("body *")].filter((e) => {
		const style = getComputedStyle(e), scrolls = (how, more) => /auto|scroll/.test(how) && more > 0 && more < 4;
		return scrolls(style.overflowX, e.scrollWidth - e.clientWidth) || scrolls(style.overflowY, e.scrollHeight - e.clientHeight);
	}).map((e) => e.localName + "." + e.className)`)
	for _, element := range found {
		w.t.Errorf("%s: %s scrolls by less than four pixels", name, element)
	}
}

// cutOff holds that selects show their longest option whole. How long the types of
// events are is not for the page to choose.
func (w *Window) cutOff(name string) {
	w.t.Helper()
	found := Eval[[]string](w, `[...document.querySelectorAll("select:not(#type)")].filter((s) => s.checkVisibility()).filter((s) => {
		const free = s.cloneNode(true);
		free.removeAttribute("id");
		free.style.cssText = "position: absolute; width: max-content";
		s.after(free);
		const wants = free.offsetWidth;
		free.remove();
		return wants > s.offsetWidth;
	}).map((s) => s.id || s.name)`)
	for _, id := range found {
		w.t.Errorf("%s: the select %s cuts off its longest option", name, id)
	}
}

// media sets which colours the person likes.
func (w *Window) media(scheme string) {
	w.t.Helper()
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}
	if _, err := call(w, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
		w.t.Fatal(err)
	}
}

// pictures looks at the page at three widths, or at the narrowest alone when no
// pictures are wanted.
func (w *Window) pictures(name, scheme string) {
	w.t.Helper()
	wanted := os.Getenv(PicturesEnv) != ""
	if !wanted && scheme == "dark" {
		return // it is as wide as before
	}
	for _, width := range []int64{390, 1024, 1600} {
		w.do("look", chromedp.EmulateViewport(width, 900))
		if got := Eval[int64](w, "document.documentElement.scrollWidth"); got > width {
			w.t.Errorf("%s at %d pixels: got %d pixels of content", name, width, got)
		}
		if width == 390 {
			w.cutOff(name)
		}
		if !wanted {
			break
		}
		w.do("take a picture", func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
			picture, err := chromedp.FullScreenshot(100)(ctx, t)
			if err != nil {
				return chromedp.Void{}, err
			}
			dir := filepath.Join(root(w.t), pictures)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return chromedp.Void{}, err
			}
			return chromedp.Void{}, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, width, scheme)), picture, 0o644)
		})
	}
	w.do("look", chromedp.EmulateViewport(1280, 900))
}

// violation is a fault that axe-core finds.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		Target         []json.RawMessage
		FailureSummary string
	}
}

// axe fails the test for every serious or critical fault.
func (w *Window) axe(name, scheme string) {
	w.t.Helper()
	rules := "{}"
	if scheme == "dark" { // the others say the same as before
		rules = `{runOnly: {type: "rule", values: ["color-contrast", "link-in-text-block"]}}`
	}
	found := Eval[[]violation](w, `axe.run(document, {...`+rules+`, resultTypes: ["violations"], preload: false}).then((r) => r.violations)`)
	for _, v := range found {
		if v.Impact != "serious" && v.Impact != "critical" {
			continue
		}
		for _, n := range v.Nodes {
			w.t.Errorf("%s, %s: axe-core: %s: %s at %s: %s", name, scheme, v.ID, v.Help, n.Target, n.FailureSummary)
		}
	}
}
