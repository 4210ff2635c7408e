package oracle

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/sluicelog/sluice/bench/fault"
	"github.com/sluicelog/sluice/bench/mutant"
)

var (
	cyclesFlag = flag.Int("cycles", 50, "how often the server is killed under load")
	restsFlag  = flag.Int("rests", 25, "after how many cycles everything is judged exactly, as in the end; 0 is for the end alone")
	soonFlag   = flag.Bool("soon", true, "streams are told to be well after a second, not after a minute, for which each exact judgement waits")
	eventsFlag = flag.Int("events", 1000, "events acknowledged in each cycle, at least")
	binaryFlag = flag.String("binary", "", "the server to judge; built when it is not given")
	seedFlag   = flag.Uint64("seed", 0, "seed of all that is random; 0 takes a new one")
)

const shortCycles = 3

// TestOracleKillCycles kills the server again and again under load and compares
// what became of every event. With -short it does so three times.
func TestOracleKillCycles(t *testing.T) {
	cycles, seed := *cyclesFlag, fault.Seed(t, *seedFlag)
	if testing.Short() {
		cycles = min(cycles, shortCycles)
	}
	dir, err := os.MkdirTemp("", "sluice-oracle-")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("seed %d, data in %s", seed, dir)
	var result Result
	fault.Keep(t, func() fault.Record { return record(result, err, seed) })
	result, err = Run(t.Context(), Config{
		Binary: build(t), Dir: dir, Cycles: cycles, Rests: *restsFlag, Acknowledged: *eventsFlag, Seed: seed, Report: t.Output(),
	})
	for _, line := range result.Summary {
		t.Log(line)
	}
	t.Logf("%d cycles, %d starts (slowest ready after %v), %d events acknowledged, %d streams judged, repeated deliveries: %d after lost answers, %d after kills (delivered at most %v before)",
		result.Cycles, result.Restarts, result.SlowestStart, result.Acknowledged, result.Streams, result.Unanswered, result.Killed, result.Reach)
	for _, f := range result.Findings {
		t.Error(f)
	}
	if err != nil {
		t.Error(err)
	}
	rests := 1
	if n := *restsFlag; n > 0 {
		rests = (cycles + n - 1) / n
	}
	if got, want := result.Rests, rests; err == nil && got != want {
		t.Errorf("everything was judged exactly: got %d times, want %d", got, want)
	}
	if got, want := result.Wrong, 0; got != want {
		t.Errorf("findings: got %d, want %d", got, want)
	}
	if got, want := result.Acknowledged, cycles**eventsFlag; err == nil && got < want {
		t.Errorf("acknowledged: got %d events, want %d or more", got, want)
	}
	if t.Failed() {
		t.Logf("repeat with -seed %d; data and logs are kept in %s", seed, dir)
		return
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
}

func record(result Result, err error, seed uint64) fault.Record {
	return fault.Record{
		Drill: "Kills",
		What: "The server is killed with SIGKILL at random moments under load, at its start too, while streams are created, changed, paused, resumed and deleted and receivers, HTTP endpoints and a bucket, refuse, hang, answer late and die. " +
			"What producers were told, what receivers got and what each stream's account says is compared, event by event.",
		Command: fmt.Sprintf("go test ./bench/oracle -run TestOracleKillCycles -args -soon=%v -rests %d -cycles %d -seed %d", *soonFlag, *restsFlag, result.Cycles, seed),
		Seeds:   strconv.FormatUint(seed, 10),
		Faults:  []fault.Count{{Name: "kills under load", Count: int64(result.Cycles)}, {Name: "starts", Count: int64(result.Restarts)}},
		Judged: []fault.Count{{Name: "acknowledged events", Count: int64(result.Acknowledged)}, {Name: "streams", Count: int64(result.Streams)}, {Name: "objects in a bucket", Count: int64(result.Objects)}, {Name: "events found", Count: int64(result.Searched)}, {Name: "exact comparisons of all accounts", Count: int64(result.Rests)},
			{Name: "ms for the slowest start", Count: result.SlowestStart.Milliseconds()}},
		Findings: result.With(err),
	}
}

// build makes the server.
func build(t *testing.T) string {
	t.Helper()
	if *binaryFlag != "" {
		return *binaryFlag
	}
	edits := []mutant.Edit{SmallChunks()}
	if *soonFlag {
		edits = append(edits, SoonWell())
	}
	return mutant.Test(t, edits)
}
