package webtest

import (
	"fmt"
	"net/http"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// mostStops is how often Tab is pressed on the way to an element.
const mostStops = 100

// TabTo presses Tab until an element has the focus. On the way, each element that
// has it has to be seen, and has to show that it has it.
func (p *Part) TabTo(role, name string) {
	p.w.t.Helper()
	const focused = `function() { return document.activeElement === this; }`
	n := p.must(role, name)
	for range mostStops {
		p.w.Press(kb.Tab)
		p.w.wantFocusSeen()
		at, err := p.w.apply(n.id, focused, true)
		if err != nil {
			p.w.t.Fatalf("tab to %s: %v", name, err)
		}
		if string(at.Value) == "true" {
			return
		}
	}
	p.w.t.Fatalf("%s: Tab does not lead to %s %q", p.w.Path(), role, name)
}

// wantFocusSeen holds that the element that has the focus is in the window, and
// has an outline.
func (w *Window) wantFocusSeen() {
	w.t.Helper()
	fault := Eval[string](w, `(() => {
		const e = document.activeElement;
		if (e === document.body) return "";
		const box = e.getBoundingClientRect(), style = getComputedStyle(e), name = e.outerHTML.slice(0, 200);
		if (box.width < 2 || box.height < 2 || box.bottom <= 0 || box.right <= 0 || box.top >= innerHeight || box.left >= innerWidth) return "cannot be seen: " + name;
		return style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 1 ? "has no outline: " + name : "";
	})()`)
	if fault != "" {
		w.t.Errorf("%s: what has the focus %s", w.Path(), fault)
	}
}

// PressFollow sends a key that leads to a page that is there.
func (w *Window) PressFollow(key string) {
	w.t.Helper()
	w.load("press "+fmt.Sprintf("%q", key), http.StatusOK, chromedp.KeyEvent(key))
}
