package webtest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/web/webtest"
)

// record takes the failures of a test that is meant to fail.
type record struct {
	testing.TB
	failures []string
}

func (r *record) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

// What is wrong with a page is found.
func TestJudge(t *testing.T) {
	const secret = "the secret of this page"
	t.Setenv(webtest.PicturesEnv, "") // it is no page of ours
	site := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/-/bad" {
			http.NotFound(rw, r)
			return
		}
		rw.Header().Set("Content-Type", "text/html")
		rw.Header().Set("Content-Security-Policy", "script-src 'self'")
		_, _ = rw.Write([]byte(`<!doctype html><html lang="en"><head><title>Bad</title><meta name="color-scheme" content="light dark"><link rel="icon" href="data:,"></head><body><main><h1>Bad</h1>
<p data-x="` + secret + `">Text</p><input name="unlabelled"><img src="/-/missing.png" alt=""><script>inline()</script>
<p style="background:#000;color:#111">Unreadable</p><div style="width:3000px">Wide</div><nav class="hair" style="height:20px;overflow:auto"><p style="height:21px;margin:0">Hair</p></nav><select id="narrow" aria-label="Narrow" style="width:5em"><option>Longer than that by far</option></select></main></body></html>`)) // a test's page
	}))
	defer site.Close()
	chrome := webtest.Start(t)
	r := &record{TB: t}
	w := chrome.Window(r, webtest.Config{URL: site.URL, Secrets: func() []string { return []string{secret} }})
	w.Open("/-/bad")
	got := strings.Join(append(r.failures, w.Problems()...), "\n")
	for _, want := range []string{
		"holds the secret", "bad, light: axe-core: label:", "bad, light: axe-core: color-contrast:", "bad, dark: axe-core: color-contrast:",
		"bad at 390 pixels: got 30", "bad: nav.hair scrolls", "bad: the select narrow cuts off", "missing.png: status 404", "Content Security Policy",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got no %q in %s", want, got)
		}
	}
}
