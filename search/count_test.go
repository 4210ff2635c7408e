package search

import (
	"fmt"
	"strings"
	"testing"
)

// A count remembers neither too many types nor too long names, and goes on counting
// those that it knows.
func TestCountsAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		pad, want int
	}{
		"short names": {0, maxCounted},
		"long names":  {250, maxNames / 256},
	} {
		got := &tally{by: ByType, types: map[string]uint64{}}
		for range 2 {
			for i := range maxCounted + 1000 {
				got.addType(fmt.Sprintf("%06d", i)+strings.Repeat("x", c.pad), 3)
			}
		}
		if len(got.types) != c.want {
			t.Errorf("%s: got %d types, want %d", name, len(got.types), c.want)
		}
		for typ, n := range got.types {
			if n != 6 {
				t.Fatalf("%s: got %d events of %.10s, want 6", name, n, typ)
			}
		}
	}
}
