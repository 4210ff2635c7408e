package deliver

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
)

// A tail that finds no descriptor to open a file of the log with reads on when there
// is one again.
func TestTailWithoutADescriptor(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		w.stream(1, "acme")
		owned := func() string { // which start has the partition
			r, err := w.store.Get(t.Context(), "counter/"+epochPrefix+"audit")
			if err != nil {
				t.Error(err)
			}
			return string(r.Value)
		}
		w.full.Store(true) // so that the next start reads from the first event on
		for range 3 {      // each a block; the first is read when it is loaded
			w.post("acme", "a", 1)
		}
		time.Sleep(time.Second)
		before := owned()
		var none atomic.Bool
		var tries atomic.Int64
		none.Store(true)
		w.disk.Reading = func(_ string, seq uint64) error {
			if seq != 2 || !none.Load() || owned() == before {
				return nil
			}
			tries.Add(1)
			return fmt.Errorf("open file: %w", &os.PathError{Op: "open", Path: "audit-1", Err: syscall.EMFILE})
		}
		w.full.Store(false)
		w.crash()
		time.Sleep(time.Minute)
		if n := tries.Load(); n < 60 || n > 200 {
			t.Errorf("in a minute without a descriptor: got %d tries, want one a second of the tail and of the lane", n)
		}
		none.Store(false)
		w.expect(1, sluice.Ledger{Accepted: 3, Delivered: 3})
		w.post("acme", "a", 2)
		w.expect(1, sluice.Ledger{Accepted: 5, Delivered: 5})
	})
}
