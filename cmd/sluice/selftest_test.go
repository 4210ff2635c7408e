package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSelftest(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, controlFile), []byte("of a server"), 0o600); err != nil {
		t.Fatal(err)
	}
	res := sluiceRun(t.Context(), nil, "", "selftest", "--data", dir, "--json")
	var r selfReport
	if err := json.Unmarshal([]byte(res.stdout), &r); err != nil {
		t.Fatalf("selftest: got %+v: %v", res, err)
	}
	if got, want := r.Engine.ReadBack, engineBlocks*engineEvents; got != want || r.Engine.Events != want {
		t.Errorf("events read back: got %d of %d, want %d", got, r.Engine.Events, want)
	}
	if r.Sync.Count == 0 || r.Sync.P50 > r.Sync.P99 || r.Sync.P99 > r.Sync.Max || r.Stream <= 0 || r.Files == "" {
		t.Errorf("figures: got %+v", r)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left in the folder: got %v (%v), want what was there", left, err)
	}
	if res := sluiceRun(t.Context(), nil, "", "selftest", "--data", filepath.Join(dir, "absent")); res.code == exitOK {
		t.Errorf("selftest of a folder that is not there: got %+v", res)
	}
}

// TestSelftestJudges: every figure that speaks against a disk is said.
func TestSelftestJudges(t *testing.T) {
	good := selfReport{disk: disk{Files: "ext4", Device: "sda", Cache: volatileCache}, Sync: syncReport{P50: 400}, Engine: engineCheck{Events: 10, ReadBack: 10}}
	for name, test := range map[string]struct {
		change func(*selfReport)
		want   string
		ok     bool
	}{
		"nothing":           {func(*selfReport) {}, "Nothing found", true},
		"changed events":    {func(r *selfReport) { r.Engine.ReadBack = 9 }, "1 of 10 events were not read back", false},
		"memory":            {func(r *selfReport) { r.Files = "tmpfs" }, "is in memory", false},
		"network":           {func(r *selfReport) { r.Files = "nfs" }, "on another machine", true},
		"sync too fast":     {func(r *selfReport) { r.Cache, r.Sync.P50 = "", 8 }, "too early", true},
		"cache that stays":  {func(r *selfReport) { r.Cache, r.Sync.P50 = "write through", 60 }, "Nothing found", true},
		"lying flash":       {func(r *selfReport) { r.Sync.P50 = 60 }, "capacitors", true},
		"lying rotation":    {func(r *selfReport) { r.Rotational, r.Sync.P50 = true, 600 }, "a rotating disk", true},
		"honest rotation":   {func(r *selfReport) { r.Rotational, r.Sync.P50 = true, 6_000 }, "Nothing found", true},
		"virtual":           {func(r *selfReport) { r.Virtual, r.Rotational, r.Sync.P50 = true, true, 60 }, "whoever runs the host", true},
		"slower virtual":    {func(r *selfReport) { r.Virtual, r.Rotational, r.Sync.P50 = true, true, 600 }, "Nothing found", true},
		"sync that is slow": {func(r *selfReport) { r.Sync.P50 = 30_000 }, "waits that long", true},
	} {
		t.Run(name, func(t *testing.T) {
			r := good
			test.change(&r)
			r.judge()
			var out strings.Builder
			if err := r.print(&out); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), test.want) || r.OK != test.ok {
				t.Errorf("got ok %v and %q, want %v and %q", r.OK, out.String(), test.ok, test.want)
			}
		})
	}
}
