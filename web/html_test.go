package web_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// checkHTML reports what pages of Sluice owe beyond valid HTML, which
// [TestMain] judges: no scripts and styles in the page, forms and links that stay
// here, passwords that are not sent back, one heading and one main part.
func checkHTML(t *testing.T, what, text string) {
	t.Helper()
	for _, problem := range checkTree(text) {
		t.Errorf("%s: %s", what, problem)
	}
}

// tree is a parsed page.
type tree struct {
	ids      map[string]bool
	count    map[string]int // of elements
	problems []string
}

func (d *tree) problem(format string, args ...any) {
	d.problems = append(d.problems, fmt.Sprintf(format, args...))
}

func checkTree(text string) []string {
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		return []string{err.Error()}
	}
	d := &tree{ids: map[string]bool{}, count: map[string]int{}}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			d.ids[attr(n, "id")] = true
			if n.Namespace == "" { // pictures have titles, too
				d.count[n.Data]++
			}
		}
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			d.check(n)
		}
	}
	for _, name := range []string{"h1", "title", "main", "header"} {
		if d.count[name] != 1 {
			d.problem("%d elements <%s>, want one", d.count[name], name)
		}
	}
	return d.problems
}

func (d *tree) check(n *html.Node) {
	for _, a := range n.Attr {
		if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
			d.problem("<%s> has an attribute %s", n.Data, a.Key)
		}
		if target, ok := strings.CutPrefix(a.Val, "#"); ok && a.Key == "href" && !d.ids[target] {
			d.problem("<%s> leads to %q, which is not there", n.Data, a.Val)
		}
		if a.Key == "data-copy" && !d.ids[a.Val] {
			d.problem("<%s> copies %q, which is not there", n.Data, a.Val)
		}
	}
	switch n.Data {
	case "style":
		d.problem("there are styles in the page")
	case "script":
		if attr(n, "src") == "" || n.FirstChild != nil {
			d.problem("there is a script in the page")
		}
	case "summary", "legend", "label":
		if strings.TrimSpace(textOf(n)) == "" {
			d.problem("<%s> has no text", n.Data)
		}
	case "input":
		if attr(n, "type") == "password" && (attr(n, "value") != "" || attr(n, "autocomplete") == "") {
			d.problem("the field %q has a value, or no word for stores of passwords", attr(n, "name"))
		}
	case "form":
		if attr(n, "action") == "" || attr(n, "method") == "" {
			d.problem("a form does not say where it is sent, and how")
		}
	}
	for _, name := range []string{"href", "src", "action"} {
		if has(n, name) && !local.MatchString(attr(n, name)) {
			d.problem("<%s> leads to %q", n.Data, attr(n, name))
		}
	}
}

// local are the addresses that pages may lead to.
var local = regexp.MustCompile(`^(/-/[^/]?.*|/api/v1/events(/export)?(\?.*)?|#[a-z0-9_-]+)$`)

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return b.String()
}

// pageOf returns a page that is right but for its body.
func pageOf(body string) string {
	return `<!doctype html><html lang="en"><head><title>x</title></head><body><header>x</header><main><h1>x</h1>` + body + `</main></body></html>`
}

// The checker finds what it is for.
func TestCheckHTML(t *testing.T) {
	if problems := checkTree(pageOf("")); len(problems) != 0 {
		t.Fatalf("got %q, want nothing", problems)
	}
	for _, c := range []struct{ body, want string }{
		{`<b style="color:red">x</b>`, "attribute style"}, {`<b onclick="x()">x</b>`, "attribute onclick"}, {`<button data-copy="y">x</button>`, "not there"},
		{`<script>x()</script>`, "script in the page"}, {`<style>b{}</style>`, "styles"}, {`<a href="https://evil.example">x</a>`, "leads to"},
		{`<a href="//evil.example">x</a>`, "leads to"}, {`<form method="post"></form>`, "where it is sent"}, {`<a href="#gone">x</a>`, "not there"}, {`<h1>y</h1>`, "2 elements <h1>"},
		{`<details><summary></summary></details>`, "no text"}, {`<input type="password" autocomplete="off" value="s">`, "has a value"},
	} {
		if problems := strings.Join(checkTree(pageOf(c.body)), "; "); !strings.Contains(problems, c.want) {
			t.Errorf("%s: got %q, want %q", c.body, problems, c.want)
		}
	}
}
