package webtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Window shows one page at a time to one person. It is used by one goroutine. Its
// methods end the test when they cannot do what they are for.
type Window struct {
	*Part // the page as a whole

	t      testing.TB
	chrome *Chrome
	ctx    context.Context
	target *chromedp.Target
	cfg    Config

	mu       sync.Mutex // guards what follows, which the browser's events change
	problems []string
	document network.RequestID // of the page
	status   int64             // of the page
	bytes    map[network.RequestID]int64
}

// listen keeps what goes wrong in a page, and what is to be known about it. An
// answer with status 4xx is no problem when it is a page: it is one like others.
// Nor are hints to developers.
func (w *Window) listen(ev any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	problem := ""
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		problem = ev.ExceptionDetails.Text
		if e := ev.ExceptionDetails.Exception; e != nil {
			problem += ": " + e.Description
		}
	case *runtime.EventConsoleAPICalled:
		problem = "console." + string(ev.Type)
	case *log.EventEntryAdded:
		refused := ev.Entry.Source == log.EntrySourceNetwork && strings.Contains(ev.Entry.Text, "status of ")
		if !refused && ev.Entry.Level != log.EntryLevelVerbose {
			problem = fmt.Sprintf("%s: %s %s", ev.Entry.Level, ev.Entry.Text, ev.Entry.URL)
		}
	case *network.EventResponseReceived:
		switch {
		case ev.Type == network.ResourceTypeDocument:
			w.document, w.status, w.bytes = ev.RequestID, ev.Response.Status, map[network.RequestID]int64{}
		case ev.Response.Status >= 400:
			problem = fmt.Sprintf("%s: status %d", ev.Response.URL, ev.Response.Status)
		}
	case *network.EventLoadingFinished:
		if w.bytes != nil {
			w.bytes[ev.RequestID] = int64(ev.EncodedDataLength)
		}
	case *network.EventLoadingFailed: // what a page had begun ends with it
		if !ev.Canceled && ev.ErrorText != "net::ERR_ABORTED" {
			problem = fmt.Sprintf("%s was not loaded: %s%s", ev.Type, ev.ErrorText, ev.BlockedReason)
		}
	}
	if problem != "" {
		w.problems = append(w.problems, problem)
	}
}

// Problems returns what the browser complained about so far, and forgets it.
func (w *Window) Problems() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.problems
	w.problems = nil
	return out
}

// call sends a command to the browser, in time.
func call[P, R any](w *Window, command cdp.Command[P, R], params P) (R, error) {
	ctx, cancel := context.WithTimeout(w.ctx, Patience)
	defer cancel()
	return cdp.Call(ctx, w.target, command, params)
}

func (w *Window) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, Patience)
	defer cancel()
	for _, step := range steps {
		if _, err := step(ctx, w.target); err != nil {
			w.t.Fatalf("%s: %v", what, err)
		}
	}
}

// scripts has pages run their scripts or not.
func (w *Window) scripts(on bool) {
	w.t.Helper()
	if _, err := call(w, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on}); err != nil {
		w.t.Fatal(err)
	}
}

// Open goes to a page, which has to be there.
func (w *Window) Open(path string) {
	w.t.Helper()
	w.OpenStatus(path, 200)
}

// OpenStatus goes to a page that comes with a status. An address with a scheme is
// one of another server.
func (w *Window) OpenStatus(path string, status int64) {
	w.t.Helper()
	url := path
	if strings.HasPrefix(path, "/") {
		url = w.cfg.URL + path
	}
	w.load("open "+path, status, chromedp.Navigate(url))
}

// load does what leads to a page, waits for that, and judges it.
func (w *Window) load(what string, status int64, step chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, Patience)
	defer cancel()
	if _, err := chromedp.WaitEvent(page.LoadEventFired, nil, step)(ctx, w.target); err != nil {
		w.t.Fatalf("%s: %v; the page is %s: %s", what, err, w.Path(), w.Text())
	}
	if got := w.Status(); got != status {
		w.t.Fatalf("%s: got status %d at %s, want %d: %q in %s", what, got, w.Path(), status, w.faults(), w.Text())
	}
	w.judge()
}

// faults returns what the page complains about.
func (w *Window) faults() []string {
	w.t.Helper()
	return Eval[[]string](w, `[...document.querySelectorAll(".problem, .field-problem, .problem-cell")].map((e) => e.innerText)`)
}

// Status returns the status that the page came with.
func (w *Window) Status() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}

// Path returns the path and query of the page.
func (w *Window) Path() string {
	w.t.Helper()
	return Eval[string](w, "location.pathname + location.search")
}

// WantPath holds that the page is at a path.
func (w *Window) WantPath(path string) {
	w.t.Helper()
	w.until("the page "+path, func() (bool, string) {
		got := w.Path()
		return got == path, got
	})
}

// Source returns the answer that the page was made from.
func (w *Window) Source() string {
	w.t.Helper()
	w.mu.Lock()
	id := w.document
	w.mu.Unlock()
	out, err := call(w, network.GetResponseBody, network.GetResponseBodyParams{RequestID: id})
	if err != nil {
		w.t.Fatalf("%s: read the source: %v", w.Path(), err)
	}
	return string(out.Body)
}

// live returns the page as it is now, after its scripts.
func (w *Window) live() string {
	w.t.Helper()
	root, err := call(w, dom.GetDocument, dom.GetDocumentParams{})
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := call(w, dom.GetOuterHTML, dom.GetOuterHTMLParams{BackendNodeID: root.Root.BackendNodeID})
	if err != nil {
		w.t.Fatal(err)
	}
	return out.OuterHTML
}

// Cookies returns the values of the window's cookies.
func (w *Window) Cookies() []string {
	w.t.Helper()
	out, err := call(w, network.GetCookies, network.GetCookiesParams{URLs: []string{w.cfg.URL}})
	if err != nil {
		w.t.Fatal(err)
	}
	var values []string
	for _, c := range out.Cookies {
		values = append(values, c.Value)
	}
	return slices.Compact(values)
}

// Eval returns the value of an expression in the page, also without scripts. A
// promise is waited for.
func Eval[T any](w *Window, expression string) T {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, Patience)
	defer cancel()
	out, err := chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise)(ctx, w.target)
	if err != nil {
		w.t.Fatalf("%.200s: %v", expression, err)
	}
	return out
}
