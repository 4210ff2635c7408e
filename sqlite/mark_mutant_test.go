//go:build torture

package sqlite

import (
	"testing"

	"github.com/sluicelog/sluice/bench/mutant"
)

// TestBrokenMarksAreFound plays TestALostLogIsTold with stores that lose a log
// unseen, or refuse one that is whole.
func TestBrokenMarksAreFound(t *testing.T) {
	for _, m := range []struct {
		what, says string
		edit       mutant.Edit
	}{
		{"no mark is written", "changes that were answered are not there",
			mutant.Edit{File: "sqlite/mark.go", Old: "size%pageSize != 0 {\n\t\treturn err // it", New: "size > 0 {\n\t\treturn err // it"}},
		{"a mark is written for a log that is copied", "all files: OpenStore",
			mutant.Edit{File: "sqlite/mark.go", Old: "if err != nil || copied >= inLog {", New: "if err != nil {"}},
		{"the length of a log is not looked at", "a head alone: it opens",
			mutant.Edit{File: "sqlite/mark.go", Old: "; size < least {", New: "; size == 0 {"}},
		{"any log is taken", "a log of earlier times: it opens",
			mutant.Edit{File: "sqlite/mark.go", Old: "if salts != want.salts {", New: "if salts == [8]byte{} {"}},
	} {
		t.Run(m.what, func(t *testing.T) {
			mutant.Found(t, mutant.Drill(t, []mutant.Edit{m.edit}), "TestALostLogIsTold", m.says)
		})
	}
}
