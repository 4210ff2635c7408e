package scenario

import (
	"testing"

	"github.com/sluicelog/sluice/bench/load"
	"github.com/sluicelog/sluice/bench/report"
	"github.com/sluicelog/sluice/bench/sink"
)

func TestScenariosAreWhole(t *testing.T) {
	names := map[string]bool{}
	for _, s := range All() {
		if names[s.Name] {
			t.Errorf("scenario %q: comes twice", s.Name)
		}
		names[s.Name] = true
		for _, v := range []*Variant{s.Base, s.Test} {
			if v == nil || v.Destinations == nil {
				continue
			}
			list, err := v.Destinations("127.0.0.1:1")
			if err != nil || len(list) == 0 {
				t.Errorf("%s, %s: got %d destinations, %v, want some", s.Name, v.Name, len(list), err)
			}
		}
		var base *report.Result
		if s.Base != nil {
			base = &report.Result{Acked: 1, Delivered: 1, CPU: 1, E2EP50: 1, E2EP99: 1}
		}
		for _, m := range s.Measures {
			if m.Value(base, &report.Result{}) != 0 {
				t.Errorf("%s, %s: a test without results is not judged as such", s.Name, m.Name)
			}
		}
	}
}

// TestLostCountsOnlyWhatWasAcknowledged has a path that misses an acknowledged
// event and two that were never answered, and a path that got nothing.
func TestLostCountsOnlyWhatWasAcknowledged(t *testing.T) {
	s := &session{next: 10, paths: []string{"/a"}, unknown: []load.Range{{From: 2, To: 4}, {From: 8, To: 10}}}
	stats := sink.Stats{Paths: map[string]sink.PathStats{"/a": {Missing: 3, MissingRanges: []sink.Range{{From: 3, To: 5}, {From: 9, To: 10}}}}}
	if got, want := s.lost(stats), uint64(1); got != want {
		t.Errorf("lost: got %d, want %d", got, want)
	}
	s.paths = append(s.paths, "/b")
	if got, want := s.lost(stats), uint64(11); got != want {
		t.Errorf("lost with an empty path: got %d, want %d", got, want)
	}
}
