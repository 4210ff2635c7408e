//go:build torture

package indexkill

import (
	"testing"

	"github.com/sluicelog/sluice/bench/mutant"
)

// TestEarlyPositionIsFound kills a process whose index commits how far it is before
// what it has: a kill in between leaves a hole.
func TestEarlyPositionIsFound(t *testing.T) {
	const content = `		if c != nil {
			if err := insertChunk(tx, number, c); err != nil {
				return err
			}
		}
		_, err := tx.Exec("UPDATE state SET log = ?, format = ?, seq = ?, sum = ?", to.Log[:], to.Format, int64(to.Seq), indexSum(to, chunks))
		return err
	})
`
	const early = `		_, err := tx.Exec("UPDATE state SET log = ?, format = ?, seq = ?, sum = ?", to.Log[:], to.Format, int64(to.Seq), indexSum(to, f.chunks))
		return err
	})
	if err == nil && c != nil {
		time.Sleep(20 * time.Millisecond)
		err = f.change(func(tx *sql.Tx) error {
			if err := insertChunk(tx, number, c); err != nil {
				return err
			}
			_, err := tx.Exec("UPDATE state SET sum = ?", indexSum(to, chunks))
			return err
		})
	}
`
	program := mutant.Drill(t, []mutant.Edit{{File: "sqlite/index_file.go", Old: content, New: early}})
	mutant.Found(t, program, "TestKill", " events, want ", "-seed", "1")
}
