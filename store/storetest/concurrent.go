package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluicelog/sluice/store"
)

const workers = 16

// together runs work in many goroutines that begin at the same moment.
func together(work func(worker int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for w := range workers {
		wg.Go(func() {
			<-start
			work(w)
		})
	}
	close(start)
	wg.Wait()
}

func testOneCreator(t *testing.T, s store.Store) {
	for round := range 10 {
		key := fmt.Sprintf("key/%d", round)
		var won atomic.Int32
		together(func(w int) {
			errs := s.Apply(t.Context(), store.Change{Key: key, Value: []byte(strconv.Itoa(w))})
			if errs == nil {
				won.Add(1)
			} else if !errors.Is(errs[0], store.ErrConflict) {
				t.Errorf("create: got %v, want %v", errs[0], store.ErrConflict)
			}
		})
		if got := won.Load(); got != 1 {
			t.Errorf("creators of %q: got %d, want 1", key, got)
		}
	}
}

// testNoLostUpdate counts in one record with all workers and in one record per
// worker, in the same calls.
func testNoLostUpdate(t *testing.T, s store.Store) {
	const each = 20
	put(t, s, "shared", "0", 0)
	var mu sync.Mutex
	versions := make(map[uint64]bool)
	together(func(w int) {
		own, version := fmt.Sprintf("own/%d", w), uint64(0)
		for done := 0; done < each; {
			r, err := s.Get(t.Context(), "shared")
			if err != nil {
				t.Errorf("Get: %v", err)
				return
			}
			n, _ := strconv.Atoi(string(r.Value))
			var shared uint64
			errs := s.Apply(t.Context(),
				store.Change{Key: "shared", Value: []byte(strconv.Itoa(n + 1)), Version: r.Version, NewVersion: &shared},
				store.Change{Key: own, Value: []byte("v"), Version: version, NewVersion: &version},
			)
			if errs == nil {
				done++
				mu.Lock()
				if versions[shared] {
					t.Errorf("version %d was given twice", shared)
				}
				versions[shared] = true
				mu.Unlock()
				continue
			}
			if !errors.Is(errs[0], store.ErrConflict) || errs[1] != nil {
				t.Errorf("Apply: got %v, want at most a conflict of the shared record", errs)
				return
			}
		}
	})
	wantValue(t, s, "shared", strconv.Itoa(workers*each))
}

func testListWhileChanging(t *testing.T, s store.Store) {
	const fixed = 500
	create(t, s, "a/", fixed, []byte("v"))
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			var v uint64
			key := fmt.Sprintf("a/%06d+", i%fixed)
			if errs := s.Apply(t.Context(), store.Change{Key: key, Value: []byte("v"), NewVersion: &v}); errs != nil {
				t.Errorf("create: got %v, want nil", errs)
				return
			}
			if errs := s.Apply(t.Context(), store.Change{Key: key, Version: v}); errs != nil {
				t.Errorf("delete: got %v, want nil", errs)
				return
			}
		}
	})
	for range 10 {
		n, last := 0, ""
		for r, err := range s.List(t.Context(), "a/") {
			if err != nil || r.Key <= last {
				t.Errorf("List: got %q after %q, error %v; want ascending keys", r.Key, last, err)
				break
			}
			if last = r.Key; len(r.Key) == len("a/000000") {
				n++
			}
		}
		if n != fixed {
			t.Errorf("List: got %d of the records that did not change, want %d", n, fixed)
		}
	}
	stop()
	wg.Wait()
}

// testCancelledWhileBusy cancels calls at any moment: what answers with the
// context's error must not have happened, and the rest must.
func testCancelledWhileBusy(t *testing.T, s store.Store) {
	together(func(w int) {
		for i := range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(cancel)
			key := fmt.Sprintf("%d/%d", w, i)
			errs := s.Apply(ctx, store.Change{Key: key, Value: []byte("v")})
			wg.Wait()
			_, err := s.Get(t.Context(), key)
			switch {
			case errs == nil && err != nil:
				t.Errorf("Get of a carried out change: %v", err)
			case errs != nil && (!errors.Is(errs[0], context.Canceled) || !errors.Is(err, store.ErrNotFound)):
				t.Errorf("cancelled Apply: got %v, then Get gave %v; want %v and %v",
					errs, err, context.Canceled, store.ErrNotFound)
			}
		}
	})
}

// testCloseWhileBusy closes under load: each call is carried out or answers
// ErrClosed, and none hangs.
func testCloseWhileBusy(t *testing.T, s store.Store) {
	var applied sync.WaitGroup
	applied.Add(workers)
	var closing sync.WaitGroup
	closing.Go(func() {
		applied.Wait()
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	together(func(w int) {
		for i := 0; ; i++ {
			errs := s.Apply(t.Context(), store.Change{Key: fmt.Sprintf("%d/%d", w, i), Value: []byte("v")})
			if i == 0 {
				applied.Done()
			}
			_, getErr := s.Get(t.Context(), "0/0")
			if errs == nil && (getErr == nil || errors.Is(getErr, store.ErrNotFound)) {
				continue
			}
			for _, err := range append(errs, getErr) {
				if err != nil && !errors.Is(err, store.ErrClosed) && !errors.Is(err, store.ErrNotFound) {
					t.Errorf("call during Close: got %v, want %v", err, store.ErrClosed)
				}
			}
			return
		}
	})
	closing.Wait()
}
