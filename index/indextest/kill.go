package indextest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/index"
)

// killDir tells the test binary, started again by TestKill, to play the victim.
const killDir = "SLUICE_INDEXTEST_KILL_DIR"

// TestKill kills a process that appends chunks and makes the index anew in
// between, several times, and checks that every event is there once, up to the
// position, and everything that was acknowledged. It runs the test binary again
// for the same test, so it must be called by a test (not a subtest) of its own.
func TestKill(t *testing.T, open Open) {
	if dir := os.Getenv(killDir); dir != "" {
		victim(t, open(t, dir))
		return
	}
	dir := t.TempDir()
	acked := uint64(0)
	for round := range 5 {
		acked = max(acked, runVictim(t, dir, 5+7*round))
		e := open(t, dir)
		p, err := e.Open(t.Context(), "audit")
		if err != nil {
			t.Fatalf("round %d: Open: %v", round, err)
		}
		at, err := p.Position(t.Context())
		if err != nil || at.Seq < acked {
			t.Errorf("round %d: position: got %d, error %v; want %d at least", round, at.Seq, err, acked)
		}
		var events []index.Event
		for after := uint64(0); after < at.Seq; {
			chunk := killEvents(after)
			events, after = append(events, chunk...), chunk[len(chunk)-1].Seq
		}
		wantPosition(t, p, position(events[len(events)-1].Seq))
		wantEvents(t, p, events)
		closeBoth(t, e, p)
	}
}

// killEvents are the events of the chunk behind number after.
func killEvents(after uint64) []index.Event {
	return Events(rand.New(rand.NewPCG(after, 7)), after, 40)
}

// victim appends until it is killed and says how far it has got.
func victim(t *testing.T, e index.Engine) {
	p, err := e.Open(t.Context(), "audit")
	if err != nil {
		t.Fatal(err)
	}
	at, err := p.Position(t.Context())
	for n := 1; err == nil; n++ {
		if n%6 == 0 {
			p, err = victimRenews(t, e, p, at.Seq)
		} else {
			at, err = appendNext(t, p, at.Seq)
		}
		if err == nil {
			_, err = fmt.Printf("\nacked %d\n", at.Seq)
		}
	}
	t.Fatal(err)
}

func appendNext(t *testing.T, p index.Partition, after uint64) (index.Position, error) {
	events := killEvents(after)
	at := position(events[len(events)-1].Seq)
	return at, p.Append(t.Context(), seal(events), at)
}

// victimRenews makes the index anew up to where it was.
func victimRenews(t *testing.T, e index.Engine, p index.Partition, end uint64) (index.Partition, error) {
	anew, err := e.Renew(t.Context(), "audit")
	for at := (index.Position{}); err == nil && at.Seq < end; {
		at, err = appendNext(t, anew, at.Seq)
	}
	if err != nil {
		return nil, err
	}
	return anew, errors.Join(e.Adopt(t.Context(), anew), p.Close())
}

// runVictim starts a victim, kills it after it has acknowledged n times, and
// returns the highest number that it had.
func runVictim(t *testing.T, dir string, n int) (acked uint64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), killDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen := 0
	lines := bufio.NewScanner(io.LimitReader(out, 1<<20))
	for lines.Scan() {
		if number, ok := strings.CutPrefix(lines.Text(), "acked "); ok {
			if acked, err = strconv.ParseUint(number, 10, 64); err != nil {
				t.Fatal(err)
			}
			if seen++; seen == n {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := cmd.Wait(); err == nil || seen < n {
		t.Fatalf("the victim acknowledged %d times and ended with %v; want %d times and a kill", seen, err, n)
	}
	return acked
}
