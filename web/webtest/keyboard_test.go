package webtest_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// keyboard changes a stream without a pointer: its row, its headers, a filter, and
// the menu. What has the focus is seen all the way.
func keyboard(t *testing.T, w *world) {
	e := newEndpoint(t)
	var made struct{ ID int64 }
	w.call("POST", "/api/v1/streams", map[string]any{"namespace": "initech", "kind": "http", "name": "keys", "config": map[string]any{"url": e.URL}}, &made)
	p := w.signedIn(t, "jane")
	p.Open("/-/groups/initech/log-streaming")
	p.Press(kb.Tab)
	p.Want("Skip to content")
	p.Press(kb.Enter) // past the frame
	p.TabTo("summary", "keys")
	for _, open := range []bool{false, true} { // the only stream is open at first
		p.Press(kb.Enter)
		p.until("the row to open or close", func() bool { return p.Has("button", p.words.AddHeader) == open })
	}
	p.TabTo("button", p.words.AddHeader)
	p.PressFollow(kb.Enter)
	p.typing("X-Keys") // the new row's name has the focus
	p.TabTo("field", "Value of header 1")
	p.typing("typed")
	p.TabTo("checkbox", p.words.Active+", header 1")
	p.Press(" ")
	if p.Checked(p.words.Active + ", header 1") {
		t.Error("the box of the header: got that it is ticked still")
	}
	p.TabTo("button", "Delete header 1")
	p.PressFollow(kb.Enter)
	if p.Has("field", "Name of header 1") {
		t.Error("the row of the header: got that it is there still")
	}
	p.TabTo("summary", p.words.FilterByType)
	p.Press(kb.Enter)
	p.TabTo("checkbox", "member.create")
	p.Press(" ")
	p.TabTo("button", p.words.Save)
	p.PressFollow(kb.Enter)
	p.In("summary", "keys").Want(p.words.Filtered)

	p.TabTo("summary", "jane")
	p.Press(kb.Enter)
	p.TabTo("link", "Change password")
	p.PressFollow(kb.Enter)
	p.WantPath("/-/account/password")
	w.call("DELETE", fmt.Sprintf("/api/v1/streams/%d", made.ID), nil, nil)
}

// typing presses the keys of a text.
func (p *person) typing(text string) {
	p.t.Helper()
	for _, key := range text {
		p.Press(string(key))
	}
}
