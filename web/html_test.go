package web_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// checkHTML reports what is wrong with a page: elements that are not closed or
// not where they may be, ids that are there twice, fields without labels,
// references to nothing, scripts and styles in the page, forms and links that
// lead away.
func checkHTML(t *testing.T, what, text string) {
	t.Helper()
	for _, problem := range append(checkTags(text), checkTree(text)...) {
		t.Errorf("%s: %s", what, problem)
	}
}

var (
	void   = strings.Fields("area base br col embed hr img input link meta source track wbr")
	blocks = strings.Fields("address article aside blockquote details dialog div dl fieldset figure footer form h1 h2 h3 h4 h5 h6 header hr main nav ol p pre section table ul")
)

// checkTags holds that elements are closed in order: parsers repair what is not.
func checkTags(text string) (problems []string) {
	var open []string
	z := html.NewTokenizer(strings.NewReader(text))
	for {
		switch z.Next() {
		case html.ErrorToken:
			if len(open) > 0 {
				problems = append(problems, fmt.Sprintf("not closed: %v", open))
			}
			return problems
		case html.StartTagToken:
			name := z.Token().Data
			if slices.Contains(blocks, name) && slices.Contains(open, "p") {
				problems = append(problems, fmt.Sprintf("<%s> within <p>", name))
			}
			if !slices.Contains(void, name) {
				open = append(open, name)
			}
		case html.EndTagToken:
			name := z.Token().Data
			if len(open) == 0 || open[len(open)-1] != name {
				return append(problems, fmt.Sprintf("</%s> closes none of %v", name, open))
			}
			open = open[:len(open)-1]
		}
	}
}

// tree is a parsed page.
type tree struct {
	ids      map[string]bool
	labelled map[string]bool // ids that labels are for
	count    map[string]int  // of elements
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
	d := &tree{ids: map[string]bool{}, labelled: map[string]bool{}, count: map[string]int{}}
	if !strings.HasPrefix(text, "<!doctype html>") {
		d.problem("the document type is missing")
	}
	for n := range root.Descendants() {
		d.collect(n)
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

func (d *tree) collect(n *html.Node) {
	if n.Type != html.ElementNode {
		return
	}
	if n.Namespace == "" { // pictures have titles, too
		d.count[n.Data]++
	}
	if id := attr(n, "id"); id != "" {
		if d.ids[id] {
			d.problem("the id %q is there twice", id)
		}
		d.ids[id] = true
	}
	if n.Data == "label" {
		d.labelled[attr(n, "for")] = true
	}
}

func (d *tree) check(n *html.Node) {
	for _, a := range n.Attr {
		switch {
		case a.Key == "style" || strings.HasPrefix(a.Key, "on"):
			d.problem("<%s> has an attribute %s", n.Data, a.Key)
		case slices.Contains([]string{"aria-labelledby", "aria-describedby", "aria-controls", "for", "data-copy"}, a.Key):
			for id := range strings.FieldsSeq(a.Val) {
				if !d.ids[id] {
					d.problem("%s of <%s> names %q, which is not there", a.Key, n.Data, id)
				}
			}
		}
	}
	switch n.Data {
	case "style":
		d.problem("there are styles in the page")
	case "script":
		if attr(n, "src") == "" || n.FirstChild != nil {
			d.problem("there is a script in the page")
		}
	case "html":
		if attr(n, "lang") == "" {
			d.problem("the language is missing")
		}
	case "title", "h1", "h2", "a", "button", "summary", "legend", "label":
		if strings.TrimSpace(textOf(n)) == "" {
			d.problem("<%s> has no text", n.Data)
		}
	case "img":
		if !has(n, "alt") {
			d.problem("a picture has no alt")
		}
	case "input", "select", "textarea":
		d.checkField(n)
	}
	d.checkTarget(n)
}

func (d *tree) checkField(n *html.Node) {
	if attr(n, "type") == "hidden" {
		return
	}
	if !d.labelled[attr(n, "id")] && attr(n, "aria-label") == "" {
		d.problem("the field %q has no label", attr(n, "name"))
	}
	if attr(n, "type") == "password" && (attr(n, "value") != "" || attr(n, "autocomplete") == "") {
		d.problem("the field %q has a value, or no word for stores of passwords", attr(n, "name"))
	}
}

// local are the addresses that pages may lead to.
var local = regexp.MustCompile(`^(/-/[^/]?.*|/api/v1/events(/export)?(\?.*)?|#[a-z-]+)$`)

func (d *tree) checkTarget(n *html.Node) {
	for _, name := range []string{"href", "src", "action"} {
		if has(n, name) && !local.MatchString(attr(n, name)) {
			d.problem("<%s> leads to %q", n.Data, attr(n, name))
		}
	}
	if n.Data == "form" && (attr(n, "action") == "" || attr(n, "method") == "") {
		d.problem("a form does not say where it is sent, and how")
	}
	if n.Data == "button" && attr(n, "type") == "" {
		d.problem("a button has no type")
	}
}

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
		if c.Data == "img" {
			b.WriteString(attr(c, "alt"))
		}
	}
	return b.String()
}

// The checker finds what it is for.
func TestCheckHTML(t *testing.T) {
	page := func(body string) string {
		return `<!doctype html><html lang="en"><head><title>x</title></head><body><header>x</header><main><h1>x</h1>` + body + `</main></body></html>`
	}
	if problems := append(checkTags(page("")), checkTree(page(""))...); len(problems) != 0 {
		t.Fatalf("got %q, want nothing", problems)
	}
	for _, c := range []struct{ body, want string }{
		{`<div>`, "closes none"}, {`<p><div></div></p>`, "within <p>"}, {`<b id="a">x</b><i id="a">y</i>`, "twice"}, {`<input name="n">`, "no label"},
		{`<label for="x">x</label>`, "not there"}, {`<b style="color:red">x</b>`, "attribute style"}, {`<b onclick="x()">x</b>`, "attribute onclick"},
		{`<script>x()</script>`, "script in the page"}, {`<style>b{}</style>`, "styles"}, {`<a href="https://evil.example">x</a>`, "leads to"},
		{`<a href="//evil.example">x</a>`, "leads to"}, {`<form method="post"></form>`, "where it is sent"}, {`<button>x</button>`, "no type"},
		{`<img src="/-/x">`, "no alt"}, {`<a href="/-/"></a>`, "no text"}, {`<h1>y</h1>`, "2 elements <h1>"},
		{`<label for="x">x</label><input id="x" type="password" autocomplete="off" value="s">`, "has a value"},
	} {
		if problems := strings.Join(append(checkTags(page(c.body)), checkTree(page(c.body))...), "; "); !strings.Contains(problems, c.want) {
			t.Errorf("%s: got %q, want %q", c.body, problems, c.want)
		}
	}
}
