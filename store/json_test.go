package store_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/store"
)

type lamp struct {
	Lit   bool
	Turns int
}

func TestSaveLoadDelete(t *testing.T) {
	s := store.NewMemory()
	if _, _, err := store.Load[lamp](t.Context(), s, "lamp"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Load of an absent record: got error %v, want %v", err, store.ErrNotFound)
	}
	v, err := store.Save(t.Context(), s, "lamp", lamp{Turns: 3}, 0)
	if err != nil || v == 0 {
		t.Fatalf("Save: got version %d, error %v; want a version", v, err)
	}
	got, version, err := store.Load[lamp](t.Context(), s, "lamp")
	if want := (lamp{Turns: 3}); got != want || version != v || err != nil {
		t.Errorf("Load: got %+v version %d, error %v; want %+v version %d", got, version, err, want, v)
	}
	if _, err := store.Save(t.Context(), s, "lamp", lamp{}, 0); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Save over what exists: got error %v, want %v", err, store.ErrConflict)
	}
	if _, err := store.Save(t.Context(), s, "lamp", func() {}, v); err == nil {
		t.Error("Save of what is no JSON: got no error")
	}
	if err := store.Delete(t.Context(), s, "lamp", v+1); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Delete of another version: got error %v, want %v", err, store.ErrConflict)
	}
	if err := store.Delete(t.Context(), s, "lamp", v); err != nil {
		t.Errorf("Delete: %v", err)
	}
	s.Apply(t.Context(), store.Change{Key: "lamp", Value: []byte("{")})
	if _, _, err := store.Load[lamp](t.Context(), s, "lamp"); err == nil {
		t.Error("Load of a damaged record: got no error")
	}
	if _, err := store.Update(t.Context(), s, "lamp", func(*lamp, bool) error { return nil }); err == nil {
		t.Error("Update of a damaged record: got no error")
	}
}

func TestUpdate(t *testing.T) {
	s := store.NewMemory()
	turn := func(l *lamp, found bool) error {
		if found != (l.Turns > 0) {
			t.Errorf("edit: found is %v for %+v", found, *l)
		}
		l.Turns++
		l.Lit = !l.Lit
		return nil
	}
	for i := range 3 {
		got, err := store.Update(t.Context(), s, "lamp", turn)
		if want := (lamp{Lit: i%2 == 0, Turns: i + 1}); got != want || err != nil {
			t.Errorf("Update %d: got %+v, error %v; want %+v", i, got, err, want)
		}
	}
	before, _ := s.Get(t.Context(), "lamp")
	if _, err := store.Update(t.Context(), s, "lamp", func(*lamp, bool) error { return nil }); err != nil {
		t.Errorf("Update without a change: %v", err)
	}
	stop := errors.New("stop")
	_, err := store.Update(t.Context(), s, "lamp", func(l *lamp, _ bool) error { l.Turns = 0; return stop })
	if err != stop {
		t.Errorf("Update whose edit fails: got error %v, want %v itself", err, stop)
	}
	if after, _ := s.Get(t.Context(), "lamp"); after.Version != before.Version {
		t.Errorf("version after updates that wrote nothing: got %d, want %d", after.Version, before.Version)
	}
}

func TestUpdateRaces(t *testing.T) {
	s := store.NewMemory()
	const workers, each = 16, 50
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				if _, err := store.Update(t.Context(), s, "lamp", func(l *lamp, _ bool) error {
					l.Turns++
					return nil
				}); err != nil {
					t.Errorf("Update: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if got, _, _ := store.Load[lamp](t.Context(), s, "lamp"); got.Turns != workers*each {
		t.Errorf("turns: got %d, want %d", got.Turns, workers*each)
	}
}

// Somebody else is always faster: the loop must end, and end early when the
// caller gives up.
func TestUpdateGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.NewMemory()
		tries := 0
		lose := func(l *lamp, _ bool) error {
			tries++
			other, _ := s.Get(context.Background(), "lamp")
			s.Apply(context.Background(), store.Change{Key: "lamp", Value: []byte(`{}`), Version: other.Version})
			l.Turns = tries
			return nil
		}
		if _, err := store.Update(t.Context(), s, "lamp", lose); !errors.Is(err, store.ErrConflict) || tries < 100 {
			t.Errorf("Update that always loses: got error %v after %d tries, want %v after many",
				err, tries, store.ErrConflict)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := store.Update(ctx, s, "lamp", lose); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Update past its deadline: got error %v, want %v", err, context.DeadlineExceeded)
		}
	})
}

func TestNextID(t *testing.T) {
	s := store.NewMemory()
	const workers, each = 16, 50
	var mu sync.Mutex
	var got []int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				id, err := store.NextID(t.Context(), s, "stream")
				if err != nil {
					t.Errorf("NextID: %v", err)
				}
				mu.Lock()
				got = append(got, id)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(got)
	for i, id := range got {
		if id != int64(i+1) {
			t.Fatalf("ids in order: got %d at place %d, want %d", id, i, i+1)
		}
	}
	if id, err := store.NextID(t.Context(), s, "project"); id != 1 || err != nil {
		t.Errorf("NextID of another counter: got %d, error %v; want 1", id, err)
	}
	r, _ := s.Get(t.Context(), "counter/project")
	s.Apply(t.Context(), store.Change{Key: r.Key, Value: []byte("many"), Version: r.Version})
	if _, err := store.NextID(t.Context(), s, "project"); err == nil {
		t.Error("NextID of a damaged counter: got no error")
	}
}

// A change whose answer was lost costs an id and never gives one twice.
func TestNextIDLostAnswer(t *testing.T) {
	s := store.NewMemory()
	lost := errors.New("answer lost")
	fail := true
	s.SetAfter(func(store.Change) error {
		if fail {
			return lost
		}
		return nil
	})
	if _, err := store.NextID(t.Context(), s, "stream"); !errors.Is(err, lost) {
		t.Errorf("NextID with a lost answer: got error %v, want %v", err, lost)
	}
	fail = false
	if id, err := store.NextID(t.Context(), s, "stream"); id != 2 || err != nil {
		t.Errorf("NextID afterwards: got %d, error %v; want 2", id, err)
	}
}
