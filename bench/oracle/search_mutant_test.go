//go:build torture

package oracle

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/bench/mutant"
)

// TestOracleFindsWhatTheSearchLost plays with a server whose index leaves out, after
// a kill, what it had not stored.
func TestOracleFindsWhatTheSearchLost(t *testing.T) {
	edit := mutant.Edit{File: "search/indexer.go", Old: "ix.seq, ix.chunks = pos.Seq, nil", New: "ix.seq, ix.chunks = ix.s.log.Last(ix.sh.name), nil"}
	result, err := Run(t.Context(), Config{
		Binary: mutant.Broken(t, []mutant.Edit{edit, SmallChunks()}), Dir: t.TempDir(), Cycles: 2, Acknowledged: 1000, Seed: 1, Report: t.Output(),
	})
	if !slices.ContainsFunc(result.Findings, func(f string) bool { return strings.HasSuffix(f, "is not found") }) {
		t.Errorf("an index that leaves events out was not found out (%v): %q", err, result.Findings)
	}
}
