package storetest

import (
	"errors"
	"testing"

	"github.com/sluicelog/sluice/store"
)

// put carries out one change that must succeed and returns the new version.
func put(t *testing.T, s store.Store, key, value string, version uint64) uint64 {
	t.Helper()
	var v uint64
	c := store.Change{Key: key, Value: []byte(value), Version: version, NewVersion: &v}
	if errs := s.Apply(t.Context(), c); errs != nil {
		t.Fatalf("put %q over version %d: got %v, want nil", key, version, errs)
	}
	return v
}

func wantRecord(t *testing.T, s store.Store, key, value string, version uint64) {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	if err != nil || r.Key != key || string(r.Value) != value || r.Version != version {
		t.Errorf("Get %q: got %q %q version %d, error %v; want %q version %d",
			key, r.Key, r.Value, r.Version, err, value, version)
	}
}

func wantValue(t *testing.T, s store.Store, key, value string) {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	if err != nil || string(r.Value) != value {
		t.Errorf("Get %q: got %q, error %v; want %q", key, r.Value, err, value)
	}
}

func wantErrors(t *testing.T, what string, got []error, want ...error) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: got %d answers %v, want %d", what, len(got), got, len(want))
		return
	}
	for i := range want {
		if !errors.Is(got[i], want[i]) {
			t.Errorf("%s: answer %d: got %v, want %v", what, i, got[i], want[i])
		}
	}
}

// wantRefused applies a change that no store can carry out, which is another
// thing than a conflict or a lack of space.
func wantRefused(t *testing.T, s store.Store, what string, c store.Change) {
	t.Helper()
	errs := s.Apply(t.Context(), c)
	if len(errs) != 1 || errs[0] == nil || errors.Is(errs[0], store.ErrConflict) || errors.Is(errs[0], store.ErrFull) {
		t.Errorf("%s: got %v, want an error of its own", what, errs)
	}
}

// keys lists the keys under prefix in the order they came.
func keys(t *testing.T, s store.Store, prefix string) []string {
	t.Helper()
	var got []string
	for r, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("List %q: %v", prefix, err)
		}
		got = append(got, r.Key)
	}
	return got
}
