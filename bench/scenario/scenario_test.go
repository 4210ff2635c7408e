package scenario

import (
	"slices"
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

// TestEachTargetHasAScenario names, for each row of the table of what is to be
// reached, the scenarios and the measures that judge it.
func TestEachTargetHasAScenario(t *testing.T) {
	for _, row := range [][]string{ // scenario, measures
		{"flat100-d1", "acked / floor", "delivered / floor", "drain s", "max rss MiB", "cpu s for a million"},
		{"flat100-noindex", "acked / floor", "delivered / floor", "drain s", "max rss MiB", "cpu s for a million", "cpu / floor"},
		{"flat1-c16", "acked / floor", "delivered / floor", "drain s", "max rss MiB"},
		{"flat1-c256", "acked / floor", "delivered / floor", "drain s", "max rss MiB"},
		{"steady", "e2e p50 ms", "e2e p99 / (10 ms or 1.5 floor)"},
		{"flat100-d20", "acked per second", "delivered / floor", "drain s"},
		{"tenants-five", "acked / one stream", "delivered / one stream", "drain s", "max rss MiB"},
		{"tenants-zipf", "acked / one stream", "delivered / one stream", "drain s", "max rss MiB"},
		{"paused", "acked / without paused streams", "delivered / without paused streams", "drain s", "max rss MiB", "acked while catching up / before"},
		{"backlog", "acked while the backlog is delivered / before", "max rss MiB"},
		{"dead-slow", "healthy e2e p50 / all healthy", "healthy e2e p99 / all healthy"},
		{"restart", readyAfter, ackAfter, deliverAfter},
		{"disk", diskRatio},
		{"disk-zstd", diskRatio},
		{"flat100-index", "acked / without the index", "cpu s for a million"},
		{"index", indexRate},
		{"soak", "rss MiB, growth in the second half, %", "goroutines, growth in the second half, %", "open files, growth in the second half, %"},
	} {
		sc, ok := Find(row[0])
		if !ok {
			t.Errorf("scenario %s: there is none", row[0])
			continue
		}
		for _, name := range row[1:] {
			if !slices.ContainsFunc(sc.Measures, func(m report.Measure) bool { return m.Name == name && m.Reached != nil }) {
				t.Errorf("scenario %s: %s has no target", row[0], name)
			}
		}
	}
	if _, ok := Find("nothing"); ok {
		t.Error("found a scenario that does not exist")
	}
}

// TestIndexIsAwaited judges a load whose index follows too late.
func TestIndexIsAwaited(t *testing.T) {
	sc, _ := Find("steady")
	r := report.Result{Acked: 1, Delivered: 1, Extra: map[string]float64{indexBehind: 11}}
	out := report.Scenario{Rounds: []report.Round{{Base: &r, Test: &r}}}
	sc.Judge(&out)
	i := slices.IndexFunc(out.Outcomes, func(o report.Outcome) bool { return o.Name == indexBehind })
	if i < 0 || out.Outcomes[i].Reached {
		t.Errorf("outcomes: got %v, want one that says that the index was late", out.Outcomes)
	}
}

// TestKeptRoundsAreNotMadeAgain asks for as many rounds as are kept.
func TestKeptRoundsAreNotMadeAgain(t *testing.T) {
	sc, _ := Find("flat100-d1")
	r := report.Result{Acked: 1, Delivered: 1}
	out := report.Scenario{Rounds: []report.Round{{Base: &r, Test: &r}, {Base: &r, Test: &r}}}
	err := Run(t.Context(), &Env{}, &sc, &out, 2, "", func() error { t.Error("something is saved"); return nil })
	if err != nil || len(out.Rounds) != 2 {
		t.Errorf("run: got %d rounds, %v, want the two that are kept", len(out.Rounds), err)
	}
}
