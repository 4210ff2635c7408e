package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// maxTries bounds every loop of read, change and compare-and-set. Of those who
// compete for a record one succeeds in each round, so reaching it means that
// something is wrong rather than that there is much to do.
const maxTries = 256

// Load reads the record of key as JSON and returns it with its version. It
// answers [ErrNotFound] when there is none.
func Load[T any](ctx context.Context, s Store, key string) (T, uint64, error) {
	var v T
	r, err := s.Get(ctx, key)
	if err != nil {
		return v, 0, fmt.Errorf("load %q: %w", key, err)
	}
	if err := json.Unmarshal(r.Value, &v); err != nil {
		return v, 0, fmt.Errorf("load %q: %w", key, err)
	}
	return v, r.Version, nil
}

// Save writes v as JSON over the given version of key, 0 to create it, and
// returns the new version. It answers [ErrConflict] when the record has another
// version by now.
func Save(ctx context.Context, s Store, key string, v any, version uint64) (uint64, error) {
	value, err := json.Marshal(v)
	if err != nil {
		return 0, fmt.Errorf("save %q: %w", key, err)
	}
	c := Change{Key: key, Value: value, Version: version, NewVersion: new(uint64)}
	if err := applyOne(ctx, s, c); err != nil {
		return 0, fmt.Errorf("save %q: %w", key, err)
	}
	return *c.NewVersion, nil
}

// Delete removes the given version of key. It answers [ErrConflict] when the
// record has another version by now or is gone.
func Delete(ctx context.Context, s Store, key string, version uint64) error {
	if err := applyOne(ctx, s, Change{Key: key, Version: version}); err != nil {
		return fmt.Errorf("delete %q: %w", key, err)
	}
	return nil
}

// Update reads the record of key as JSON, lets edit change it, writes it back
// and returns what is stored then. When somebody else was faster it starts
// again, so edit may run several times and must depend on nothing but its
// arguments; found is false, and v the zero value, when there is no record yet.
//
// An error of edit ends the update and is returned as it is; nothing is written
// then, nor when edit leaves the record as it was. After very many lost races
// Update gives up with [ErrConflict].
func Update[T any](ctx context.Context, s Store, key string, edit func(v *T, found bool) error) (T, error) {
	var stored T
	err := update(ctx, s, key, func(old []byte) ([]byte, error) {
		var v T
		if old != nil {
			if err := json.Unmarshal(old, &v); err != nil {
				return nil, err
			}
		}
		if err := edit(&v, old != nil); err != nil {
			return nil, err
		}
		stored = v
		return json.Marshal(v)
	})
	if err != nil {
		var zero T
		return zero, err
	}
	return stored, nil
}

// NextID returns the next integer of a counter, which begins at 1. No two calls
// ever get the same one, whatever becomes of the things they number; an integer
// is lost when its caller fails afterwards.
func NextID(ctx context.Context, s Store, counter string) (int64, error) {
	var id int64
	key := "counter/" + counter
	err := update(ctx, s, key, func(old []byte) ([]byte, error) {
		id = 0
		if old != nil {
			last, err := strconv.ParseInt(string(old), 10, 64)
			if err != nil {
				return nil, fmt.Errorf("read counter %q: %w", key, err)
			}
			id = last
		}
		id++
		return strconv.AppendInt(nil, id, 10), nil
	})
	if err != nil {
		return 0, err
	}
	return id, nil
}

// update replaces the value of key, nil when absent, by what next makes of it,
// again and again until nobody else came between. A nil result deletes.
func update(ctx context.Context, s Store, key string, next func(old []byte) ([]byte, error)) error {
	for try := range maxTries {
		if err := pause(ctx, try); err != nil {
			return err
		}
		r, err := s.Get(ctx, key)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return fmt.Errorf("update %q: %w", key, err)
		}
		value, err := next(r.Value)
		if err != nil {
			return err
		}
		if bytes.Equal(value, r.Value) && (value == nil) == (r.Value == nil) {
			return nil
		}
		err = applyOne(ctx, s, Change{Key: key, Value: value, Version: r.Version})
		if err == nil {
			return nil
		}
		if !errors.Is(err, ErrConflict) {
			return fmt.Errorf("update %q: %w", key, err)
		}
	}
	return fmt.Errorf("update %q: gave up after %d tries: %w", key, maxTries, ErrConflict)
}

// applyOne carries out a single change.
func applyOne(ctx context.Context, s Store, c Change) error {
	if errs := s.Apply(ctx, c); errs != nil {
		return errs[0]
	}
	return nil
}

// pause lets those who compete for a record drift apart: nothing for the first
// tries, then a random time that grows to 20 ms.
func pause(ctx context.Context, try int) error {
	if try < 4 {
		return ctx.Err()
	}
	longest := min(time.Millisecond<<min(try-4, 5), 20*time.Millisecond)
	t := time.NewTimer(rand.N(longest))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
