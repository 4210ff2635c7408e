package scenario

import (
	"math"
	"testing"

	"github.com/sluicelog/sluice/bench/report"
)

// TestGrowth has series that jump about, with and without a leak in the second
// half; what happens in the first half does not count.
func TestGrowth(t *testing.T) {
	series := func(leak float64) (points []report.Point) {
		for n := range 180 {
			value := 100 + 10*math.Sin(float64(n)*1.3)
			if n < 90 {
				value = float64(n)
			}
			points = append(points, report.Point{float64(n) * 10, value * (1 + leak*float64(max(n-90, 0))/89)})
		}
		return points
	}
	for leak, limits := range map[float64][2]float64{0: {-1, 1}, 0.05: {4, 6}, -0.2: {-23, -18}} {
		if got := growth(series(leak)); got < limits[0] || got > limits[1] {
			t.Errorf("growth with a leak of %v: got %v %%, want %v", leak, got, limits)
		}
	}
	if got := growth(nil); got != 0 {
		t.Errorf("growth of nothing: got %v", got)
	}
}
