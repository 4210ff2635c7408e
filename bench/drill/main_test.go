package drill_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluicelog/sluice/bench/drill"
	"github.com/sluicelog/sluice/bench/mutant"
	"github.com/sluicelog/sluice/bench/server"
)

var (
	startsFlag = flag.Int("starts", 15, "how often the server is started and ended in a storm")
	roundsFlag = flag.Int("rounds", 4, "changes while deliveries are in flight")
	killsFlag  = flag.Int("kills", 1, "kills beside a dead and a slow destination")
	binaryFlag = flag.String("binary", "", "the server that opens the data of earlier ones; built when it is not given")
	seedFlag   = flag.Uint64("seed", 0, "seed of all that is random; 0 takes a new one")
)

// made is the server without a defect, which all drills share.
var made = mutant.Shared{}

func TestMain(m *testing.M) { made.Run(m) }

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

// whole waits until streams that want everything of their namespace have it: what
// the server tells about itself may still be on its way. It returns what is wrong in
// the end.
func whole(t *testing.T, s *drill.Server, acked int, list ...*drill.Receiver) (found []string) {
	t.Helper()
	err := server.Await(t.Context(), server.Patience, "whole streams", func(ctx context.Context) error {
		found = nil
		for _, r := range list {
			v, err := s.Admin.Stream(ctx, r.ID)
			if err != nil {
				return err
			}
			held, l := r.Held(), v.Ledger
			if missing := r.Missing(0, acked); len(missing) > 0 {
				found = append(found, fmt.Sprintf("%s: lost: events %v and maybe more of %d", r.Name, missing, acked))
			}
			if !l.Balanced() || l.Expired+l.Quarantined+l.Filtered > 0 || l.Delivered != uint64(held.Events+held.Own) {
				found = append(found, fmt.Sprintf("%s: the ledger is wrong: got %+v, and %d events and %d of the server's own arrived", r.Name, l, held.Events, held.Own))
			}
		}
		if len(found) > 0 {
			return errors.New(found[0])
		}
		return nil
	})
	if err != nil && len(found) == 0 {
		found = []string{err.Error()}
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
