package storetest

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sluicelog/sluice/store"
)

// TestReopen checks that everything applied is there after Close. Each call of
// open opens the one store that lives in dir, creating it at first.
func TestReopen(t *testing.T, open func(t *testing.T, dir string) store.Store) {
	dir := t.TempDir()
	s := open(t, dir)
	create(t, s, "a/", 300, []byte("v"))
	gone := put(t, s, "gone", "v", 0)
	changed := put(t, s, "changed", "two", put(t, s, "changed", "one", 0))
	if errs := s.Apply(t.Context(), store.Change{Key: "gone", Version: gone}); errs != nil {
		t.Fatalf("delete: got %v, want nil", errs)
	}
	highest := max(gone, changed)
	for round := range 3 {
		if err := s.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		s = open(t, dir)
		wantRecord(t, s, "changed", "two", changed)
		if got := len(keys(t, s, "a/")); got != 300 {
			t.Errorf("records after reopen: got %d, want 300", got)
		}
		v := put(t, s, "gone", "again", 0)
		if v <= highest {
			t.Errorf("round %d: a record created again got version %d, want one above %d", round, v, highest)
		}
		highest = v
		if errs := s.Apply(t.Context(), store.Change{Key: "gone", Version: v}); errs != nil {
			t.Fatalf("delete: got %v, want nil", errs)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

// killDir tells the test binary, started again by TestKill, to play the victim.
const killDir = "SLUICE_STORETEST_KILL_DIR"

// TestKill kills a process that applies changes, several times, and checks that
// all it had acknowledged is there. It runs the test binary again for the same
// test, so it must be called by a test (not a subtest) of its own.
func TestKill(t *testing.T, open func(t *testing.T, dir string) store.Store) {
	if dir := os.Getenv(killDir); dir != "" {
		victim(t, open(t, dir))
		return
	}
	dir := t.TempDir()
	acked := make(map[string]int)
	for round := range 4 {
		before := total(acked)
		runVictim(t, dir, 150, acked)
		if got := total(acked) - before; got < 150 {
			t.Fatalf("round %d: the victim acknowledged %d changes, want at least 150", round, got)
		}
		s := open(t, dir)
		for worker, last := range acked {
			checkVictim(t, s, worker, last)
		}
		if err := s.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
}

func total(acked map[string]int) (n int) {
	for _, last := range acked {
		n += last
	}
	return n
}

// victim applies changes and prints each that was carried out, until it is
// killed: worker and number. A worker's counter record moves with its numbers.
func victim(t *testing.T, s store.Store) {
	var wg sync.WaitGroup
	for w := range 4 {
		worker := strconv.Itoa(w)
		wg.Go(func() {
			counter, err := s.Get(t.Context(), "counter/"+worker)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Errorf("Get: %v", err)
				return
			}
			n, _ := strconv.Atoi(string(counter.Value))
			for {
				n++
				errs := s.Apply(t.Context(),
					store.Change{Key: victimKey(worker, n), Value: []byte(strings.Repeat(strconv.Itoa(n), 1+n%500))},
					store.Change{Key: "counter/" + worker, Value: []byte(strconv.Itoa(n)),
						Version: counter.Version, NewVersion: &counter.Version},
				)
				if errs != nil && errs[1] != nil {
					t.Errorf("Apply: got %v, want the counter changed", errs)
					return
				}
				if _, err := fmt.Printf("\nacked %s %d\n", worker, n); err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
}

func victimKey(worker string, n int) string { return fmt.Sprintf("record/%s/%06d", worker, n) }

// runVictim starts the victim, kills it after some acknowledgements and notes
// the last of each worker, those printed until the very end included.
func runVictim(t *testing.T, dir string, enough int, acked map[string]int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), killDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatalf("pipe: %v", err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start the victim: %v", err)
	}
	var said []string
	lines, seen := bufio.NewScanner(out), 0
	for lines.Scan() {
		var worker string
		var n int
		if _, err := fmt.Sscanf(lines.Text(), "acked %s %d", &worker, &n); err != nil {
			said = append(said, lines.Text())
			continue
		}
		acked[worker] = max(acked[worker], n)
		if seen++; seen == enough {
			if err := cmd.Process.Kill(); err != nil {
				t.Errorf("kill the victim: %v", err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || seen < enough {
		t.Errorf("the victim ended by itself, error %v: %s", err, strings.Join(said, "\n"))
	}
}

// checkVictim accepts one change beyond the last acknowledged: its answer was
// still on the way.
func checkVictim(t *testing.T, s store.Store, worker string, last int) {
	t.Helper()
	for n := 1; n <= last; n++ {
		wantValue(t, s, victimKey(worker, n), strings.Repeat(strconv.Itoa(n), 1+n%500))
	}
	r, err := s.Get(t.Context(), "counter/"+worker)
	if n, _ := strconv.Atoi(string(r.Value)); err != nil || n < last || n > last+1 {
		t.Errorf("counter of worker %s: got %q, error %v; want %d or %d", worker, r.Value, err, last, last+1)
	}
}
