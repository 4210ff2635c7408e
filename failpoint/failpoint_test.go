package failpoint_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/sluicelog/sluice/failpoint"
)

func TestNamesDiffer(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range failpoint.Points() {
		if name := p.String(); name == "" || seen[name] {
			t.Errorf("point %d: got the name %q, want one of its own", p, name)
		}
		seen[p.String()] = true
	}
}

// Every point is somewhere in the code, and once: two places of one name could not
// be told apart by who counts arrivals.
func TestEveryPointHasOnePlace(t *testing.T) {
	declared, err := os.ReadFile("failpoint.go")
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^\t([A-Z]\w+)\s+(?:Point = iota )?// `).FindAllSubmatch(declared, -1) {
		places[string(m[1])] = 0
	}
	if got, want := len(places), len(failpoint.Points()); got != want {
		t.Errorf("constants found: got %d, want %d", got, want)
	}
	call := regexp.MustCompile(`failpoint\.Here\(failpoint\.(\w+)\)`)
	err = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.Name() == "testdata" || d.Name() == "node_modules":
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range call.FindAllSubmatch(text, -1) {
			places[string(m[1])]++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range places {
		if got != 1 {
			t.Errorf("%s: got %d places, want 1", name, got)
		}
	}
}

// probe builds a program that arrives at a point.
func probe(t *testing.T, args ...string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "probe")
	cmd := exec.CommandContext(t.Context(), "go", append(append([]string{"build", "-o", binary}, args...), "./testdata/probe")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the probe: %v\n%s", err, out)
	}
	return binary
}

// A release holds nothing of the points: neither the function nor a call of it, nor
// their names.
func TestReleaseHasNoPoints(t *testing.T) {
	for tag, want := range map[string]bool{"release": false, "failpoint": true} {
		binary := probe(t, "-tags", tag)
		symbols, err := exec.CommandContext(t.Context(), "go", "tool", "nm", binary).Output()
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Contains(symbols, []byte("sluice/failpoint.")); got != want {
			t.Errorf("%s: symbols of the package: got %v, want %v", tag, got, want)
		}
		code, err := exec.CommandContext(t.Context(), "go", "tool", "objdump", "-s", `^main\.arrive$`, binary).Output()
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Contains(code, []byte("sluice/failpoint.")); got != want {
			t.Errorf("%s: code of the point in its caller: got %v, want %v:\n%s", tag, got, want, code)
		}
	}
}

func TestDeathAtAnArrival(t *testing.T) {
	binary := probe(t, "-tags", "failpoint")
	for _, c := range []struct{ point, out, log string }{
		{"block.written:1", "", "block.written\n"},
		{"block.written:3", "1\n2\n", "block.written\n"},
	} {
		log := filepath.Join(t.TempDir(), "log")
		cmd := exec.CommandContext(t.Context(), binary)
		cmd.Env = append(os.Environ(), "SLUICE_FAILPOINT="+c.point, "SLUICE_FAILPOINT_LOG="+log)
		out, err := cmd.Output()
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL || string(out) != c.out {
			t.Errorf("%s: got %v after %q, want SIGKILL after %q", c.point, err, out, c.out)
		}
		if got, err := os.ReadFile(log); string(got) != c.log {
			t.Errorf("%s: log: got %q (%v), want %q", c.point, got, err, c.log)
		}
	}
}

func TestUnknownPointIsRefused(t *testing.T) {
	binary := probe(t, "-tags", "failpoint")
	for _, point := range []string{"block.wrtten:1", "block.written", "block.written:0", "block.written:x"} {
		cmd := exec.CommandContext(t.Context(), binary)
		cmd.Env = append(os.Environ(), "SLUICE_FAILPOINT="+point)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "want a point's name") {
			t.Errorf("%s: got %v and %q, want it refused", point, err, out)
		}
	}
}
