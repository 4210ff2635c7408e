package client

import "testing"

func TestFindEvents(t *testing.T) {
	c, last := answering(t, 200, nil, `{"events":[{"event":{"id":"a"},"partition":"git","seq":7,"accepted_at":"2026-03-01T00:00:00Z","source":"t1"}],"next":"n","previous":"p","more":true}`)
	page, err := c.FindEvents(t.Context(), EventQuery{Namespace: "acme", Phrase: "actor:mona x", Oldest: true, Limit: 9, After: "k"})
	if err != nil || len(page.Events) != 1 || string(page.Events[0].Event) != `{"id":"a"}` || page.Events[0].Seq != 7 || page.Next != "n" || !page.More {
		t.Errorf("got %+v, %v", page, err)
	}
	r, _ := last()
	if got, want := r.URL.RequestURI(), "/base/api/v1/events?after=k&limit=9&namespace=acme&order=asc&phrase=actor%3Amona+x"; got != want {
		t.Errorf("got request %s, want %s", got, want)
	}
	if _, err := c.FindEvents(t.Context(), EventQuery{}); err != nil {
		t.Error(err)
	}
	if r, _ := last(); r.URL.RawQuery != "" {
		t.Errorf("got query %s, want none", r.URL.RawQuery)
	}
}
