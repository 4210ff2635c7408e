//go:build torture

package crash

import (
	"os"
	"testing"

	"github.com/sluicelog/sluice/bench/mutant"
)

// TestBrokenServersAreFound plays deaths of servers that are broken in one place
// each: that has to be found at the point that shows it, or the drill would prove
// nothing.
func TestBrokenServersAreFound(t *testing.T) {
	for _, c := range []struct {
		name, play, point string
		edit              mutant.Edit
	}{
		{"what is appended again is stored again", "streams", "outbox.told",
			mutant.Edit{File: "eventlog/duplicate.go", Old: "if same {", New: "if same && len(v.found) > 99 {"}},
		{"what a crash left of closing a file stays", "files", "footer.written",
			mutant.Edit{File: "segment/load.go", Old: "if unfinished && !newest {", New: "if unfinished && !newest && p == nil {"}},
		{"a stream keeps the names that it had", "streams", "stream.renamed",
			mutant.Edit{File: "control/record.go", Old: "(rule != ruleName || r.nameClaim() == value)", New: "(rule != ruleName || value != \"\")"}},
		{"a restored control state is in place before the log is", "restore", "file.named",
			mutant.Edit{File: "cmd/sluice/restore.go", Old: "\t\t\tstate = f.Name\n", New: "\t\t\tstate = f.Name\n\t\t\tif err := backup.Extract(ctx, o.From, f, filepath.Join(o.Data, controlFile)); err != nil {\n\t\t\t\treturn nil, err\n\t\t\t}\n"}},
		{"the list of a backup is written before its files", "backup", "file.copied",
			mutant.Edit{File: "backup/backup.go", Old: "\tfor _, src := range sources {\n", New: "\tfor _, src := range sources {\n\t\tm.Files = append(m.Files, File{Name: src.Name, Bytes: src.Bytes})\n\t\t_ = writeManifest(f.dir, &m)\n\t\tm.Files = m.Files[:len(m.Files)-1]\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			mutant.Found(t, os.Args[0], "TestCrashPoints", "_test.go:", "-binary", build(t, c.edit), "-play", c.play, "-point", c.point)
		})
	}
}
