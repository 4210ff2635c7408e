package webtest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// tenants opens two browsers as owners of two enterprises. What one has is for the
// other as if it were not there, down to the last byte.
func tenants(t *testing.T, w *world) {
	e := newEndpoint(t)
	ids := map[string]int64{}
	for _, namespace := range []string{"acme", "umbra"} {
		var made struct{ ID int64 }
		w.call("POST", "/api/v1/streams", map[string]any{"namespace": namespace, "kind": "http", "name": "of " + namespace, "config": map[string]any{"url": e.URL}}, &made)
		ids[namespace] = made.ID
	}
	jane, eve := w.signedIn(t, "jane"), w.signedIn(t, "eve")
	for _, c := range []struct {
		who          *person
		own, other   string
		mine, theirs string
	}{
		{jane, "acme", "umbra", "member_created", "raccoon"},
		{eve, "umbra", "acme", "raccoon", "member_created"},
	} {
		p := c.who
		p.Open("/-/")
		p.Want(c.own)
		p.WantNot(c.other)
		p.Open("/-/?q=" + c.other)
		p.In("main", "").Want("None of yours")
		p.Open("/-/groups/" + c.own + "/audit-log")
		p.Want(c.mine)
		p.WantNot(c.theirs)
		p.Open("/-/groups/" + c.own + "/log-streaming")
		p.Want("of " + c.own)
		p.WantNot("of " + c.other)
		p.absent(c.own, c.other, ids[c.other])
	}
	for _, id := range ids {
		w.call("DELETE", fmt.Sprintf("/api/v1/streams/%d", id), nil, nil)
	}
}

// auditors look at streams and change nothing.
func auditors(t *testing.T, w *world) {
	var made struct {
		ID    int64
		Token string `json:"verification_token"`
	}
	e := newEndpoint(t)
	w.hide("value of a header")
	w.call("POST", "/api/v1/streams", map[string]any{"namespace": "acme", "kind": "http", "name": "seen", "config": map[string]any{"url": e.URL,
		"headers": []any{map[string]any{"name": "X-Key", "value": "value of a header", "active": true}}}}, &made)
	w.hide(made.Token)
	p := w.signedIn(t, "joe")
	p.logStreaming("acme")
	row := p.row("seen")
	row.Want(e.URL)
	row.WantNot(p.words.Save, p.words.PauseStream, p.words.DeleteStream, p.words.CheckEndpoint)
	if p.Has("link", p.words.ConfigureStream) {
		t.Errorf("an auditor is led to %s", p.words.ConfigureStream)
	}
	stream := fmt.Sprintf("/-/groups/acme/log-streaming/%d", made.ID)
	for _, path := range []string{"/-/groups/acme/log-streaming/new?kind=http", stream + "/pause", stream + "/delete", "/-/groups/acme/members", "/-/groups/acme/tokens"} {
		p.OpenStatus(path, http.StatusForbidden)
	}
	w.call("DELETE", fmt.Sprintf("/api/v1/streams/%d", made.ID), nil, nil)
}

// installation goes through what administrators alone see: all streams, all events,
// and how the server fares.
func installation(t *testing.T, w *world) {
	e := newEndpoint(t)
	p := w.signedIn(t, "mona")
	p.Follow("link", "This installation")
	p.Want("member_created", "member_destroyed")
	p.tabs().Follow("link", p.words.LogStreaming)
	p.Follow("link", p.words.ConfigureStream)
	p.Follow("link", p.words.HTTPEndpoint)
	p.Fill(p.words.Name, "everything", p.words.DestinationURL, e.URL)
	p.checkAndSave()
	w.arrives("umbra", "everywhere", e.count)
	p.tabs().Follow("link", p.words.LogStreaming)
	p.deleteStream("everything")
	p.side().Follow("link", "System")
	p.In("main", "").Want("System")
}

// absent holds that each address of another tenant is the page of what does not
// exist.
func (p *person) absent(own, other string, id int64) {
	p.t.Helper()
	const nobody, none = "nobody", "987654321"
	for _, end := range []string{
		"", "/audit-log", "/log-streaming", "/log-streaming/new", "/log-streaming/new?kind=http", "/log-streaming/ID", "/log-streaming/ID/pause", "/log-streaming/ID/delete",
		"/streams/ID", "/streams/ID/quarantine", "/members", "/tokens",
	} {
		theirs := strings.ReplaceAll("/-/groups/"+other+end, "ID", fmt.Sprint(id))
		p.OpenStatus(theirs, http.StatusNotFound)
		got := p.Source()
		p.OpenStatus(strings.ReplaceAll("/-/groups/"+nobody+end, "ID", none), http.StatusNotFound)
		if want := p.Source(); got != want {
			p.t.Errorf("%s: got %s, want what is shown of one that does not exist: %s", theirs, got, want)
		}
		if !strings.Contains(end, "ID") {
			continue
		}
		// The other's stream as if it were one's own.
		mixed := strings.ReplaceAll("/-/groups/"+own+end, "ID", fmt.Sprint(id))
		p.OpenStatus(mixed, http.StatusNotFound)
		got = p.Source()
		p.OpenStatus(strings.ReplaceAll("/-/groups/"+own+end, "ID", none), http.StatusNotFound)
		if want := p.Source(); got != want {
			p.t.Errorf("%s: got %s, want what is shown of one that does not exist: %s", mixed, got, want)
		}
	}
}
