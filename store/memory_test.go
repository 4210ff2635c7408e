package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/store"
	"github.com/sluicelog/sluice/store/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Test(t, func(*testing.T) store.Store { return store.NewMemory() })
}

func TestMemoryReopen(t *testing.T) {
	last := store.NewMemory()
	storetest.TestReopen(t, func(*testing.T, string) store.Store {
		last = last.Snapshot()
		return last
	})
}

// What a killed process still does must not reach its successor.
func TestMemorySnapshot(t *testing.T) {
	m := store.NewMemory()
	m.Apply(t.Context(), store.Change{Key: "a", Value: []byte("v")})
	next := m.Snapshot()
	m.Apply(t.Context(), store.Change{Key: "b", Value: []byte("v")})
	if _, err := next.Get(t.Context(), "a"); err != nil {
		t.Errorf("Get of a record of before: %v", err)
	}
	if _, err := next.Get(t.Context(), "b"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get of a later record: got error %v, want %v", err, store.ErrNotFound)
	}
}

func TestMemoryHooks(t *testing.T) {
	broken := errors.New("the connection broke")
	m := store.NewMemory()
	m.SetBefore(func(c store.Change) error {
		if c.Key == "full" {
			return store.ErrFull
		}
		return nil
	})
	m.SetAfter(func(c store.Change) error {
		if c.Key == "broken" {
			return broken
		}
		return nil
	})
	errs := m.Apply(t.Context(),
		store.Change{Key: "full", Value: []byte("v")},
		store.Change{Key: "broken", Value: []byte("v")},
		store.Change{Key: "fine", Value: []byte("v")},
	)
	for i, want := range []error{store.ErrFull, broken, nil} {
		if !errors.Is(errs[i], want) {
			t.Errorf("answer %d: got %v, want %v", i, errs[i], want)
		}
	}
	if _, err := m.Get(t.Context(), "full"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get after an error before: got error %v, want %v", err, store.ErrNotFound)
	}
	if _, err := m.Get(t.Context(), "broken"); err != nil {
		t.Errorf("Get after an error afterwards: %v", err)
	}
}

// A hook that waits plays a slow disk in simulated time: others are not held up.
func TestMemoryInSimulatedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := store.NewMemory()
		m.SetBefore(func(c store.Change) error {
			if c.Key == "slow" {
				<-time.After(time.Hour)
			}
			return nil
		})
		began := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { m.Apply(context.Background(), store.Change{Key: "slow", Value: []byte("v")}) })
		synctest.Wait()
		if errs := m.Apply(t.Context(), store.Change{Key: "quick", Value: []byte("v")}); errs != nil {
			t.Errorf("quick change: got %v, want nil", errs)
		}
		if got := time.Since(began); got != 0 {
			t.Errorf("quick change took %v, want no time", got)
		}
		wg.Wait()
		if got := time.Since(began); got != time.Hour {
			t.Errorf("slow change took %v, want an hour", got)
		}
	})
}
