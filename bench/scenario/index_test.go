package scenario

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/bench/corpus"
	"github.com/sluicelog/sluice/bench/target"
	"github.com/sluicelog/sluice/index"
)

// TestQuestionsAreUnderstood reads the phrases as the server does.
func TestQuestionsAreUnderstood(t *testing.T) {
	c, err := corpus.New(corpus.Spec{Kind: corpus.Dated, Seed: 1, Events: 1000})
	if err != nil {
		t.Fatal(err)
	}
	a := &asker{corpus: c, random: rand.New(rand.NewPCG(1, 1))}
	for _, l := range lookups() {
		for range 100 {
			q := l.next(a)
			clauses, err := index.ParsePhrase(q.Phrase)
			if err != nil || len(clauses) != min(1, len(q.Phrase))*(1+2*strings.Count(q.Phrase, "created:")) {
				t.Fatalf("%s: got %d clauses of %q, %v", l.name, len(clauses), q.Phrase, err)
			}
		}
	}
}

func TestNewestGoesTenPagesBack(t *testing.T) {
	a := &asker{}
	var begun int
	for range 30 {
		if newest(a).After == "" {
			begun++
		}
		a.after = "cursor"
	}
	if got, want := begun, 3; got != want {
		t.Errorf("first pages of 30: got %d, want %d", got, want)
	}
}

func TestRareAnswersAreCompared(t *testing.T) {
	a := &asker{events: 2 * corpus.RareOnce}
	q := target.Question{Phrase: "actor:" + corpus.RareActor(3)}
	for n, want := range []bool{true, true, false, true} {
		if got := wrongRare(a, q, &target.Page{Events: make([]json.RawMessage, n)}); got != want {
			t.Errorf("%d events of a rare actor: got wrong %v, want %v", n, got, want)
		}
	}
}

func TestQuantiles(t *testing.T) {
	s := &session{}
	var times []float64
	for i := range 300 {
		times = append(times, float64(300-i))
	}
	s.quantiles("x", times)
	for name, want := range map[string]float64{"x p50 ms": 150.5, "x p99 ms": 297, "x max ms": 300} {
		if got := s.result.Extra[name]; got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func TestUnfinishedLogIsNotSearched(t *testing.T) {
	env := &Env{IndexDir: t.TempDir(), IndexEvents: 5}
	data, err := searchedData(env)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := searchedData(env); err == nil || !strings.Contains(err.Error(), "not whole") {
		t.Errorf("unfinished log: got %v, want an error that says so", err)
	}
}
