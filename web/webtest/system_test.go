package webtest_test

import (
	"net/http"
	"testing"
)

// system looks at the page about the server, which is for administrators.
func system(t *testing.T, w *world) {
	mona := w.signedIn(t, "mona")
	mona.Follow("link", "This installation")
	mona.side().Follow("link", "System")
	mona.Want("Events that come in", "Search index", "Sealing keys", "follows the log")
	w.signedIn(t, "jane").OpenStatus("/-/instance/system", http.StatusNotFound)
}
