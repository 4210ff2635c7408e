package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/store"
)

// awkward are keys that engines are tempted to mistake for patterns, or to sort
// by something else than their bytes.
var awkward = [...]string{
	"A", "a", "a ", "a!", "a%", "a%b", "a*", "a-b", "a.b", "a/", "a/b", "a/b/c", "a0", "a>", "a?b",
	"a[b]", "a\\", "a\nb", "a_", "a_b", "aa", "ab", "a\u007f", "a\u0080", "aé", "a\ufffd", "a\U0010ffff",
	"b", "Straße", "straße", "é", "日本", "日本/語", "\U0001f600",
}

func testPrefixes(t *testing.T, s store.Store) {
	for _, key := range awkward {
		put(t, s, key, "value of "+key, 0)
	}
	sorted := slices.Sorted(slices.Values(awkward[:]))
	prefixes := append([]string{"", "A", "a", "zzz", "a/b/c/d", "a\U0010ffff", "\xff"}, awkward[:]...)
	for _, prefix := range prefixes {
		var want []string
		for _, key := range sorted {
			if strings.HasPrefix(key, prefix) {
				want = append(want, key)
			}
		}
		if got := keys(t, s, prefix); !slices.Equal(got, want) {
			t.Errorf("List %q: got %q, want %q", prefix, got, want)
		}
	}
	for r, err := range s.List(t.Context(), "a") {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		wantRecord(t, s, r.Key, "value of "+r.Key, r.Version)
		if string(r.Value) != "value of "+r.Key {
			t.Errorf("List: got %q for %q, want its own value", r.Value, r.Key)
		}
	}
}

// create makes n records with keys in order under prefix.
func create(t *testing.T, s store.Store, prefix string, n int, value []byte) {
	t.Helper()
	changes := make([]store.Change, n)
	for i := range changes {
		changes[i] = store.Change{Key: fmt.Sprintf("%s%06d", prefix, i), Value: value}
	}
	if errs := s.Apply(t.Context(), changes...); errs != nil {
		t.Fatalf("create %d records: got %v, want nil", n, errors.Join(errs...))
	}
}

func testListMany(t *testing.T, s store.Store) {
	const n = 2000
	create(t, s, "a/", n, []byte("v"))
	create(t, s, "b/", 10, []byte("v"))
	all := s.List(t.Context(), "a/")
	for range 2 { // a listing can be ranged over again
		i := 0
		for r, err := range all {
			if want := fmt.Sprintf("a/%06d", i); err != nil || r.Key != want {
				t.Fatalf("record %d: got %q, error %v; want %q", i, r.Key, err, want)
			}
			i++
		}
		if i != n {
			t.Errorf("List: got %d records, want %d", i, n)
		}
	}
	i := 0
	for range all {
		if i++; i == 3 {
			break
		}
	}
	put(t, s, "c", "after an unfinished listing", 0)
}

func testListLargeValues(t *testing.T, s store.Store) {
	value := make([]byte, 700<<10)
	create(t, s, "a", 5, value)
	n := 0
	for r, err := range s.List(t.Context(), "a") {
		if err != nil || len(r.Value) != len(value) {
			t.Fatalf("List of large values: got %d bytes, error %v; want %d", len(r.Value), err, len(value))
		}
		n++
	}
	if n != 5 {
		t.Errorf("List of large values: got %d records, want 5", n)
	}
}

// testListAndChange changes records from within the listing: it must not wait
// for itself, and what did not change must come exactly once.
func testListAndChange(t *testing.T, s store.Store) {
	const n = 600
	create(t, s, "a", n, []byte("v"))
	seen := make(map[string]int)
	for r, err := range s.List(t.Context(), "a") {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		seen[r.Key]++
		wantValue(t, s, r.Key, "v")
		if errs := s.Apply(t.Context(),
			store.Change{Key: r.Key, Version: r.Version},
			store.Change{Key: "b" + r.Key, Value: []byte("v")},
		); errs != nil {
			t.Fatalf("change while listing: got %v, want nil", errs)
		}
	}
	for key, times := range seen {
		if times != 1 {
			t.Errorf("record %q: listed %d times, want once", key, times)
		}
	}
	if len(seen) != n {
		t.Errorf("List: got %d records, want %d", len(seen), n)
	}
}

func testCancelled(t *testing.T, s store.Store) {
	create(t, s, "a", 600, []byte("v"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n, last := 0, error(nil)
	for _, err := range s.List(ctx, "a") {
		if last != nil {
			t.Fatalf("List went on after error %v", last)
		}
		if last = err; err == nil {
			n++
		}
		cancel()
	}
	if !errors.Is(last, context.Canceled) || n == 0 || n == 600 {
		t.Errorf("List cancelled on the way: got %d records and error %v, want some and %v", n, last, context.Canceled)
	}
	if _, err := s.Get(ctx, "a000000"); !errors.Is(err, context.Canceled) {
		t.Errorf("Get: got error %v, want %v", err, context.Canceled)
	}
	for _, err := range s.List(ctx, "a") {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("List: got error %v, want %v", err, context.Canceled)
		}
	}
	errs := s.Apply(ctx, store.Change{Key: "b", Value: []byte("v")}, store.Change{Key: "c", Value: []byte("v")})
	wantErrors(t, "Apply", errs, context.Canceled, context.Canceled)
	if _, err := s.Get(t.Context(), "b"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get of what was cancelled: got error %v, want %v", err, store.ErrNotFound)
	}
}

func testClosed(t *testing.T, s store.Store) {
	put(t, s, "a", "v", 0)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	if _, err := s.Get(t.Context(), "a"); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Get: got error %v, want %v", err, store.ErrClosed)
	}
	wantErrors(t, "Apply", s.Apply(t.Context(), store.Change{Key: "b", Value: []byte("v")}), store.ErrClosed)
	n := 0
	for _, err := range s.List(t.Context(), "") {
		if n++; !errors.Is(err, store.ErrClosed) {
			t.Errorf("List: got error %v, want %v", err, store.ErrClosed)
		}
	}
	if n != 1 {
		t.Errorf("List: got %d answers, want 1", n)
	}
}
