// Package storetest is the conformance suite of [store.Store]: every engine
// passes it, and a defect found in one of them becomes a case for all.
//
// [Test] holds an engine to each sentence of the port. [TestReopen] and
// [TestKill] are for engines that keep their records on a disk.
package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/sluicelog/sluice/store"
)

// Test runs the suite. Each call of open returns a new, empty store, which the
// suite closes.
func Test(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, store.Store)
	}{
		{"Absent", testAbsent},
		{"CreateReplaceDelete", testCreateReplaceDelete},
		{"Conflicts", testConflicts},
		{"EachByItself", testEachByItself},
		{"SameKeyInOneCall", testSameKeyInOneCall},
		{"NewVersion", testNewVersion},
		{"VersionsNeverRepeat", testVersionsNeverRepeat},
		{"EmptyValue", testEmptyValue},
		{"BytesBelongToTheCaller", testBytes},
		{"Limits", testLimits},
		{"BadKeys", testBadKeys},
		{"Prefixes", testPrefixes},
		{"ListMany", testListMany},
		{"ListLargeValues", testListLargeValues},
		{"ListAndChange", testListAndChange},
		{"Cancelled", testCancelled},
		{"Closed", testClosed},
		{"OneCreator", testOneCreator},
		{"NoLostUpdate", testNoLostUpdate},
		{"ListWhileChanging", testListWhileChanging},
		{"CancelledWhileBusy", testCancelledWhileBusy},
		{"CloseWhileBusy", testCloseWhileBusy},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			defer func() {
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}()
			c.test(t, s)
		})
	}
}

func testAbsent(t *testing.T, s store.Store) {
	if _, err := s.Get(t.Context(), "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get of an absent key: got error %v, want %v", err, store.ErrNotFound)
	}
	if errs := s.Apply(t.Context()); errs != nil {
		t.Errorf("Apply of nothing: got %v, want nil", errs)
	}
	if errs := s.Apply(t.Context(), store.Change{Key: "a"}); errs != nil {
		t.Errorf("delete an absent record at version 0: got %v, want nil", errs)
	}
	if got := keys(t, s, ""); len(got) != 0 {
		t.Errorf("List of an empty store: got %q, want nothing", got)
	}
}

func testCreateReplaceDelete(t *testing.T, s store.Store) {
	v1 := put(t, s, "a", "one", 0)
	wantRecord(t, s, "a", "one", v1)
	v2 := put(t, s, "a", "two", v1)
	wantRecord(t, s, "a", "two", v2)
	if errs := s.Apply(t.Context(), store.Change{Key: "a", Version: v2}); errs != nil {
		t.Fatalf("delete: got %v, want nil", errs)
	}
	if _, err := s.Get(t.Context(), "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get after delete: got error %v, want %v", err, store.ErrNotFound)
	}
}

func testConflicts(t *testing.T, s store.Store) {
	old := put(t, s, "a", "one", 0)
	now := put(t, s, "a", "two", old)
	for _, c := range []struct {
		name   string
		change store.Change
	}{
		{"create what exists", store.Change{Key: "a", Value: []byte("x")}},
		{"replace an old version", store.Change{Key: "a", Value: []byte("x"), Version: old}},
		{"replace a version to come", store.Change{Key: "a", Value: []byte("x"), Version: now + 1}},
		{"replace what is absent", store.Change{Key: "b", Value: []byte("x"), Version: now}},
		{"delete an old version", store.Change{Key: "a", Version: old}},
		{"delete what exists at version 0", store.Change{Key: "a"}},
		{"delete what is absent", store.Change{Key: "b", Version: now}},
	} {
		given := uint64(7)
		c.change.NewVersion = &given
		wantErrors(t, c.name, s.Apply(t.Context(), c.change), store.ErrConflict)
		if given != 7 {
			t.Errorf("%s: NewVersion was set to %d by a change that was not carried out", c.name, given)
		}
		wantRecord(t, s, "a", "two", now)
	}
	if got, want := keys(t, s, ""), "[a]"; fmt.Sprint(got) != want {
		t.Errorf("keys after conflicts: got %v, want %v", got, want)
	}
}

func testEachByItself(t *testing.T, s store.Store) {
	va, vb := put(t, s, "a", "1", 0), put(t, s, "b", "1", 0)
	errs := s.Apply(t.Context(),
		store.Change{Key: "a", Value: []byte("2"), Version: va},
		store.Change{Key: "b", Value: []byte("2"), Version: vb + 100},
		store.Change{Key: "", Value: []byte("2")},
		store.Change{Key: "c", Value: []byte("2")},
		store.Change{Key: "b", Version: va + 100},
	)
	if len(errs) != 5 {
		t.Fatalf("Apply of 5 changes: got %d answers, want 5", len(errs))
	}
	wantErrors(t, "mixed call", errs[:2], nil, store.ErrConflict)
	if errs[2] == nil {
		t.Error("change without a key: got no error")
	}
	wantErrors(t, "mixed call", errs[3:], nil, store.ErrConflict)
	wantValue(t, s, "a", "2")
	wantValue(t, s, "b", "1")
	wantValue(t, s, "c", "2")
}

func testSameKeyInOneCall(t *testing.T, s store.Store) {
	v := put(t, s, "a", "0", 0)
	errs := s.Apply(t.Context(),
		store.Change{Key: "a", Value: []byte("1"), Version: v},
		store.Change{Key: "a", Value: []byte("2"), Version: v},
	)
	if len(errs) != 2 || (errs[0] == nil) == (errs[1] == nil) {
		t.Fatalf("two changes of one version: got %v, want one carried out and one conflict", errs)
	}
	want := "1"
	if errs[0] != nil {
		want = "2"
	}
	wantValue(t, s, "a", want)
}

func testNewVersion(t *testing.T, s store.Store) {
	var va, vb, vc uint64
	errs := s.Apply(t.Context(),
		store.Change{Key: "a", Value: []byte("1"), NewVersion: &va},
		store.Change{Key: "b", Value: []byte("1"), NewVersion: &vb},
		store.Change{Key: "c", Value: []byte("1")},
	)
	if errs != nil {
		t.Fatalf("create: got %v, want nil", errs)
	}
	wantRecord(t, s, "a", "1", va)
	wantRecord(t, s, "b", "1", vb)
	vc = 7
	if errs := s.Apply(t.Context(), store.Change{Key: "a", Version: va, NewVersion: &vc}); errs != nil {
		t.Fatalf("delete: got %v, want nil", errs)
	}
	if vc != 7 {
		t.Errorf("NewVersion of a deletion: got %d, want it untouched", vc)
	}
}

func testVersionsNeverRepeat(t *testing.T, s store.Store) {
	seen := make(map[uint64]bool)
	for i := range 20 {
		v := put(t, s, "a", "same", 0)
		w := put(t, s, "a", "same", v)
		if v == 0 || w == 0 || v == w || seen[v] || seen[w] {
			t.Fatalf("round %d: versions %d and %d, want two that are new and not 0", i, v, w)
		}
		seen[v], seen[w] = true, true
		if errs := s.Apply(t.Context(), store.Change{Key: "a", Version: w}); errs != nil {
			t.Fatalf("delete: got %v, want nil", errs)
		}
		wantErrors(t, "replace a former state", s.Apply(t.Context(),
			store.Change{Key: "a", Value: []byte("x"), Version: v}), store.ErrConflict)
	}
}

func testEmptyValue(t *testing.T, s store.Store) {
	v := put(t, s, "a", "", 0)
	r, err := s.Get(t.Context(), "a")
	if err != nil || r.Value == nil || len(r.Value) != 0 || r.Version != v {
		t.Errorf("Get of an empty value: got %#v, %v; want an empty value that is not nil", r, err)
	}
	for r, err := range s.List(t.Context(), "") {
		if err != nil || r.Value == nil || len(r.Value) != 0 {
			t.Errorf("List of an empty value: got %#v, %v; want an empty value that is not nil", r, err)
		}
	}
}

func testBytes(t *testing.T, s store.Store) {
	value := []byte("mine")
	if errs := s.Apply(t.Context(), store.Change{Key: "a", Value: value}); errs != nil {
		t.Fatalf("create: got %v, want nil", errs)
	}
	copy(value, "XXXX")
	wantValue(t, s, "a", "mine")
	r, err := s.Get(t.Context(), "a")
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	copy(r.Value, "YYYY")
	for r := range s.List(t.Context(), "a") {
		copy(r.Value, "ZZZZ")
	}
	wantValue(t, s, "a", "mine")
}

func testLimits(t *testing.T, s store.Store) {
	longest := string(bytes.Repeat([]byte("k"), store.MaxKey))
	largest := bytes.Repeat([]byte("v"), store.MaxValue)
	if errs := s.Apply(t.Context(), store.Change{Key: longest, Value: largest}); errs != nil {
		t.Fatalf("the longest key and the largest value: got %v, want nil", errs)
	}
	r, err := s.Get(t.Context(), longest)
	if err != nil || !bytes.Equal(r.Value, largest) {
		t.Errorf("Get of the largest value: got %d bytes and error %v, want %d bytes", len(r.Value), err, len(largest))
	}
	wantRefused(t, s, "a longer key", store.Change{Key: longest + "k", Value: []byte("v")})
	wantRefused(t, s, "a larger value", store.Change{Key: "a", Value: append(largest, 'v')})
	if got := keys(t, s, ""); len(got) != 1 {
		t.Errorf("after refused changes: got %d records, want 1", len(got))
	}
}

func testBadKeys(t *testing.T, s store.Store) {
	for _, key := range []string{"", "a\x00b", "a\xff", "\xc3"} {
		wantRefused(t, s, fmt.Sprintf("key %q", key), store.Change{Key: key, Value: []byte("v")})
		if _, err := s.Get(t.Context(), key); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Get of key %q: got error %v, want %v", key, err, store.ErrNotFound)
		}
	}
}
