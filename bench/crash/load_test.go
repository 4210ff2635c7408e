package crash

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sluicelog/sluice/bench/fault"
	"github.com/sluicelog/sluice/bench/oracle"
	. "github.com/sluicelog/sluice/failpoint"
)

// underLoad are the points that the oracle's load comes by.
func underLoad() []Point {
	return []Point{
		BlockWriting, BlockWritten, BlockZeroed, BlockSynced, SegmentCreated, SegmentAllocated, SegmentNamed,
		FooterWriting, FooterWritten, FooterCut, FooterSynced, AnchorWriting, AnchorWritten, CommitBeginning, CommitWriting, CommitWritten,
		SendBeginning, SendAnswered, CursorWriting, CursorWritten, TailWriting, TailWritten, QuarantineCopied, QuarantineListed,
		ObjectBuilding, ObjectBuilt, UploadBeginning, UploadAnswered, ObjectErased,
		KeysWriting, KeysWritten, KeysSynced, KeysPlaced, KeysNamed, RotationTold, RotationDone, ResealDone, PruneTold,
		StreamErasing, StreamErased, OutboxTold, OutboxSettled, RecordBuried, NamespaceNumbered, NamespaceLearned, LearnerWritten,
		StreamClaimed, StreamCreated, DeletionStored, DeletionDelivered, DeletionTold, DeletionReleased, IndexWriting, IndexWritten,
	}
}

// TestCrashUnderLoad lets the server die at points while the oracle posts events,
// creates, changes, pauses and deletes streams, and has receivers refuse, hang and
// die. A point that is not met in its cycle ends with a kill.
func TestCrashUnderLoad(t *testing.T) {
	t.Parallel()
	seed := fault.Seed(t, *seedFlag)
	var result oracle.Result
	var err error
	fault.Keep(t, func() fault.Record {
		return fault.Record{
			Drill:   "Crash points under load",
			What:    "The oracle of the drill of kills, with servers that end themselves at a named line under load.",
			Command: fmt.Sprintf("go test ./bench/crash -run TestCrashUnderLoad -args -cycles %d -seed %d", *cyclesFlag, seed), Seeds: fmt.Sprint(seed),
			Faults:   []fault.Count{{Name: "crashes at a point", Count: int64(result.Deaths)}, {Name: "kills, for the point did not come", Count: int64(result.Cycles - min(result.Deaths, result.Cycles))}},
			Judged:   []fault.Count{{Name: "acknowledged events", Count: int64(result.Acknowledged)}, {Name: "streams", Count: int64(result.Streams)}, {Name: "objects in a bucket", Count: int64(result.Objects)}, {Name: "events found", Count: int64(result.Searched)}, {Name: "exact comparisons of all accounts", Count: int64(result.Rests)}},
			Findings: result.With(err),
		}
	})
	binary := *binaryFlag
	if binary == "" {
		binary = build(t, oracle.SoonWell())
	}
	random := rand.New(rand.NewPCG(seed, 1))
	points := underLoad()
	result, err = oracle.Run(t.Context(), oracle.Config{
		Binary: binary, Dir: t.TempDir(), Cycles: *cyclesFlag, Acknowledged: 400, Seed: seed, Report: t.Output(),
		Death: func(cycle int) string {
			p := points[random.IntN(len(points))].String()
			switch {
			case *pointFlag != "":
				p = *pointFlag
			case cycle == 0:
				p = BlockSynced.String() // which certainly comes
			}
			return fmt.Sprintf("%s:%d", p, 1+random.IntN(1<<random.IntN(6)))
		},
	})
	for _, f := range result.With(err) {
		t.Error(f)
	}
	if result.Deaths == 0 && err == nil {
		t.Errorf("the server died at no point in %d cycles: it may know none", result.Cycles)
	}
}
