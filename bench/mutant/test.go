package mutant

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sluicelog/sluice/bench/fault"
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

// Broken is Test for a server with a defect that a drill has to find. Each of them
// takes a build and a run of its drill, so what plays with them is behind the build
// tag torture.
func Broken(t *testing.T, edits []Edit, flags ...string) (binary string) {
	t.Helper()
	t.Parallel()
	return Test(t, edits, flags...)
}

// Drill builds the test program of the package that is tested, with the edits, and
// returns where it is: for drills that use the engines themselves.
func Drill(t testing.TB, edits []Edit) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "drill.test")
	args := []string{"test", "-c", "-o", binary}
	if len(edits) > 0 {
		list, err := Overlay(t.TempDir(), edits)
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, "-overlay", list)
	}
	if out, err := exec.CommandContext(t.Context(), "go", append(args, ".")...).CombinedOutput(); err != nil {
		t.Fatalf("build the drill: %v\n%s", err, out)
	}
	return binary
}

// Found plays a test of a drill's program in a process of its own, with something in
// it that is broken: the test has to fail, and for a reason that says. It keeps no
// record.
func Found(t testing.TB, program, test, says string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, append([]string{"-test.run=^" + test + "$", "-test.v"}, args...)...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, fault.Dir+"=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "TMPDIR="+t.TempDir()) // what a test that failed keeps
	out, err := cmd.CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); !failed {
		t.Errorf("a program that is broken was not found out (%v):\n%s", err, out)
		return
	}
	found := false
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, says) && !strings.Contains(line, ": seed ") {
			found = true
			t.Logf("found: %.300s", strings.TrimSpace(line))
			break
		}
	}
	if !found {
		t.Errorf("a program that is broken failed without saying %q:\n%s", says, out)
	}
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
