//go:build torture

package drill_test

import (
	"os"
	"testing"

	"github.com/sluicelog/sluice/bench/mutant"
)

// TestUpgradeFindsBrokenServers opens the data folders of earlier servers with ones
// that lose something on the way.
func TestUpgradeFindsBrokenServers(t *testing.T) {
	for _, c := range []struct {
		name string
		edit mutant.Edit
	}{
		{"records of an old schema are left out",
			mutant.Edit{File: "sqlite/schema.go", Old: "	for _, r := range page {\n", New: "	for i, r := range page {\n		if i%5 == 4 {\n			last = r.Key\n			continue\n		}\n"}},
		{"a stream that was behind leaves an event out",
			mutant.Edit{File: "deliver/step.go", Old: "	res := d.trySlowly(ctx, l, w, dest, &batch)\n",
				New: "	if l.rec.Behind && len(w.events) > 1 {\n		batch.Events = w.events[1:]\n	}\n	res := d.trySlowly(ctx, l, w, dest, &batch)\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			mutant.Found(t, os.Args[0], "TestUpgrade", "_test.go:", "-binary", broken(t, c.edit))
		})
	}
}
