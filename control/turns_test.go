package control_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/store"
)

// A stream that is changed while delivery takes it in begins where it was to begin.
func TestChangeOfAStreamThatBegins(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		w.Post("acme", "user.add", 3)
		synctest.Wait()
		begun := make(chan struct{})
		var looked atomic.Bool
		look := func() {
			if !looked.Swap(true) { // delivery looks for the end
				<-begun
			}
		}
		w.Looks.Store(&look)
		var made, changed error
		var both sync.WaitGroup
		both.Go(func() {
			_, made = w.Service.CreateStream(t.Context(), w.Admin, spec(func(s *control.StreamSpec) {
				s.Start, s.Until = "earliest", time.Now().Add(time.Hour).Format(time.RFC3339)
			}))
		})
		synctest.Wait()
		both.Go(func() {
			_, changed = w.Service.UpdateStream(t.Context(), w.Admin, 1, control.StreamPatch{Name: new("another")})
		})
		synctest.Wait()
		close(begun)
		both.Wait()
		synctest.Wait()
		if made != nil || changed != nil {
			t.Fatalf("made: error %v, changed: error %v", made, changed)
		}
		s, err := w.Service.Stream(t.Context(), w.Admin, 1)
		if err != nil || s.Name != "another" {
			t.Errorf("got %+v, error %v, want the stream with its new name", s, err)
		}
		if got := len(w.Kind.Received("sink.example")); got < 3 || s.Ledger.Filtered != 0 || s.Ledger.Pending != 0 {
			t.Errorf("%d events came, ledger %+v: want all of them delivered", got, s.Ledger)
		}
	})
}

// Sealing anew waits for a stream before it holds up who drops keys: who changes the
// stream has to get on.
func TestResealWaitsForTheStreamFirst(t *testing.T) {
	hung := time.AfterFunc(time.Minute, func() { panic("a change of a stream, sealing anew and dropping keys wait for each other") })
	defer hung.Stop()
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		id := create(t, w).ID
		// The first try to seal anew fails, and comes again after a pause.
		w.Store.SetBefore(func(c store.Change) error {
			if c.Key == "stream/1" {
				return errors.New("not now")
			}
			return nil
		})
		if _, err := w.Service.RotateKeys(ctx, w.Admin); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var changes sync.WaitGroup
		var failed [3]error
		change := func(i int, name string) {
			changes.Go(func() {
				_, failed[i] = w.Service.UpdateStream(ctx, w.Admin, id, control.StreamPatch{Name: &name})
			})
			synctest.Wait()
		}
		held := make(chan struct{})
		var first atomic.Bool
		w.Store.SetBefore(func(c store.Change) error {
			if c.Key == "stream/1" && !first.Swap(true) {
				<-held
			}
			return nil
		})
		change(0, "one") // has the stream; behind it wait, in this order:
		changes.Go(func() { _, failed[2] = w.Service.PruneKeys(ctx, w.Admin) })
		synctest.Wait()
		change(1, "two")
		time.Sleep(10 * time.Second) // and who seals anew, again
		synctest.Wait()
		close(held)
		changes.Wait()
		for i, err := range failed {
			if err != nil {
				t.Errorf("change %d: %v", i, err)
			}
		}
		if keys := sealingKeys(t, w); len(keys.Keys) != 1 || keys.Pending != 0 {
			t.Errorf("got %+v, want one key that sealed all", keys)
		}
	})
}
