package crash

import (
	"testing"

	"github.com/sluicelog/sluice/bench/mutant"
)

// short makes rare moments come soon. Nothing else of the server is changed.
func short() []mutant.Edit {
	return []mutant.Edit{
		{File: "cmd/sluice/snapshot.go", Old: "snapshotLook   = time.Minute", New: "snapshotLook   = 300 * time.Millisecond"},
		{File: "control/control.go", Old: "claimTimeout = time.Minute", New: "claimTimeout = 2 * time.Second"},
		{File: "control/learn.go", Old: "learnerSave  = 5 * time.Second", New: "learnerSave  = 300 * time.Millisecond"},
		{File: "deliver/retention.go", Old: "const retentionEvery = time.Minute", New: "const retentionEvery = 300 * time.Millisecond"},
		{File: "eventlog/partition.go", Old: "const snapshotEvery = 16 << 20", New: "const snapshotEvery = 1 << 20"},
		{File: "index/head.go", Old: "ChunkEvents = 128 << 10", New: "ChunkEvents = 100"},
	}
}

// build makes the server with the points in it.
func build(t *testing.T, edits ...mutant.Edit) string {
	t.Helper()
	return mutant.Test(t, append(short(), edits...), "-tags", "failpoint")
}
