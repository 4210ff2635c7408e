package drill_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluicelog/sluice/bench/drill"
	"github.com/sluicelog/sluice/bench/mutant"
)

var (
	startsFlag = flag.Int("starts", 15, "how often the server is started and ended in a storm")
	roundsFlag = flag.Int("rounds", 4, "changes while deliveries are in flight")
	killsFlag  = flag.Int("kills", 1, "kills beside a dead and a slow destination")
	mutantFlag = flag.Bool("mutants", false, "play with servers broken on purpose, too, which have to be found out")
	seedFlag   = flag.Uint64("seed", 0, "seed of all that is random; 0 takes a new one")
)

// made is the server without a defect, which all drills share.
var made struct {
	once   sync.Once
	binary string
	err    error
}

func sound(t *testing.T) string {
	t.Helper()
	made.once.Do(func() { made.err = mutant.Build(t.Context(), made.binary, nil) })
	if made.err != nil {
		t.Fatal(made.err)
	}
	return made.binary
}

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "sluice-drill-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	made.binary = filepath.Join(dir, "sluice")
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// broken builds a server with a defect, unless mutants are not asked for.
func broken(t *testing.T, edits ...mutant.Edit) string {
	t.Helper()
	if !*mutantFlag {
		t.Skip("servers broken on purpose are played with -mutants, as make torture does")
	}
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "sluice")
	if err := mutant.Build(t.Context(), binary, edits); err != nil {
		t.Fatal(err)
	}
	return binary
}

// refusedIsDelivered lets the server take every try for a success.
var refusedIsDelivered = mutant.Edit{File: "deliver/step.go", Old: "	res := d.call(ctx, l, dest, b)\n", New: "	res := d.call(ctx, l, dest, b)\n	res.Err = nil\n"}

// seed returns what the flag says, or a new one.
func seed(t *testing.T) uint64 {
	s := *seedFlag
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("seed %d", s)
	return s
}

// background posts until stop is called, which waits until the last request is
// complete or cannot be.
func background(t *testing.T, p *drill.Producer) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { p.Run(ctx) })
	return func() {
		cancel()
		wg.Wait()
	}
}

// settled waits until streams have nothing pending, and returns what is wrong with
// their ledgers: what was delivered has to have arrived.
func settled(t *testing.T, s *drill.Server, list ...*drill.Receiver) (found []string) {
	t.Helper()
	for _, r := range list {
		tried := time.Now()
		drill.Await(t, r.Name+" to have everything", func(ctx context.Context) error {
			v, err := s.Admin.Stream(ctx, r.ID)
			if err != nil {
				return err
			}
			if v.Ledger.Pending > 0 {
				if time.Since(tried) > 500*time.Millisecond {
					_, _ = s.Admin.RetryStream(ctx, r.ID) // it may not be waiting
					tried = time.Now()
				}
				return fmt.Errorf("%s: %+v", v.Status, v.Ledger)
			}
			return nil
		})
		found = append(found, r.Wrong()...)
	}
	return found
}

// whole compares a stream that wants everything of its namespace with what arrived.
func whole(t *testing.T, s *drill.Server, r *drill.Receiver, acked int) (found []string) {
	t.Helper()
	v, err := s.Admin.Stream(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	held, l := r.Held(), v.Ledger
	if missing := r.Missing(0, acked); len(missing) > 0 {
		found = append(found, fmt.Sprintf("%s: lost: events %v and maybe more of %d", r.Name, missing, acked))
	}
	if !l.Balanced() || l.Expired+l.Quarantined+l.Filtered > 0 || l.Delivered != uint64(held.Events+held.Own) {
		found = append(found, fmt.Sprintf("%s: the ledger is wrong: got %+v, and %d events and %d of the server's own arrived", r.Name, l, held.Events, held.Own))
	}
	return found
}

func median(list []time.Duration) time.Duration {
	if len(list) == 0 {
		return 0
	}
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
