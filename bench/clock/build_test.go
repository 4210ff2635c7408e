//go:build linux && amd64

package clock

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sluicelog/sluice/bench/mutant"
)

var (
	cyclesFlag = flag.Int("cycles", 3, "how often the server is killed under load while its clock jumps")
	eventsFlag = flag.Int("events", 400, "events acknowledged in each cycle, at least")
	mutantFlag = flag.Bool("mutants", false, "play with servers broken on purpose, too, which have to be found out")
	seedFlag   = flag.Uint64("seed", 0, "seed of all that is random; 0 takes a new one")
)

// soon lets retention look several times a second, and tells a stream to be well
// when it has been for a second.
func soon() []mutant.Edit {
	return []mutant.Edit{
		{File: "deliver/retention.go", Old: "const retentionEvery = time.Minute", New: "const retentionEvery = 100 * time.Millisecond"},
		{File: "control/health.go", Old: "recoveredAfter = time.Minute", New: "recoveredAfter = time.Second"},
	}
}

// build builds the server with a clock, and with a defect or several.
func build(t *testing.T, defects ...mutant.Edit) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "sluice")
	if err := Build(t.Context(), binary, append(defects, soon()...)...); err != nil {
		t.Fatal(err)
	}
	return binary
}

// mutants skips a test of a broken server unless the flag asks for it: each takes
// a build.
func mutants(t *testing.T) {
	t.Helper()
	if !*mutantFlag {
		t.Skip("servers broken on purpose are played with -mutants, as make torture does")
	}
	t.Parallel()
}

// made is the server without a defect, which all tests share.
var made struct {
	once   sync.Once
	binary string
	err    error
}

func sound(t *testing.T) string {
	t.Helper()
	made.once.Do(func() { made.err = Build(t.Context(), made.binary, soon()...) })
	if made.err != nil {
		t.Fatal(made.err)
	}
	return made.binary
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "sluice-clock-server-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	made.binary = filepath.Join(dir, "sluice")
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func newClock(t *testing.T) *Clock {
	t.Helper()
	c, err := New(filepath.Join(t.TempDir(), "clock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// seed returns what the flag says, or a new one.
func seed() uint64 {
	if *seedFlag != 0 {
		return *seedFlag
	}
	return rand.Uint64()
}

// mention reports whether one of the findings has some words in it.
func mention(findings []string, words string) bool {
	for _, f := range findings {
		if strings.Contains(f, words) {
			return true
		}
	}
	return false
}
