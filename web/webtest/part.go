package webtest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Part is a page, or an element of one in which things are looked for.
type Part struct {
	w    *Window
	node cdp.BackendNodeID // 0 is the page that is shown
}

// found is an element as assistive technology sees it.
type found struct {
	role, name string
	checked    bool
	id         cdp.BackendNodeID
}

// Roles that have several names in the browser.
func (n found) is(role string) bool {
	switch role {
	case "field":
		return slices.Contains([]string{"textbox", "searchbox", "spinbutton", "combobox", "Date", "DateTime"}, n.role)
	case "summary":
		return strings.HasPrefix(n.role, "DisclosureTriangle")
	}
	return n.role == role
}

// root returns the element in which things are looked for.
func (p *Part) root() (cdp.BackendNodeID, error) {
	if p.node != 0 {
		return p.node, nil
	}
	out, err := call(p.w, dom.GetDocument, dom.GetDocumentParams{})
	if err != nil {
		return 0, err
	}
	return out.Root.BackendNodeID, nil
}

// all returns what assistive technology sees of the part.
func (p *Part) all() ([]found, error) {
	root, err := p.root()
	if err != nil {
		return nil, err
	}
	out, err := call(p.w, accessibility.QueryAXTree, accessibility.QueryAXTreeParams{BackendNodeID: root})
	if err != nil {
		return nil, err
	}
	var list []found
	for _, n := range out.Nodes {
		if n.Ignored {
			continue
		}
		f := found{role: text(n.Role), name: strings.Join(strings.Fields(text(n.Name)), " "), id: n.BackendDOMNodeID}
		for _, property := range n.Properties {
			if property.Name == accessibility.PropertyNameChecked {
				f.checked = text(property.Value) == "true"
			}
		}
		list = append(list, f)
	}
	return list, nil
}

func text(v *accessibility.Value) string {
	var s string
	if v == nil || json.Unmarshal(v.Value, &s) != nil {
		return ""
	}
	return s
}

// find returns the one element with the role and name. A name may go on after what
// is looked for, when no other is the same: "Delete" finds "Delete X-Team".
func (p *Part) find(role, name string) (found, error) {
	list, err := p.all()
	if err != nil {
		return found{}, err
	}
	var same, longer []found
	var others []string
	for _, n := range list {
		if !n.is(role) {
			continue
		}
		rest, begins := strings.CutPrefix(n.name, name)
		next, _ := utf8.DecodeRuneInString(rest)
		switch {
		case n.name == name:
			same = append(same, n)
		case begins && strings.ContainsRune(" ,:?", next):
			longer = append(longer, n)
		default:
			others = append(others, n.name)
		}
	}
	if len(same) == 0 {
		same = longer
	}
	if len(same) != 1 {
		return found{}, fmt.Errorf("got %d of role %s with the name %q, want one; others are %q", len(same), role, name, others)
	}
	return same[0], nil
}

// must is find that waits.
func (p *Part) must(role, name string) found {
	p.w.t.Helper()
	var n found
	p.w.until(fmt.Sprintf("one %s %q", role, name), func() (ok bool, got string) {
		var err error
		if n, err = p.find(role, name); err != nil {
			return false, err.Error()
		}
		return true, ""
	})
	return n
}

// until waits for a condition, which tells what there is instead.
func (w *Window) until(what string, done func() (bool, string)) {
	w.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	end := time.After(Patience)
	for {
		ok, got := done()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			w.t.Fatalf("%s: waited %s for %s, got %s", w.Path(), Patience, what, got)
		}
	}
}

// Has reports whether the part has exactly one element of a role with a name now.
func (p *Part) Has(role, name string) bool {
	_, err := p.find(role, name)
	return err == nil
}

// Names returns the names of the elements of a role.
func (p *Part) Names(role string) []string {
	p.w.t.Helper()
	list, err := p.all()
	if err != nil {
		p.w.t.Fatal(err)
	}
	var names []string
	for _, n := range list {
		if n.is(role) {
			names = append(names, n.name)
		}
	}
	return names
}

// In returns the smallest element that a CSS selector selects and that shows a
// text, or has a field with it as its value.
func (p *Part) In(selector, holding string) *Part {
	p.w.t.Helper()
	const look = `function(selector, holding) {
		const root = this.body ?? this;
		const has = (e) => e.innerText.includes(holding ?? "") || [...e.querySelectorAll("input, textarea")].some((f) => f.value === holding);
		return [...root.querySelectorAll(selector)].filter(has).at(-1) ?? null;
	}`
	inner := &Part{w: p.w}
	p.w.until(fmt.Sprintf("%s with %q", selector, holding), func() (bool, string) {
		object, err := p.apply(look, false, selector, holding)
		if err != nil || object.ObjectID == "" {
			return false, cmp.Or(p.Text(), fmt.Sprint(err))
		}
		out, err := call(p.w, dom.DescribeNode, dom.DescribeNodeParams{ObjectID: object.ObjectID})
		if err != nil {
			return false, err.Error()
		}
		inner.node = out.Node.BackendNodeID
		return true, ""
	})
	return inner
}

// apply calls a function of JavaScript on the part.
func (p *Part) apply(function string, value bool, args ...any) (*runtime.RemoteObject, error) {
	root, err := p.root()
	if err != nil {
		return nil, err
	}
	return p.w.apply(root, function, value, args...)
}

func (w *Window) apply(id cdp.BackendNodeID, function string, value bool, args ...any) (*runtime.RemoteObject, error) {
	object, err := call(w, dom.ResolveNode, dom.ResolveNodeParams{BackendNodeID: id})
	if err != nil {
		return nil, err
	}
	params := runtime.CallFunctionOnParams{FunctionDeclaration: function, ObjectID: object.Object.ObjectID, ReturnByValue: &value}
	for _, a := range args {
		raw, err := json.Marshal(a)
		if err != nil {
			return nil, err
		}
		params.Arguments = append(params.Arguments, &runtime.CallArgument{Value: raw})
	}
	out, err := call(w, runtime.CallFunctionOn, params)
	if err != nil {
		return nil, err
	}
	if out.ExceptionDetails != nil {
		return nil, errors.New(out.ExceptionDetails.Text)
	}
	return out.Result, nil
}

// Text returns what the part shows.
func (p *Part) Text() string {
	object, err := p.apply(`function() { return (this.body ?? this).innerText; }`, true)
	if err != nil {
		return err.Error()
	}
	var s string
	if err := json.Unmarshal(object.Value, &s); err != nil {
		return err.Error()
	}
	return s
}

// Want waits until the part shows all texts.
func (p *Part) Want(texts ...string) {
	p.w.t.Helper()
	for _, want := range texts {
		p.w.until(fmt.Sprintf("%q", want), func() (bool, string) {
			got := p.Text()
			return strings.Contains(got, want), got
		})
	}
}

// WantNot holds that the part shows none of the texts.
func (p *Part) WantNot(texts ...string) {
	p.w.t.Helper()
	shown := p.Text()
	for _, text := range texts {
		if strings.Contains(shown, text) {
			p.w.t.Errorf("%s: got %q in %s", p.w.Path(), text, shown)
		}
	}
}

// Click clicks what stays on the page.
func (p *Part) Click(role, name string) {
	p.w.t.Helper()
	p.w.do("click "+name, p.clicking(p.must(role, name)))
}

// Follow clicks what leads to a page that is there.
func (p *Part) Follow(role, name string) {
	p.w.t.Helper()
	p.FollowStatus(role, name, 200)
}

// FollowStatus clicks what leads to a page with a status.
func (p *Part) FollowStatus(role, name string, status int64) {
	p.w.t.Helper()
	p.w.load("click "+name, status, p.clicking(p.must(role, name)))
}

// clicking presses the mouse in the middle of an element, which nothing may cover.
func (p *Part) clicking(n found) chromedp.Action[chromedp.Void] {
	const reach = `function(x, y) {
		const at = document.elementFromPoint(x, y);
		return at !== null && (this.contains(at) || at.contains(this) && at.closest("label, a, button, summary") !== null);
	}`
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		if _, err := call(p.w, dom.ScrollIntoViewIfNeeded, dom.ScrollIntoViewIfNeededParams{BackendNodeID: n.id}); err != nil {
			return chromedp.Void{}, err
		}
		out, err := call(p.w, dom.GetContentQuads, dom.GetContentQuadsParams{BackendNodeID: n.id})
		if err != nil || len(out.Quads) == 0 {
			return chromedp.Void{}, cmp.Or(err, errors.New("it has no place on the page"))
		}
		q := out.Quads[0]
		x, y := (q[0]+q[4])/2, (q[1]+q[5])/2
		hit, err := p.w.apply(n.id, reach, true, x, y)
		if err != nil || string(hit.Value) != "true" {
			return chromedp.Void{}, cmp.Or(err, fmt.Errorf("%s %q is covered by something else", n.role, n.name))
		}
		return chromedp.MouseClickXY(x, y)(ctx, t)
	}
}

// Fill puts texts into fields: names and texts in turn.
func (p *Part) Fill(pairs ...string) {
	p.w.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		n := p.must("field", pairs[i])
		if _, err := p.w.apply(n.id, `function() { this.scrollIntoView({block: "center"}); this.focus(); this.select?.(); }`, true); err != nil {
			p.w.t.Fatalf("fill %s: %v", pairs[i], err)
		}
		if pairs[i+1] == "" {
			p.w.do("empty "+pairs[i], chromedp.KeyEvent(kb.Delete))
			continue
		}
		if _, err := call(p.w, input.InsertText, input.InsertTextParams{Text: pairs[i+1]}); err != nil {
			p.w.t.Fatalf("fill %s: %v", pairs[i], err)
		}
	}
}

// Value returns what is in a field.
func (p *Part) Value(name string) string {
	p.w.t.Helper()
	object, err := p.w.apply(p.must("field", name).id, `function() { return this.value; }`, true)
	if err != nil {
		p.w.t.Fatalf("read %s: %v", name, err)
	}
	var s string
	if err := json.Unmarshal(object.Value, &s); err != nil {
		p.w.t.Fatalf("read %s: %v", name, err)
	}
	return s
}

// Set ticks a box or not.
func (p *Part) Set(name string, on bool) {
	p.w.t.Helper()
	if n := p.must("checkbox", name); n.checked != on {
		p.w.do("click "+name, p.clicking(n))
	}
}

// Checked reports whether a box is ticked.
func (p *Part) Checked(name string) bool {
	p.w.t.Helper()
	return p.must("checkbox", name).checked
}

// Choose selects an option of a list by its text.
func (p *Part) Choose(name, option string) {
	p.w.t.Helper()
	const choose = `function(option) {
		const found = [...this.options].find((o) => o.text.trim() === option);
		if (!found) throw new Error("no such option");
		this.value = found.value;
		for (const type of ["input", "change"]) this.dispatchEvent(new Event(type, {bubbles: true}));
	}`
	if _, err := p.w.apply(p.must("field", name).id, choose, true, option); err != nil {
		p.w.t.Fatalf("choose %s of %s: %v", option, name, err)
	}
}

// Press sends a key to what has the focus: "Tab", "Enter", "Escape" and others as
// package kb names them.
func (w *Window) Press(key string) {
	w.t.Helper()
	w.do("press "+key, chromedp.KeyEvent(key))
}

// Enter gives a list, or a field for a time, a value as forms send it.
func (p *Part) Enter(name, value string) {
	p.w.t.Helper()
	const enter = `function(value) {
		this.value = value;
		if (this.value !== value) throw new Error("it does not take this value");
		for (const type of ["input", "change"]) this.dispatchEvent(new Event(type, {bubbles: true}));
	}`
	if _, err := p.w.apply(p.must("field", name).id, enter, true, value); err != nil {
		p.w.t.Fatalf("enter %s as %s: %v", value, name, err)
	}
}

// Open opens the part, a details element, unless it is.
func (p *Part) Open() {
	p.w.t.Helper()
	const first = `function() { return this.open; }`
	open, err := p.apply(first, true)
	if err != nil {
		p.w.t.Fatal(err)
	}
	if string(open.Value) == "true" {
		return
	}
	list, err := p.all()
	if err != nil {
		p.w.t.Fatal(err)
	}
	for _, n := range list {
		if n.is("summary") {
			p.w.do("open "+n.name, p.clicking(n))
			return
		}
	}
	p.w.t.Fatalf("open: got no summary in %s", p.Text())
}
