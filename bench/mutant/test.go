package mutant

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Test builds the server with the edits for one test, and returns where it is.
func Test(t testing.TB, edits []Edit, flags ...string) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "sluice")
	if err := Build(t.Context(), binary, edits, flags...); err != nil {
		t.Fatal(err)
	}
	return binary
}

// Broken is Test for a server with a defect that a drill has to find. Without asked
// the test is skipped: each of them takes a build.
func Broken(t *testing.T, asked bool, edits []Edit, flags ...string) (binary string) {
	t.Helper()
	if !asked {
		t.Skip("servers broken on purpose are played with -mutants, as make torture does")
	}
	t.Parallel()
	return Test(t, edits, flags...)
}

// A Shared server is built by the first of the tests that play with it.
type Shared struct {
	Edits []Edit
	Flags []string // of go build

	once sync.Once
	dir  string
	err  error
}

// Binary returns where the server is.
func (s *Shared) Binary(t testing.TB) string {
	t.Helper()
	s.once.Do(func() {
		if s.dir, s.err = os.MkdirTemp("", "sluice-shared-"); s.err == nil {
			s.err = Build(t.Context(), filepath.Join(s.dir, "sluice"), s.Edits, s.Flags...)
		}
	})
	if s.err != nil {
		t.Fatal(s.err)
	}
	return filepath.Join(s.dir, "sluice")
}

// Run runs the tests, removes the server, and ends the program.
func (s *Shared) Run(m *testing.M) {
	code := m.Run()
	_ = os.RemoveAll(s.dir) // nothing, where none was built
	os.Exit(code)
}
