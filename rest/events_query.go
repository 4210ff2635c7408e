package rest

import (
	"context"
	"net/http"
	"net/url"

	"github.com/sluicelog/sluice/control"
)

// eventPage is a page with the addresses of its neighbours.
type eventPage struct {
	control.FoundEvents
	links []string
}

// header adds what goes into the head of the answer: see RFC 8288.
func (p eventPage) header(h http.Header) {
	for _, l := range p.links {
		h.Add("Link", l)
	}
}

func (a *API) findEvents(ctx context.Context, c *call) (answer, error) {
	q, err := c.query("namespace", "phrase", "class", "order", "limit", "after", "before")
	if err != nil {
		return answer{}, err
	}
	in := control.EventQuery{
		Namespace: q.Get("namespace"), Phrase: q.Get("phrase"), Class: q.Get("class"), Order: q.Get("order"), Limit: number(q, "limit"),
		After: q.Get("after"), Before: q.Get("before"),
	}
	out, err := a.service.Events(ctx, c.by, in)
	if err != nil {
		return answer{}, err
	}
	back := in.Before != ""
	page := eventPage{FoundEvents: out}
	if out.More || back {
		page.links = append(page.links, neighbour(q, "after", out.Next, "next"))
	}
	if out.More && back || in.After != "" {
		page.links = append(page.links, neighbour(q, "before", out.Previous, "prev"))
	}
	return ok(page)
}

// neighbour returns the link to the same query at another cursor.
func neighbour(q url.Values, name, cursor, rel string) string {
	to := url.Values{name: {cursor}}
	for name, values := range q {
		if name != "after" && name != "before" {
			to[name] = values
		}
	}
	return "</api/v1/events?" + to.Encode() + `>; rel="` + rel + `"`
}

func (a *API) countEvents(ctx context.Context, c *call) (answer, error) {
	q, err := c.query("namespace", "phrase", "class", "by")
	if err != nil {
		return answer{}, err
	}
	out, err := a.service.CountEvents(ctx, c.by, control.EventCountQuery{
		Namespace: q.Get("namespace"), Phrase: q.Get("phrase"), Class: q.Get("class"), By: q.Get("by")})
	return answer{http.StatusOK, out}, err
}

func (a *API) indexStatus(ctx context.Context, c *call) (answer, error) {
	if _, err := c.query(); err != nil {
		return answer{}, err
	}
	out, err := a.service.IndexStatus(ctx, c.by)
	return answer{http.StatusOK, map[string]any{"partitions": out}}, err
}

// indexMetrics tells how far the search index is.
func (a *API) indexMetrics(ctx context.Context, m *exposition) {
	figures := a.service.Indexes(ctx)
	for _, f := range []struct {
		name, kind, help string
		value            func(*control.IndexFigures) float64
	}{
		{"sluice_index_lag_events", "gauge", "Events that cannot be found yet.", func(f *control.IndexFigures) float64 { return float64(f.LagEvents) }},
		{"sluice_index_lag_seconds", "gauge", "Age of the oldest event that cannot be found yet.", func(f *control.IndexFigures) float64 { return f.LagSeconds }},
		{"sluice_index_events", "gauge", "Events in the search index.", func(f *control.IndexFigures) float64 { return float64(f.Events) }},
		{"sluice_index_chunks", "gauge", "Sealed chunks of the search index.", func(f *control.IndexFigures) float64 { return float64(f.Chunks) }},
		{"sluice_index_bytes", "gauge", "Bytes that the search index occupies.", func(f *control.IndexFigures) float64 { return float64(f.Bytes) }},
		{"sluice_index_seq", "gauge", "Number of the newest event that is found.", func(f *control.IndexFigures) float64 { return float64(f.IndexedSeq) }},
		{"sluice_index_built_seq", "gauge", "How far an index is that is made anew, 0 when none is.", func(f *control.IndexFigures) float64 { return float64(f.BuiltSeq) }},
		{"sluice_index_rebuilding", "gauge", "1 while the index is made anew.", func(f *control.IndexFigures) float64 { return truth(f.Reason != "") }},
		{"sluice_index_waiting", "gauge", "1 while indexing waits because something failed.", func(f *control.IndexFigures) float64 { return truth(f.Problem != "") }},
		{"sluice_index_unread_events_total", "counter", "Events that were found and that the log lacks without a recorded cause, since the start.", func(f *control.IndexFigures) float64 { return float64(f.Unread) }},
	} {
		if len(figures) == 0 {
			return
		}
		m.family(f.name, f.kind, f.help)
		for i := range figures {
			m.sample(f.name, f.value(&figures[i]), "partition", figures[i].Partition)
		}
	}
}
