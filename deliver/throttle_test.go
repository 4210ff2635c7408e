package deliver

import (
	"testing"
	"time"
)

// Lanes that are behind may read more than producers bring, and no more than that
// while producers bring much.
func TestCatchingUpGainsOnProducers(t *testing.T) {
	const mib = 1 << 20
	for _, test := range []struct{ ingest, low, high float64 }{ // MiB a second
		{2, 47, 53}, {30, 47, 53}, {100, 145, 165}, {400, 580, 660},
	} {
		var th throttle
		now, raw, read := time.Unix(1000, 0), uint64(0), 0.0
		th.look(now, raw)
		for range 100 { // 5 s
			now, raw = now.Add(throttlePeriod), raw+uint64(test.ingest*mib*throttlePeriod.Seconds())
			th.look(now, raw)
			for th.busy && th.tokens > 0 {
				th.tokens -= mib / 4
				read += 0.25
			}
		}
		if got := read / 5; got < test.low || got > test.high {
			t.Errorf("producers bring %.0f MiB/s: lanes read %.0f MiB/s, want %.0f to %.0f", test.ingest, got, test.low, test.high)
		}
	}
	var th throttle
	th.look(time.Unix(1000, 0), 0)
	if th.look(time.Unix(1001, 0), mib/2); th.busy {
		t.Error("producers that bring half a MiB a second: lanes are throttled")
	}
}
