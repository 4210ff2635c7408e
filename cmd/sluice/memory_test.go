package main

import (
	"math"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	cases := []struct {
		live uint64
		want int64
	}{
		{0, 120 << 20},
		{30 << 20, 120 << 20},
		{65 << 20, 120 << 20},
		{75 << 20, 160 << 20},
		{100 << 20, 195<<20 + (100<<20)/6},
		{1000 << 20, 1095<<20 + (1000<<20)/6},
	}
	for _, c := range cases {
		if got := memoryLimit(c.live); got != c.want {
			t.Errorf("limit for %d bytes: got %d, want %d", c.live, got, c.want)
		}
	}
	if got := memoryLimit(math.MaxUint64); got < 1<<60 {
		t.Errorf("limit for all bytes: got %d, want no overflow", got)
	}
}
