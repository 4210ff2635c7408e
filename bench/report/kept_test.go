package report

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sluicelog/sluice/bench/machine"
)

// TestRoundsAreAdded saves rounds and opens them again as a later run would, with
// the same server and with another.
func TestRoundsAreAdded(t *testing.T) {
	dir := t.TempDir()
	facts := machine.Facts{Commit: "b", Code: "a", Machine: "m", Disk: "d"}
	k, err := Open(dir, "flat", facts, "60s")
	if err != nil || len(k.Scenario.Rounds) != 0 {
		t.Fatalf("empty folder: got %+v, %v", k, err)
	}
	k.Scenario.Name = "flat"
	k.Scenario.Rounds = []Round{{Test: &Result{Acked: 7, Series: map[string][]Point{"lag": {{1, 2}}}}}}
	if err := k.Save(dir); err != nil {
		t.Fatal(err)
	}
	later := facts
	later.Commit = "c" // changed tests and documents only
	k, err = Open(dir, "flat", later, "60s")
	if err != nil || len(k.Scenario.Rounds) != 1 || k.Commit != "c" || k.Scenario.Rounds[0].Test.Series["lag"][0] != (Point{1, 2}) {
		t.Errorf("same server: got %+v, %v, want its round", k, err)
	}
	for name, other := range map[string]struct {
		facts   machine.Facts
		setting string
	}{
		"other server":  {machine.Facts{Commit: "b", Code: "x", Machine: "m", Disk: "d"}, "60s"},
		"other machine": {machine.Facts{Commit: "b", Code: "a", Machine: "x", Disk: "d"}, "60s"},
		"other disk":    {machine.Facts{Commit: "b", Code: "a", Machine: "m", Disk: "x"}, "60s"},
		"shorter":       {facts, "3s"},
	} {
		if err := k.Save(dir); err != nil {
			t.Fatal(err)
		}
		if got, err := Open(dir, "flat", other.facts, other.setting); err != nil || len(got.Scenario.Rounds) != 0 {
			t.Errorf("%s: got %+v, %v, want no rounds", name, got, err)
		}
	}
	if away, err := filepath.Glob(filepath.Join(dir, "old", "flat-*.json")); err != nil || len(away) != 4 {
		t.Errorf("put away: got %v, %v, want four", away, err)
	}
	k.Code = "a, changed"
	if err := k.Save(dir); err != nil {
		t.Fatal(err)
	}
	if got, err := Open(dir, "flat", k.Facts, "60s"); err != nil || len(got.Scenario.Rounds) != 0 {
		t.Errorf("files that were changed: got %+v, %v, want no rounds, for nobody knows what ran", got, err)
	}
}

func TestReadAll(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		k := Kept{Scenario: Scenario{Name: name}}
		if err := k.Save(dir); err != nil {
			t.Fatal(err)
		}
	}
	all, err := ReadAll(dir, []string{"c", "a"})
	if err != nil || len(all) != 3 || all[0].Scenario.Name+all[1].Scenario.Name+all[2].Scenario.Name != "cab" {
		t.Errorf("all: got %+v, %v, want c, a, b", all, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "d.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadAll(dir, nil); err == nil {
		t.Error("a file cut off: got no error")
	}
}
