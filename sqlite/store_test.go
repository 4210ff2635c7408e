package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/sluicelog/sluice/store"
	"github.com/sluicelog/sluice/store/storetest"
)

// openIn opens the store in dir and closes it, at the latest, with the test.
func openIn(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := OpenStore(filepath.Join(dir, "control.db"), Options{})
	if err != nil {
		t.Fatalf("OpenStore: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func openStore(t *testing.T, dir string) store.Store { return openIn(t, dir) }

func TestStore(t *testing.T) {
	storetest.Test(t, func(t *testing.T) store.Store { return openIn(t, t.TempDir()) })
}

func TestStoreReopen(t *testing.T) { storetest.TestReopen(t, openStore) }

func TestStoreKill(t *testing.T) { storetest.TestKill(t, openStore) }
