package webtest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// history looks at what became of a stream's events: deliveries, events that the
// destination refused, and a replay of them all.
func history(t *testing.T, w *world) {
	e := newEndpoint(t)
	e.refuse("poison")
	var made struct{ ID int64 }
	w.call("POST", "/api/v1/streams", map[string]any{"namespace": "acme", "kind": "http", "name": "picky", "config": map[string]any{"url": e.URL, "concurrency": 1}}, &made)
	event := func(id, eventType string) string {
		return fmt.Sprintf(`{"id":%q,"event_type":%q,"entity_path":"acme/web","author_name":"jane"}`, id, eventType)
	}
	w.post(event("h1", "good"), event("h2", "poison"), event("h3", "good"), event("h4", "poison"), event("h5", "good"))
	p := w.signedIn(t, "jane")
	p.logStreaming("acme")
	p.row("picky").Follow("link", "History, quarantine and replay")
	page := p.Path()
	p.until("two events in quarantine", func() bool {
		p.Open(page)
		return strings.Contains(p.Text(), "refused 2 of the events")
	})
	p.In("section", "Recent deliveries").Want("422")
	p.Look("stream-history")

	p.Follow("link", "See the events in quarantine")
	p.Want("poison")
	p.FollowStatus("button", "Redeliver chosen", http.StatusUnprocessableEntity) // none is chosen
	e.refuse("")
	p.Set("Choose event 1", true)
	p.Follow("button", "Redeliver chosen")
	p.until("the event that is redelivered", func() bool { return strings.Count(strings.Join(e.types(), " "), "poison") == 1 })
	p.until("one event in quarantine", func() bool {
		p.Open(page + "/quarantine")
		return strings.Contains(p.Text(), "1 to 1 of 1")
	})
	p.Follow("button", "Drop all 1")
	p.Follow("button", "Drop") // to confirm
	p.until("an empty quarantine", func() bool {
		p.Open(page + "/quarantine")
		return strings.Contains(p.Text(), "No event waits in quarantine.")
	})
	p.replays(page, e)
	p.logStreaming("acme")
	p.deleteStream("Replay of picky")
	p.deleteStream("picky")
}

// replays sends everything once more, with a stream of its own.
func (p *person) replays(page string, e *endpoint) {
	p.t.Helper()
	p.Open(page)
	p.Follow("link", "Replay")
	p.Enter("End", time.Now().Add(2*time.Minute).UTC().Format("2006-01-02T15:04")) // whole minutes: what was just sent included
	p.Follow("button", "Count the events")
	p.Want("events would be sent")
	before := strings.Count(strings.Join(e.types(), " "), "good")
	p.Fill("Name of the new stream", "Replay of picky")
	p.Follow("button", "Start the replay")
	until(p.t, "the events to arrive again", func() bool { return strings.Count(strings.Join(e.types(), " "), "good") >= before+3 })
}
