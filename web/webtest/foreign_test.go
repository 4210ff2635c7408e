package webtest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// anotherSite posts forms to the server from a page that is not its own, which a
// person who is signed in visits. Nothing is changed.
func anotherSite(t *testing.T, w *world) {
	var made struct{ ID int64 }
	e := newEndpoint(t)
	w.call("POST", "/api/v1/streams", map[string]any{"namespace": "acme", "kind": "http", "name": "dear", "config": map[string]any{"url": e.URL}}, &made)
	stream := fmt.Sprintf("/-/groups/acme/log-streaming/%d", made.ID)
	paths := []string{
		"/-/account/tokens", "/-/account/password", "/-/sign_out", "/-/groups/acme/members", "/-/groups/acme/tokens", "/-/groups/acme/log-streaming/new?kind=http",
		stream, stream + "/pause", stream + "/resume", stream + "/delete",
	}
	var forms string
	for i, path := range paths {
		forms += fmt.Sprintf(`<form method="post" action="%s%s"><input name="name" value="x"><button>Win %d</button></form>`, w.url, path, i)
	}
	evil := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		_, _ = rw.Write([]byte(`<!doctype html><html lang="en"><title>x</title><link rel="icon" href="data:,"><h1>You win</h1>` + forms)) // a test's page
	}))
	defer evil.Close()
	p := w.signedIn(t, "jane")
	for i := range paths {
		p.OpenStatus(evil.URL, http.StatusOK)
		p.FollowStatus("button", fmt.Sprintf("Win %d", i), http.StatusForbidden)
		p.Want("page of another site")
	}
	p.Open("/-/account/tokens")
	p.Want("You have no tokens.")
	p.Open("/-/groups/acme/log-streaming")
	p.In("summary", "dear").Want("Active")
	w.call("DELETE", fmt.Sprintf("/api/v1/streams/%d", made.ID), nil, nil)
}
