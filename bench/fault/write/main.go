// Command write makes docs/FAULTS.md of the records that drills kept:
//
//	go run ./bench/fault/write -records out/faults -o docs/FAULTS.md
//
// The machine, the file system and the time of a sync are those of the folder of
// records, which has to be on the disk that the drills used.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/sluicelog/sluice/bench/fault"
)

func main() {
	records := flag.String("records", "out/faults", "folder of the records")
	out := flag.String("o", "docs/FAULTS.md", "the report")
	flag.Parse()
	if err := run(*records, *out); err != nil {
		fmt.Fprintln(os.Stderr, "write the report:", err)
		os.Exit(1)
	}
}

// run reads, measures and writes.
func run(records, out string) error {
	all, err := fault.Read(records)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("no records in %s", records)
	}
	syncs, err := measure(records)
	if err != nil {
		return err
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	r := fault.Report{Commit: commit(), Machine: machine(), Disk: disk(records), Sync: syncs, Records: all}
	if err := r.Write(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// syncCount is how many syncs are measured: enough for a p99.
const syncCount = 500

// measure syncs writes of 4 KiB to a file of the folder.
func measure(dir string) (fault.Sync, error) {
	f, err := os.CreateTemp(dir, ".sync-*")
	if err != nil {
		return fault.Sync{}, err
	}
	defer func() { _ = f.Close(); _ = os.Remove(f.Name()) }()
	block := make([]byte, 4096)
	took := make([]time.Duration, syncCount)
	for i := range took {
		if _, err := f.WriteAt(block, int64(i)*int64(len(block))); err != nil {
			return fault.Sync{}, err
		}
		began := time.Now()
		if err := f.Sync(); err != nil {
			return fault.Sync{}, err
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return fault.Sync{Count: syncCount, P50: took[syncCount/2], P99: took[syncCount*99/100]}, nil
}

// commit names what was judged, and says when the files were not exactly it.
func commit() string {
	head, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	name := strings.TrimSpace(string(head))
	if changed, err := exec.Command("git", "status", "--porcelain", "--untracked-files=no", "--", "*.go", "go.mod").Output(); err != nil || len(changed) > 0 {
		name += ", changed"
	}
	return name
}

// machine is the processor and the versions of the kernel and of Go.
func machine() string {
	model := "unknown processor"
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%d cores, %s, %s %s, %s", runtime.NumCPU(), model, runtime.GOOS, strings.TrimSpace(string(kernel)), runtime.Version())
}

// disk names the file system that the folder is on.
func disk(dir string) string {
	path, err := filepath.Abs(dir)
	if err != nil {
		return "unknown"
	}
	mounts, _ := os.ReadFile("/proc/mounts")
	best, kind := "", "unknown"
	for line := range strings.Lines(string(mounts)) {
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
