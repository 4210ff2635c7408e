//go:build linux && torture

package powercut_test

import (
	"testing"

	"github.com/sluicelog/sluice/bench/mutant"
)

// TestPowerCutsFindARareMissingSync is TestPowerCutsFindAMissingSync for syncs that
// are few, or that matter at few moments.
func TestPowerCutsFindARareMissingSync(t *testing.T) {
	for _, m := range []lazySync{
		{"key file", 3, []mutant.Edit{
			{File: "secret/keyfile.go", Old: "errors.Join(err, f.Sync(), f.Close())", New: "errors.Join(err, f.Close())"},
		}},
		{"plan of an object", 64, []mutant.Edit{
			{File: "deliver/object.go", Old: "	if err := d.flush.durable(ctx, l); err != nil {\n", New: "	if err := error(nil); err != nil {\n"},
		}},
	} {
		t.Run(m.what, func(t *testing.T) { m.found(t, mutant.Broken(t, m.edits)) })
	}
}
