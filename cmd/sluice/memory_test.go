package main

import (
	"math"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	const mib = 1 << 20
	cases := []struct{ live, scanned, want uint64 }{
		{0, 0, 120},
		{50, 18, 120},
		{65, 33, 154},
		{120, 33, 209},
		{120, 99, 297},
		{1000, 999, 2377},
	}
	for _, c := range cases {
		if got := memoryLimit(c.live*mib, c.scanned*mib); got != int64(c.want*mib) {
			t.Errorf("limit for %d MiB of which %d are scanned: got %d, want %d", c.live, c.scanned, got/mib, c.want)
		}
	}
	if got := memoryLimit(math.MaxUint64, math.MaxUint64); got < 1<<60 {
		t.Errorf("limit for all bytes: got %d, want no overflow", got)
	}
}
