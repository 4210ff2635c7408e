package corpus

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"
)

func TestDatedEventsFillTheirDays(t *testing.T) {
	const n = 500
	days, before := map[string]bool{}, time.Time{}
	for _, e := range generate(t, Spec{Kind: Dated, Seed: 1, Events: n}, 0, n) {
		var fields struct {
			At time.Time `json:"created_at"`
		}
		if err := json.Unmarshal(e, &fields); err != nil {
			t.Fatal(err)
		}
		if fields.At.Before(before) || fields.At.Before(From()) || !fields.At.Before(From().AddDate(0, 0, Days)) {
			t.Fatalf("time: got %v after %v, want one that rises within %d days", fields.At, before, Days)
		}
		days[fields.At.Format(time.DateOnly)], before = true, fields.At
	}
	if got, want := len(days), Days; got != want {
		t.Errorf("days: got %d, want %d", got, want)
	}
}

func TestRareActors(t *testing.T) {
	const end = 2*RareOnce + rareFirst + 1 // the first one once more than the others
	spec := Spec{Kind: Dated, Events: end}
	var got [RareActors]uint64
	for seq := range uint64(end) {
		if n, ok := rare(&spec, seq); ok {
			got[n]++
		}
	}
	for n, got := range got {
		want := uint64(2)
		if n == 0 {
			want = 3
		}
		if got != want || Rare(n, end) != want {
			t.Errorf("rare actor %d: got %d events, and %d foretold, want %d", n, got, Rare(n, end), want)
		}
	}
	if got := Rare(0, rareFirst); got != 0 {
		t.Errorf("events before the first of a rare actor: got %d, want none", got)
	}
	c, err := New(spec)
	if err != nil {
		t.Fatal(err)
	}
	var fields struct {
		Name string `json:"author_name"`
	}
	if err := json.Unmarshal(c.Generator(0).Append(nil, rareFirst+rareStep, 1_700_000_000_000_000_000), &fields); err != nil || fields.Name != RareActor(1) {
		t.Errorf("actor: got %q, %v, want %q", fields.Name, err, RareActor(1))
	}
}

// TestSamplesAreOfTheCorpus looks for what samples name in events.
func TestSamplesAreOfTheCorpus(t *testing.T) {
	spec := Spec{Kind: Dated, Seed: 3, Events: 20_000}
	c, err := New(spec)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, e := range generate(t, spec, 0, 20_000) {
		var fields struct {
			Type  string `json:"event_type"`
			Actor string `json:"author_name"`
			Path  string `json:"entity_path"`
		}
		if err := json.Unmarshal(e, &fields); err != nil {
			t.Fatal(err)
		}
		seen["type "+fields.Type], seen["actor "+fields.Actor], seen["path "+fields.Path] = true, true, true
	}
	r, hits := rand.New(rand.NewPCG(1, 1)), 0
	for range 300 {
		s := c.Sample(r)
		for _, what := range []string{"type " + s.Type, "actor " + s.Actor, "path " + s.Repository} {
			if seen[what] {
				hits++
			}
		}
	}
	if hits < 750 { // rare ones may not have come
		t.Errorf("what samples name: got %d of 900 in events, want most", hits)
	}
}
