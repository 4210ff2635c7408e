package main

import (
	"math"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	const mib = 1 << 20
	cases := []struct{ live, scanned, want uint64 }{
		{0, 0, 120},
		{40, 17, 120},
		{50, 18, 50 + 45 + 36},
		{65, 33, 65 + 45 + 66},
		{120, 33, 120 + 45 + 66},
		{120, 60, 120 + 45 + 80},
		{120, 99, 120 + 45 + 99},
		{1000, 999, 1000 + 45 + 999},
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
