//go:build torture

package oracle

import (
	"testing"

	"github.com/sluicelog/sluice/bench/mutant"
)

// TestOracleFindsBrokenUploads plays with servers that break the rules by which an
// object gets into a bucket once (docs/decisions/0010-plans-made-anew.md).
func TestOracleFindsBrokenUploads(t *testing.T) {
	for _, c := range []struct {
		name string
		edit mutant.Edit
	}{
		{"the plan is written when the object is on its way",
			mutant.Edit{File: "deliver/object.go", Old: "	if err := d.flush.durable(ctx, l); err != nil {\n", New: "	if err := error(nil); err != nil {\n"}},
		{"a plan is made anew after an answer that says nothing",
			mutant.Edit{File: "deliver/object.go", Old: "if free && err.NothingStored {", New: "if free {"}},
		{"a plan that may have been tried counts as one that was not",
			mutant.Edit{File: "deliver/object.go", Old: "	free := l.free(false)\n", New: "	free := l.rec.Plan.Free\n"}},
		{"an object is built again by the filter of now",
			mutant.Edit{File: "deliver/object_build.go", Old: "	m := p.Filter.Matcher()\n", New: "	_, m := l.s.config()\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			result, err := Run(t.Context(), Config{
				Binary: mutant.Broken(t, []mutant.Edit{c.edit, SmallChunks()}), Dir: t.TempDir(), Cycles: 64, Acknowledged: 1000, Seed: 1, StopAtFinding: true, Report: t.Output(),
			})
			t.Logf("found after %d starts: %q", result.Restarts, result.Findings)
			if result.Wrong == 0 {
				t.Errorf("the server was not found out (%v)", err)
			}
		})
	}
}
