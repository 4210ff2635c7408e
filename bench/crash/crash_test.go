package crash

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicelog/sluice/bench/fault"
	"github.com/sluicelog/sluice/failpoint"
)

var (
	allFlag      = flag.Bool("all", false, "play every point, in every play that comes by it")
	arrivalsFlag = flag.Int("arrivals", 1, "deaths at each point: at the first arrival, and at later ones")
	pointFlag    = flag.String("point", "", "play this point only")
	playFlag     = flag.String("play", "", "only this play")
	seedFlag     = flag.Uint64("seed", 0, "seed of what is chosen; 0 takes a new one")
	binaryFlag   = flag.String("binary", "", "the server to judge, built with the tag failpoint; built when it is not given")
	cyclesFlag   = flag.Int("cycles", 2, "deaths under the load of the oracle")
	workersFlag  = flag.Int("workers", 4, "servers at a time")
)

// bounded is how many deaths there are without -all; each play has one.
const bounded = 19

// latest bounds the arrivals that are not the first; most are much earlier.
const latest = 12

func TestEveryPointHasAPlay(t *testing.T) {
	var played []failpoint.Point
	for _, p := range plays() {
		played = append(played, p.points...)
	}
	for _, p := range failpoint.Points() {
		if !slices.Contains(played, p) {
			t.Errorf("%s: no play comes by", p)
		}
	}
}

// deed is one death.
type deed struct {
	play    play
	point   failpoint.Point
	arrival int
}

func (d *deed) String() string { return fmt.Sprintf("%s:%d, %s", d.point, d.arrival, d.play.name) }

// TestCrashPoints lets the server die at points.
func TestCrashPoints(t *testing.T) {
	seed := fault.Seed(t, *seedFlag)
	list := choose(rand.New(rand.NewPCG(seed, 0)))
	if len(list) == 0 {
		t.Fatalf("no play %q comes by a point %q", *playFlag, *pointFlag)
	}
	binary := *binaryFlag
	if binary == "" {
		binary = build(t)
	}
	var late, judged, played atomic.Int64
	var mu sync.Mutex
	var found []string
	points := map[failpoint.Point]bool{}
	fault.Keep(t, func() fault.Record {
		return fault.Record{
			Drill:   "Crash points",
			What:    "The server ends itself with SIGKILL at a named line: before and after each write, sync, commit, cursor move, send, upload and write of a key. The next start, its ledgers, receivers, names, tokens and keys are compared with what was posted and done.",
			Command: fmt.Sprintf("go test ./bench/crash -run TestCrashPoints -args -all -arrivals %d -seed %d", *arrivalsFlag, seed), Seeds: fmt.Sprint(seed),
			Faults: []fault.Count{{Name: "points", Count: int64(len(points))}, {Name: "crashes", Count: played.Load() - late.Load()},
				{Name: "later arrivals that did not come", Count: late.Load()}},
			Judged:   []fault.Count{{Name: "plays", Count: played.Load()}, {Name: "events", Count: judged.Load()}},
			Findings: found,
		}
	})
	next := make(chan deed, len(list))
	for _, d := range list {
		points[d.point] = true
		next <- d
	}
	close(next)
	var wg sync.WaitGroup
	for range *workersFlag {
		wg.Go(func() {
			for d := range next {
				played.Add(1)
				if !t.Run(d.String(), func(t *testing.T) {
					w := perform(t, binary, d)
					judged.Add(int64(len(w.book.events)))
					if !w.died {
						late.Add(1)
					}
				}) {
					mu.Lock()
					found = append(found, d.String())
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
}

// choose returns the deaths to play: with -all every point in every play that
// comes by it, otherwise some, with one of each play.
func choose(random *rand.Rand) []deed {
	var list, rest []deed
	for _, p := range plays() {
		if *playFlag != "" && *playFlag != p.name {
			continue
		}
		for i, j := range random.Perm(len(p.points)) {
			d := deed{p, p.points[j], 1}
			if *pointFlag != "" && *pointFlag != d.point.String() {
				continue
			}
			if i > 0 {
				rest = append(rest, d)
			} else {
				list = append(list, d)
			}
		}
	}
	random.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	list = append(list, rest...)
	if !*allFlag && *pointFlag == "" && *playFlag == "" {
		list = list[:bounded]
	}
	for _, d := range list {
		for range *arrivalsFlag - 1 {
			list = append(list, deed{d.play, d.point, 2 + random.IntN(1+random.IntN(latest-1))})
		}
	}
	return list
}

// perform plays a play in which the server dies, and judges.
func perform(t *testing.T, binary string, d deed) *world {
	w := newWorld(t, binary, d.point, d.arrival, d.play.flags)
	if d.play.before != nil {
		d.play.before(w)
		if w.Running() {
			w.stop()
		}
		w.arm()
		if !d.play.command {
			w.start()
		}
	} else {
		w.arm()
		w.begin()
	}
	d.play.run(w)
	w.settle()
	w.awaitDeath(d.arrival)
	w.settle()
	w.afterwards(d.play.warns)
	if d.play.after != nil {
		d.play.after(w)
	}
	return w
}

// lateFor is how long to wait for a later arrival when nothing happens any more: it
// need not come.
const lateFor = 1500 * time.Millisecond

// awaitDeath waits for a server that is to die at what it does by itself. A first
// arrival that never comes is an error.
func (w *world) awaitDeath(arrival int) {
	w.Helper()
	wait := patience
	if arrival > 1 {
		wait = lateFor
	}
	for begin := time.Now(); !w.died; time.Sleep(pollEvery) {
		switch {
		case w.Ended():
			w.buried("when nothing was asked")
			w.start()
		case time.Since(begin) > wait && arrival == 1:
			w.Fatalf("%s was never reached", w.death)
		case time.Since(begin) > wait:
			return
		}
	}
}

// afterwards starts the server once more, and all has to be true again. Nothing
// may be left that each later start complains of.
func (w *world) afterwards(warns []string) {
	w.Helper()
	w.quiet("the life after the crash", warns)
	w.stop()
	w.armed = false // the death may have come while it stopped
	if !w.Running() {
		w.start()
	}
	w.settle()
	w.quiet("the life after that", warns)
	w.stop()
}

// quiet looks whether the server complains of anything that it should not.
func (w *world) quiet(life string, warns []string) {
	w.Helper()
	for _, line := range w.complaints() {
		if !slices.ContainsFunc(warns, func(msg string) bool { return strings.Contains(line, msg) }) {
			w.Errorf("%s complained: %s", life, line)
		}
	}
}
