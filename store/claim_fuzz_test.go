package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sluicelog/sluice/store"
)

// FuzzClaim meets claims whose record is anything at all: it is taken, or not, and
// who holds it afterwards can ask again and give it back.
func FuzzClaim(f *testing.F) {
	for _, held := range []string{`{"owner":"a","at":"2026-03-01T12:00:00Z"}`, `{"owner":"b","at":"2026-03-01T12:00:00Z"}`, `{"owner":"b","at":"0001-01-01T00:00:00Z"}`, `{}`, `null`, `7`, ``} {
		f.Add([]byte(held), "name", false)
		f.Add([]byte(held), "\x00\xff/", true)
	}
	now := time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC)
	f.Fuzz(func(t *testing.T, held []byte, value string, there bool) {
		s, ctx := store.NewMemory(), t.Context()
		exists := func(context.Context, string) (bool, error) { return there, nil }
		if err := store.Claim(ctx, s, "rule", value, "first", exists, now, time.Minute); err != nil {
			t.Fatalf("claim of what nobody holds: %v", err)
		}
		for rec, err := range s.List(ctx, "claim/") {
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(s.Apply(ctx, store.Change{Key: rec.Key, Value: held, Version: rec.Version})...); err != nil {
				return // no store takes it
			}
		}
		err := store.Claim(ctx, s, "rule", value, "a", exists, now, time.Minute)
		if err != nil {
			return
		}
		if err := store.Claim(ctx, s, "rule", value, "a", exists, now, time.Minute); err != nil {
			t.Errorf("claim %q again: %v", value, err)
		}
		if err := store.Release(ctx, s, "rule", value, "a"); err != nil {
			t.Errorf("release %q: %v", value, err)
		}
		if err := store.Claim(ctx, s, "rule", value, "c", exists, now, time.Minute); err != nil {
			t.Errorf("claim of %q, which was released: %v", value, err)
		}
	})
}
