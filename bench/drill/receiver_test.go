package drill_test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/bench/drill"
)

// TestOrderIsJudged sends batches in many orders.
func TestOrderIsJudged(t *testing.T) {
	const bad = "came first after"
	for _, c := range []struct {
		name    string
		batches [][]int
		refuse  int // an event that is refused; -1 for none
		loose   bool
		wrong   bool
	}{
		{"in order", [][]int{{0, 1, 2}, {3}, {4, 5}, {7}}, -1, false, false},
		{"classes overtake each other", [][]int{{3, 7}, {0, 1, 2}}, -1, false, false},
		{"again", [][]int{{0, 1, 2}, {0, 1, 2, 4}}, -1, false, false},
		{"swapped in a batch", [][]int{{0, 2, 1}}, -1, false, true},
		{"a batch late", [][]int{{0, 1}, {4, 5}, {2}}, -1, false, true},
		{"a Git event late", [][]int{{7}, {3}}, -1, false, true},
		{"a Git event late, with a filter that changes", [][]int{{7}, {3}}, -1, true, false},
		{"one alone after a refusal", [][]int{{0, 1}, {2}, {0}, {4, 5}}, 1, false, false},
		{"many after a refusal", [][]int{{0, 1}, {4, 5}, {0, 2}}, 1, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := drill.NewReceiver(t, "order")
			if c.loose {
				r.Loosen()
			}
			if c.refuse >= 0 {
				r.Refuse(c.refuse)
			}
			for _, batch := range c.batches {
				send(t, r, batch)
			}
			if got := slices.ContainsFunc(r.Wrong(), func(w string) bool { return strings.Contains(w, bad) }); got != c.wrong {
				t.Errorf("found out: got %v, want %v: %q", got, c.wrong, r.Wrong())
			}
		})
	}
}

func send(t *testing.T, r *drill.Receiver, batch []int) {
	t.Helper()
	var body []byte
	for _, n := range batch {
		body = append(append(body, drill.Event(n)...), '\n')
	}
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.URL(), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
}
