package indexkill

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice/bench/fault"
	"github.com/sluicelog/sluice/bench/process"
)

var seedFlag = flag.Uint64("seed", 0, "seed of all that is random; 0 takes a new one")

// enough requests end a life in which what was waited for did not happen.
const enough = 100

// life says how one life begins, and when it ends.
type life struct {
	name    string
	prepare func(*killer) // what is done to the files before it begins
	on      string        // the line that is waited for
	times   int           // at most so often
	within  time.Duration // the kill follows after that time, at most
}

// lives are the ways to live. Each comes again and again.
func lives() []life {
	return []life{
		{name: "under load", on: "appended", times: enough, within: 5 * time.Millisecond},
		{name: "while a chunk is stored", on: "sealing", times: 12, within: 3 * time.Millisecond},
		{name: "behind a stored chunk", on: "sealed", times: 12, within: time.Millisecond},
		{name: "without its index", prepare: (*killer).removeIndex, on: "same", times: 1, within: 200 * time.Millisecond},
		{name: "while chunks expire", on: "dropping", times: 4, within: time.Millisecond},
		{name: "with a damaged index", prepare: func(k *killer) { k.damage(1) }, on: "appended", times: enough / 2, within: 5 * time.Millisecond},
		{name: "with a damaged write-ahead log", prepare: (*killer).damageWAL, on: "checkpointing", times: 4, within: 2 * time.Millisecond},
		{name: "while an index is made for one that is gone", prepare: (*killer).removeIndex, on: "sealing", times: 6, within: 3 * time.Millisecond},
		{name: "while a chunk is stored", on: "sealing", times: 12, within: 3 * time.Millisecond},
		{name: "while an index is made beside a damaged one", prepare: func(k *killer) { k.damage(20) }, on: "renewing", times: 1, within: 30 * time.Millisecond},
		{name: "while an index is adopted", prepare: func(k *killer) { k.damage(20) }, on: "adopting", times: 1, within: 2 * time.Millisecond},
		{name: "while the log is trimmed", on: "trimming", times: 4, within: 2 * time.Millisecond},
		{name: "at the start", on: "opened", times: 1, within: 60 * time.Millisecond},
	}
}

// killer is a test that ends one victim after another, on the same files.
type killer struct {
	*testing.T
	random *rand.Rand
	seed   uint64
	dir    string
	log    *os.File // what victims have to say besides

	said map[string]int // lines of all lives
	amid map[string]int // kills between the two lines of a step
	rows int            // events that were compared
}

// TestKill kills a process that indexes in each of many ways.
func TestKill(t *testing.T) {
	k := &killer{T: t, seed: *seedFlag, said: map[string]int{}, amid: map[string]int{}}
	if k.seed == 0 {
		k.seed = rand.Uint64()
	}
	fault.Keep(t, k.record)
	k.random = rand.New(rand.NewPCG(k.seed, 0))
	var err error
	if k.dir, err = os.MkdirTemp("", "sluice-indexkill-"); err != nil {
		t.Fatal(err)
	}
	if k.log, err = os.Create(filepath.Join(k.dir, "victims.log")); err != nil {
		t.Fatal(err)
	}
	defer k.clean()
	ways := lives()
	for n := range rounds {
		k.live(n+1, ways[n%len(ways)])
	}
	k.live(rounds+1, life{name: "to be compared", on: "same", times: 1})
	for what, n := range map[string]int{"comparisons": k.said["same"], "events compared": k.rows, "chunks stored": k.said["sealed"], "indexes made anew": k.said["renewing"], "indexes adopted": k.said["adopted"]} {
		if n == 0 {
			t.Errorf("%s: got none in %d lives", what, rounds)
		}
	}
	t.Logf("seed %d: %d kills, in the middle of %v; %d comparisons of %d events in all; %d seals, %d expiries, %d indexes made anew",
		k.seed, rounds, k.amid, k.said["same"], k.rows, k.said["sealed"], k.said["dropped"], k.said["renewing"])
}

func (k *killer) record() fault.Record {
	return fault.Record{
		Drill: "Kills of an indexing process",
		What: "A process that indexes a log is killed at each of its steps, again and again on the same files, some of which are damaged before it starts. " +
			"Then the index answers for each event of the log, and each answer is compared with the log.",
		Command: fmt.Sprintf("go test -tags torture ./bench/indexkill -args -seed %d", k.seed), Seeds: strconv.FormatUint(k.seed, 10),
		Faults: []fault.Count{{Name: "kills", Count: rounds}, {Name: "indexes made anew", Count: int64(k.said["renewing"])}},
		Judged: []fault.Count{{Name: "events", Count: int64(k.rows)}, {Name: "comparisons", Count: int64(k.said["same"])}},
	}
}

// clean removes the files of a test that passed.
func (k *killer) clean() {
	_ = k.log.Close()
	if k.Failed() {
		k.Logf("repeat with -seed %d; log and index are kept in %s", k.seed, k.dir)
		return
	}
	if err := os.RemoveAll(k.dir); err != nil {
		k.Error(err)
	}
}

// live runs a victim and kills it.
func (k *killer) live(number int, l life) {
	k.Helper()
	if l.prepare != nil {
		l.prepare(k)
	}
	p, err := process.Start(k.Context(), process.Spec{
		Path: os.Args[0], Log: k.log,
		Env: []string{
			folderVariable + "=" + k.dir, lifeVariable + "=" + strconv.Itoa(number), seedVariable + "=" + strconv.FormatUint(k.seed, 10),
		},
	})
	if err != nil {
		k.Fatal(err)
	}
	lines := k.await(p, number, l)
	if l.within > 0 {
		<-time.After(time.Duration(k.random.Int64N(int64(l.within))))
	}
	if err := p.Signal(os.Kill); err != nil {
		k.Fatal(err)
	}
	rest, err := p.Output()
	if end, ok := errors.AsType[*exec.ExitError](err); !ok || end.ExitCode() != -1 {
		k.Fatalf("life %d: the victim ended with %v before it was killed %s\n%s", number, err, l.name, k.words())
	}
	for line := range strings.Lines(string(rest)) {
		k.note(lines, line)
	}
	for begun, ended := range map[string]string{"sealing": "sealed", "dropping": "dropped", "adopting": "adopted", "trimming": "trimmed",
		"checkpointing": "checkpointed"} {
		if lines[begun] > lines[ended] {
			k.amid[begun]++
		}
	}
}

// note counts a line.
func (k *killer) note(lines map[string]int, line string) {
	line, events, _ := strings.Cut(strings.TrimSpace(line), " ")
	n, _ := strconv.Atoi(events) // most say none
	k.rows += n
	k.said[line]++
	lines[line]++
}

// await reads what a victim says until it is time to kill it, and counts.
func (k *killer) await(p *process.Process, number int, l life) map[string]int {
	k.Helper()
	lines, until := map[string]int{}, 1+k.random.IntN(l.times)
	for lines[l.on] < until && lines["appended"] < enough {
		line, err := p.Line()
		if err != nil {
			_ = p.Kill()
			k.Fatalf("life %d, to be killed %s: the victim ended by itself: %v\n%s", number, l.name, err, k.words())
		}
		k.note(lines, line)
	}
	return lines
}

// words are the last that victims had to say.
func (k *killer) words() []byte {
	words, err := os.ReadFile(k.log.Name())
	if err != nil {
		k.Fatal(err)
	}
	return words[max(0, len(words)-4000):]
}

// removeIndex takes the index away.
func (k *killer) removeIndex() {
	if err := os.RemoveAll(k.index()); err != nil {
		k.Fatal(err)
	}
}

func (k *killer) index() string { return filepath.Join(k.dir, "index") }

// damage changes n bytes of the index, in the files of the database themselves.
func (k *killer) damage(n int) {
	_ = checkpoint(k.Context(), k.index()) // what is damaged already need not be written back
	files, err := filepath.Glob(filepath.Join(k.index(), "*.db"))
	if err != nil {
		k.Fatal(err)
	}
	for range n {
		if err := k.flip(files[k.random.IntN(len(files))]); err != nil {
			k.Fatal(err)
		}
	}
}

// damageWAL changes bytes of what is beside those files.
func (k *killer) damageWAL() {
	files, err := filepath.Glob(filepath.Join(k.index(), "*.db-*"))
	if err != nil {
		k.Fatal(err)
	}
	for _, file := range files {
		if err := k.flip(file); err != nil {
			k.Fatal(err)
		}
	}
}

// flip changes a byte of a file, if it has one.
func (k *killer) flip(path string) error {
	data, err := os.ReadFile(path)
	if err != nil || len(data) == 0 {
		return err
	}
	data[k.random.IntN(len(data))] ^= byte(1 + k.random.IntN(255))
	return os.WriteFile(path, data, 0o600)
}
