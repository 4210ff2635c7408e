package report

import (
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{3, 1, 2}, 2}, {[]float64{4, 1, 2, 3}, 2.5}} {
		if got := Median(test.values); got != test.want {
			t.Errorf("median of %v: got %v, want %v", test.values, got, test.want)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 7: "7", 1234567.4: "1,234,567", 123456: "123,456", 999: "999",
		12.34: "12.3", -12.34: "-12.3", -1234567: "-1,234,567", 1.234: "1.23", 0.0123: "0.012"} {
		if got := Number(v); got != want {
			t.Errorf("number %v: got %q, want %q", v, got, want)
		}
	}
}

// TestRatiosAreTakenWithinARound has rounds whose medians of base and test would
// give another ratio.
func TestRatiosAreTakenWithinARound(t *testing.T) {
	s := Scenario{Name: "x", Title: "a test", BaseName: "floor", TestName: "sluice"}
	for _, acked := range [][2]float64{{100, 120}, {200, 220}, {50, 100}} {
		s.Rounds = append(s.Rounds, Round{Base: &Result{Acked: acked[0]}, Test: &Result{Acked: acked[1], Extra: map[string]float64{"ready s": 1}}})
	}
	s.Rounds = append(s.Rounds, Round{Base: &Result{Acked: 1}}) // its test run failed
	ratio := func(base, test *Result) float64 { return test.Acked / base.Acked }
	s.Judge([]Measure{{Name: "acked / floor", Target: ">= 1.5", Value: ratio, Reached: AtLeast(1.5)}, {Name: "at most", Target: "<= 1.5", Value: ratio, Reached: AtMost(1.5)}})
	if got := s.Outcomes[0]; got.Median != 1.2 || got.Reached || len(got.Values) != 3 {
		t.Errorf("outcome: got %+v, want a median of 1.2, not reached", got)
	}
	if !s.Outcomes[1].Reached {
		t.Errorf("outcome: got %+v, want it reached", s.Outcomes[1])
	}
	var b strings.Builder
	if err := s.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"floor", "sluice", "120 (100-220)", "MISSED", "(1.10 to 2)", "ready s 1"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("table: got\n%s, want %q in it", b.String(), want)
		}
	}
}

// TestOneBadRoundIsEnough: what may never happen is not reached when it happened in
// one round of five, and neither is what a round did not measure.
func TestOneBadRoundIsEnough(t *testing.T) {
	s := Scenario{Name: "x", Title: "a test", TestName: "sluice"}
	for i := range 5 {
		r := &Result{Acked: 1, Extra: map[string]float64{"ready s": 1}}
		if i == 3 {
			r.Lost, r.Extra = 7, nil
		}
		s.Rounds = append(s.Rounds, Round{Test: r})
	}
	lost := func(_, test *Result) float64 { return float64(test.Lost) }
	ready := func(_, test *Result) float64 { return test.Extra["ready s"] }
	never := func(_, test *Result) float64 { return test.Extra["never s"] }
	s.Judge([]Measure{
		{Name: "median", Target: "0", Value: lost, Reached: AtMost(0)},
		{Name: "each", Target: "0", Value: lost, Reached: AtMost(0), Each: true},
		{Name: "ready s", Target: "<= 2", Value: ready, Reached: AtMost(2), Extra: "ready s"},
		{Name: "never s", Target: "<= 2", Value: never, Reached: AtMost(2), Extra: "never s"},
	})
	for i, want := range []struct {
		reached bool
		values  int
	}{{true, 5}, {false, 5}, {false, 4}, {false, 0}} {
		if got := s.Outcomes[i]; got.Reached != want.reached || len(got.Values) != want.values {
			t.Errorf("%s: got %+v, want reached %v with %d values", got.Name, got, want.reached, want.values)
		}
	}
	var b strings.Builder
	if err := s.Write(&b); err != nil || strings.Count(b.String(), "MISSED") != 3 {
		t.Errorf("table: got %v and\n%s, want three missed", err, b.String())
	}
}
