// Package machine says on what a drill or a benchmark ran: the version of the
// server, the processor, the file system, and how long its disk takes to sync.
// A number without them says little, since every answer of the server waits for
// a sync. Linux only; elsewhere most of it is unknown.
package machine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

const unknown = "unknown"

// Facts are what a report says of a run.
type Facts struct {
	Commit string `json:"commit"` // the version that was judged
	// Code is the last commit that changed the server, however many came after
	// it for tests and documents: runs of the same code may be compared.
	Code    string `json:"code"`
	Machine string `json:"machine"`
	Disk    string `json:"disk"` // file system of the data
	Sync    Sync   `json:"sync"`
}

// Committed reports whether the server was exactly that of a commit.
func (f Facts) Committed() bool { return f.Code != unknown && !strings.HasSuffix(f.Code, changed) }

// changed ends the name of a version whose files were not exactly it.
const changed = ", changed"

// Describe returns the facts of this machine, of the files in the current folder,
// and of the disk that the folder dir is on, where it writes for a moment.
func Describe(dir string) (Facts, error) {
	syncs, err := measureSyncs(dir)
	if err != nil {
		return Facts{}, fmt.Errorf("measure syncs: %w", err)
	}
	return Facts{Commit: commit(), Code: Code(), Machine: describe(), Disk: disk(dir), Sync: syncs}, nil
}

// Sync is how long the disk takes to sync 4 KiB.
type Sync struct {
	Count int           `json:"count"`
	P50   time.Duration `json:"p50"`
	P99   time.Duration `json:"p99"`
}

// String is for a report.
func (s Sync) String() string {
	return fmt.Sprintf("%v / %v (%d syncs)", s.P50.Round(time.Microsecond), s.P99.Round(time.Microsecond), s.Count)
}

// syncCount is how many syncs are measured: enough for a p99.
const syncCount = 500

// measureSyncs syncs writes of 4 KiB to a file of the folder.
func measureSyncs(dir string) (Sync, error) {
	f, err := os.CreateTemp(dir, ".sync-*")
	if err != nil {
		return Sync{}, err
	}
	defer func() { _ = f.Close(); _ = os.Remove(f.Name()) }()
	block := make([]byte, 4096)
	took := make([]time.Duration, syncCount)
	for i := range took {
		if _, err := f.WriteAt(block, int64(i)*int64(len(block))); err != nil {
			return Sync{}, err
		}
		began := time.Now()
		if err := f.Sync(); err != nil {
			return Sync{}, err
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return Sync{Count: syncCount, P50: took[syncCount/2], P99: took[syncCount*99/100]}, nil
}

// commit names what was judged, and says when the files were not exactly it.
func commit() string { return marked("rev-parse", "--short=12", "HEAD") }

// Code names the last change of the server itself, however many came after that
// changed only tests, the benchmark or documents.
func Code() string {
	return marked("log", "-1", "--format=%h", "--abbrev=12", "--", ":/*.go", ":/go.mod", ":!/bench", ":!/testservers", ":!/*_test.go")
}

// marked returns what a git command prints, with a word when files were changed.
func marked(args ...string) string {
	out, err := exec.Command("git", args...).Output()
	name := strings.TrimSpace(string(out))
	if err != nil || name == "" {
		return unknown
	}
	files, err := exec.Command("git", "status", "--porcelain", "--untracked-files=no", "--", ":/*.go", ":/go.mod").Output()
	if err != nil || len(files) > 0 {
		name += changed
	}
	return name
}

// describe is the processor and the versions of the kernel and of Go.
func describe() string {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%d cores, %s, %s %s, %s", runtime.NumCPU(), Processor(), runtime.GOOS, strings.TrimSpace(string(kernel)), runtime.Version())
}

// Processor names the processor.
func Processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return unknown + " processor"
}

// disk names the file system that the folder is on.
func disk(dir string) string {
	path, err := filepath.Abs(dir)
	if err != nil {
		return unknown
	}
	mounts, _ := os.ReadFile("/proc/mounts")
	return fileSystem(path, string(mounts))
}

// fileSystem finds the mount that holds a path, the longest of those above it.
func fileSystem(path, mounts string) string {
	best, kind := "", unknown
	for line := range strings.Lines(mounts) {
		fields := strings.Fields(line)
		if len(fields) < 4 {
			continue
		}
		point := fields[1]
		inside := point == "/" || path == point || strings.HasPrefix(path, point+"/")
		if inside && len(point) >= len(best) {
			best, kind = point, fields[2]+" ("+fields[3]+")"
		}
	}
	return kind
}
