//go:build torture

package flip

import (
	"path/filepath"
	"testing"

	"github.com/sluicelog/sluice/bench/mutant"
)

// TestMissingChecksAreFound plays flips of each kind of file with programs that do
// not compare a checksum of it: each has to be found out.
func TestMissingChecksAreFound(t *testing.T) {
	o := order{Sample: filepath.Join(t.TempDir(), "sample"), Binary: mutant.Test(t, nil)}
	noRecordSum := mutant.Edit{File: "sqlite/sum.go", Old: "	if recordSum(key, value, version) != sum {", New: "	if key == \"\" && recordSum(key, value, version) != sum {"}
	for _, c := range []struct {
		name, kind string
		edits      []mutant.Edit
	}{
		{"records of the control state are not compared with their checksums", controlKind, []mutant.Edit{noRecordSum}},
		{"records of a snapshot are not compared with their checksums", snapshotKind, []mutant.Edit{noRecordSum}},
		{"what lies behind the damage of a write-ahead log is not looked for", walKind, []mutant.Edit{
			{File: "sqlite/wal.go", Old: "		if w.lost(frame) {", New: "		if w.order == nil && w.lost(frame) {"},
			{File: "sqlite/wal.go", Old: "		if !sound {", New: "		if w.order == nil && !sound {"},
		}},
		{"pages of the index are not compared with their checksums", indexKind, []mutant.Edit{
			{File: "index/page.go", Old: "binary.LittleEndian.Uint32(stored) != checksum(first, page, stored[4:])", New: "first == 0 && binary.LittleEndian.Uint32(stored) != checksum(first, page, stored[4:])"},
		}},
		{"an index that its header keeps from being written is not made anew", indexKind, []mutant.Edit{
			{File: "sqlite/index_file.go", Old: "headerError(f.engine.path(f.partition, f.generation), indexError(err), index.ErrDamaged)", New: "indexError(err)"},
		}},
		{"the lock of the control state is read as more than a note", besideKind, []mutant.Edit{
			{File: "sqlite/lock.go", Old: "	_ = f.Truncate(0)\n", New: "	if was := holder(f); was != \"another process\" && !strings.HasPrefix(was, \"process \") {\n		return nil, errors.Join(errors.New(was), f.Close())\n	}\n	_ = f.Truncate(0)\n"},
		}},
		{"sealing keys are not compared with their ids", keyKind, []mutant.Edit{
			{File: "secret/keyfile.go", Old: "!ok || twice || k.id != fields[1] {", New: "!ok || twice {"},
			{File: "secret/keyfile.go", Old: "			keys[k.id] = k\n", New: "			k.id = fields[1]\n			keys[k.id] = k\n"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, flips := o, int64(0)
			for o.Seed, o.Seeds, o.Kinds = 1, 1200, []string{c.kind}; o.Seed < 15*1200; o.Seed += 1200 {
				found := o.run(t, c.edits...)
				flips += found.Flips[c.kind]
				if n := len(found.Findings); n > 0 {
					t.Logf("%d findings of %d flips; the first: %.300s", n, flips, found.Findings[0])
					return
				}
			}
			t.Errorf("it was not found out by %d flips", flips)
		})
	}
}
