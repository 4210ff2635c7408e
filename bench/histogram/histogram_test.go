package histogram

import "testing"

func TestQuantileIsWithinOnePartIn64(t *testing.T) {
	for _, scale := range []int64{1, 1000, 1_000_000, 1_000_000_000} {
		var h Histogram
		for i := int64(1); i <= 1000; i++ {
			h.Record(i * scale)
		}
		for _, q := range []float64{0.01, 0.5, 0.99, 1} {
			exact := float64(int64(q*999)+1) * float64(scale)
			got := float64(h.Quantile(q))
			if got < exact || got > exact*(1+1.0/64) {
				t.Errorf("quantile %v at scale %d: got %v, want %v to %v", q, scale, got, exact, exact*(1+1.0/64))
			}
		}
	}
}

func TestMerge(t *testing.T) {
	var a, b Histogram
	a.Record(-5)
	a.RecordN(100, 2)
	b.RecordN(1<<62, 3)
	a.Merge(&b)
	if got, want := a.Count(), uint64(6); got != want {
		t.Errorf("count: got %d, want %d", got, want)
	}
	if got, want := a.Quantile(0), int64(0); got != want {
		t.Errorf("least: got %d, want %d", got, want)
	}
	if got := a.Quantile(1); got < 1<<62 {
		t.Errorf("greatest: got %d, want at least %d", got, int64(1)<<62)
	}
	var empty Histogram
	if got := empty.Quantile(0.5); got != 0 {
		t.Errorf("median of nothing: got %d, want 0", got)
	}
}
