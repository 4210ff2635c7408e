package quota

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// One who wants all places leaves some to others, and nothing is left of those who
// are done.
func TestPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPlaces(4, 3)
		ctx, stop := context.WithCancelCause(t.Context())
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if leave, err := p.Enter(ctx, "a"); err == nil {
					<-ctx.Done()
					leave()
				}
			})
		}
		synctest.Wait()
		if len(p.all) != 3 {
			t.Errorf("one who wants ten places: got %d, want 3", len(p.all))
		}
		leave, err := p.Enter(ctx, "b")
		if err != nil {
			t.Fatal(err)
		}
		slow := errors.New("slow")
		short, cancel := context.WithTimeoutCause(ctx, time.Second, slow)
		defer cancel()
		if _, err := p.Enter(short, "c"); !errors.Is(err, slow) {
			t.Errorf("when all are taken: got %v, want the cause", err)
		}
		leave()
		if leave, err = p.Enter(ctx, "c"); err != nil {
			t.Fatalf("when one is given back: %v", err)
		}
		leave()
		stop(slow)
		wg.Wait()
		if len(p.all) != 0 || len(p.shares) != 0 {
			t.Errorf("when all are done: got %d places taken and %d shares", len(p.all), len(p.shares))
		}
	})
}
