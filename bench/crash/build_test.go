package crash

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// edit is a change of a source file for a build: one text, there once, becomes
// another.
type edit struct{ file, from, to string }

// short makes rare moments come soon. Nothing else of the server is changed.
func short() []edit {
	return []edit{
		{"control/control.go", "claimTimeout = time.Minute", "claimTimeout = 2 * time.Second"},
		{"control/learn.go", "learnerSave  = 5 * time.Second", "learnerSave  = 300 * time.Millisecond"},
		{"deliver/retention.go", "const retentionEvery = time.Minute", "const retentionEvery = 300 * time.Millisecond"},
		{"eventlog/partition.go", "const snapshotEvery = 16 << 20", "const snapshotEvery = 1 << 20"},
		{"index/head.go", "ChunkEvents = 128 << 10", "ChunkEvents = 100"},
	}
}

// build makes the server with the points in it.
func build(t *testing.T, edits ...edit) string {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "sluice")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-tags", "failpoint", "-overlay", overlay(t, dir, append(short(), edits...)), "-o", binary, "../../cmd/sluice")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the server: %v\n%s", err, out)
	}
	return binary
}

// overlay writes the changed files into dir, and the list that makes the compiler
// take them.
func overlay(t *testing.T, dir string, edits []edit) string {
	t.Helper()
	texts := map[string]string{} // by absolute path
	for _, e := range edits {
		path, err := filepath.Abs(filepath.Join("../..", e.file))
		if err != nil {
			t.Fatal(err)
		}
		if texts[path] == "" {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			texts[path] = string(text)
		}
		if got := strings.Count(texts[path], e.from); got != 1 {
			t.Fatalf("%s: %q is there %d times, want 1", e.file, e.from, got)
		}
		texts[path] = strings.Replace(texts[path], e.from, e.to, 1)
	}
	replace := map[string]string{}
	for path, text := range texts {
		changed := filepath.Join(dir, strings.ReplaceAll(strings.TrimPrefix(path, "/"), "/", "_"))
		if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[path] = changed
	}
	list := filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err == nil {
		err = os.WriteFile(list, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return list
}
