package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicelog/sluice/store"
)

const claimTimeout = time.Minute

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// town is a store with owners: records under "owner/".
type town struct {
	*store.Memory
}

func newTown() town { return town{store.NewMemory()} }

func (w town) exists(ctx context.Context, owner string) (bool, error) {
	_, err := w.Get(ctx, "owner/"+owner)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (w town) settle(t *testing.T, owner string) {
	t.Helper()
	if errs := w.Apply(t.Context(), store.Change{Key: "owner/" + owner, Value: []byte("here")}); errs != nil {
		t.Fatalf("create owner: %v", errs)
	}
}

func (w town) leave(t *testing.T, owner string) {
	t.Helper()
	r, err := w.Get(t.Context(), "owner/"+owner)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	if errs := w.Apply(t.Context(), store.Change{Key: r.Key, Version: r.Version}); errs != nil {
		t.Fatalf("delete owner: %v", errs)
	}
}

func (w town) claim(t *testing.T, value, owner string, at time.Time) error {
	t.Helper()
	return store.Claim(t.Context(), w, "house", value, owner, w.exists, at, claimTimeout)
}

func wantClaim(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestClaim(t *testing.T) {
	w := newTown()
	wantClaim(t, "a free value", w.claim(t, "7", "ann", noon), nil)
	wantClaim(t, "the same again", w.claim(t, "7", "ann", noon), nil)
	wantClaim(t, "another value", w.claim(t, "8", "bob", noon), nil)
	wantClaim(t, "a value claimed just now", w.claim(t, "7", "bob", noon.Add(claimTimeout-1)), store.ErrTaken)
	wantClaim(t, "a clock that lags", w.claim(t, "7", "bob", noon.Add(-time.Hour)), store.ErrTaken)
	w.settle(t, "ann")
	wantClaim(t, "a live owner's value", w.claim(t, "7", "bob", noon.Add(24*time.Hour)), store.ErrTaken)
	wantClaim(t, "a live owner's own", w.claim(t, "7", "ann", noon.Add(24*time.Hour)), nil)
}

func TestClaimVoid(t *testing.T) {
	w := newTown()
	wantClaim(t, "a free value", w.claim(t, "7", "ann", noon), nil)
	wantClaim(t, "a void claim", w.claim(t, "7", "bob", noon.Add(claimTimeout)), nil)
	wantClaim(t, "the loser's", w.claim(t, "7", "ann", noon.Add(claimTimeout)), store.ErrTaken)
	wantClaim(t, "a repeated claim", w.claim(t, "7", "bob", noon.Add(2*claimTimeout-1)), nil)
	wantClaim(t, "a claim whose time began anew", w.claim(t, "7", "ann", noon.Add(2*claimTimeout)), store.ErrTaken)
	w.settle(t, "bob")
	w.leave(t, "bob")
	wantClaim(t, "one left behind by a deleted owner", w.claim(t, "7", "ann", noon.Add(time.Hour)), nil)
}

func TestRelease(t *testing.T) {
	w := newTown()
	release := func(owner string) error { return store.Release(t.Context(), w, "house", "7", owner) }
	wantClaim(t, "release of what nobody holds", release("ann"), nil)
	wantClaim(t, "a free value", w.claim(t, "7", "ann", noon), nil)
	wantClaim(t, "release by another", release("bob"), nil)
	wantClaim(t, "a value still held", w.claim(t, "7", "bob", noon), store.ErrTaken)
	wantClaim(t, "release", release("ann"), nil)
	wantClaim(t, "release again", release("ann"), nil)
	wantClaim(t, "a released value", w.claim(t, "7", "bob", noon), nil)
}

func TestClaimAnyValue(t *testing.T) {
	w := newTown()
	long := strings.Repeat("acme/", 1000)
	for i, value := range []string{"", "a/b", "é", "\x00", "\xff", "\xfe", long, long + "x"} {
		owner := fmt.Sprint("owner", i)
		wantClaim(t, fmt.Sprintf("value %.20q", value), w.claim(t, value, owner, noon), nil)
		wantClaim(t, fmt.Sprintf("value %.20q again", value), w.claim(t, value, owner, noon), nil)
		wantClaim(t, fmt.Sprintf("value %.20q by another", value), w.claim(t, value, "x", noon), store.ErrTaken)
	}
}

func TestClaimErrors(t *testing.T) {
	w := newTown()
	wantClaim(t, "a free value", w.claim(t, "7", "ann", noon), nil)
	broken := errors.New("broken")
	err := store.Claim(t.Context(), w, "house", "7", "bob",
		func(context.Context, string) (bool, error) { return false, broken }, noon.Add(time.Hour), claimTimeout)
	wantClaim(t, "an owner that cannot be looked up", err, broken)
	w.SetBefore(func(store.Change) error { return store.ErrFull })
	wantClaim(t, "a full store", w.claim(t, "8", "bob", noon), store.ErrFull)
	w.SetBefore(nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = store.Claim(ctx, w, "house", "8", "bob", w.exists, noon, claimTimeout)
	wantClaim(t, "a cancelled claim", err, context.Canceled)
}

// In each round many claim one value, which is free, void or released just then:
// one gets it, and nobody else before that one is gone.
func TestClaimRaces(t *testing.T) {
	w := newTown()
	now := noon
	for round := range 30 {
		var won atomic.Int32
		var winner atomic.Value
		var wg sync.WaitGroup
		for c := range 16 {
			owner := fmt.Sprintf("%d/%d", round, c)
			wg.Go(func() {
				err := store.Claim(t.Context(), w, "house", "7", owner, w.exists, now, claimTimeout)
				if err == nil {
					won.Add(1)
					winner.Store(owner)
				} else if !errors.Is(err, store.ErrTaken) {
					t.Errorf("Claim: got %v, want %v", err, store.ErrTaken)
				}
			})
		}
		wg.Wait()
		if got := won.Load(); got != 1 {
			t.Fatalf("round %d: %d claimers won, want 1", round, got)
		}
		owner := winner.Load().(string)
		switch round % 3 {
		case 0: // killed before it was created
			now = now.Add(claimTimeout)
		case 1: // lived, and was deleted without a release
			w.settle(t, owner)
			now = now.Add(claimTimeout)
			w.leave(t, owner)
		case 2:
			if err := store.Release(t.Context(), w, "house", "7", owner); err != nil {
				t.Fatalf("Release: %v", err)
			}
		}
	}
}

// A takeover that began before the holder repeated its claim must lose.
func TestClaimTakeoverLosesToRepetition(t *testing.T) {
	w := newTown()
	wantClaim(t, "a free value", w.claim(t, "7", "ann", noon), nil)
	late := noon.Add(claimTimeout)
	asked := 0
	err := store.Claim(t.Context(), w, "house", "7", "bob", func(ctx context.Context, owner string) (bool, error) {
		if asked++; asked == 1 {
			wantClaim(t, "a repeated claim", w.claim(t, "7", "ann", late), nil)
		}
		return w.exists(ctx, owner)
	}, late, claimTimeout)
	wantClaim(t, "the takeover", err, store.ErrTaken)
}
