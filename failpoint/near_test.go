package failpoint_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// durable are the calls after which a disk holds something else.
var durable = []string{"Sync", "SyncDir", "Rename", "Link", "Truncate", "Commit"}

// noPoint are the functions of the storage packages that call one of them and
// have no point, with the reason.
func noPoint() map[string]string {
	return map[string]string{
		"backup.syncFolder": "its callers have the points",
		"secret.syncDir":    "its callers have the points",
		"segment.MkdirAll":  "a folder without files is as good as none, and is synced again by a start",
		"segment.syncDir":   "the file system itself: the engine has the points",
		"segment.dataSync":  "the file system itself: the engine has the points",
		"segment.probe":     "writes zeros that nobody reads, when a read has failed: no play can have that",
		"segment.load":      "a folder without files is as good as none, and each start syncs its name again",
		"segment.giveBack":  "gives back unused space of a log that is closed; with it the file is as good",
		"sqlite.lockFile":   "the lock's text is for people",
		"sqlite.removeMark": "a copy that nobody uses yet: who makes it has the points",
		"sqlite.settle":     "a second sync of what a commit has synced: the commit has the points",
		"sqlite.syncDir":    "its callers have the points",
		"sqlite.syncFile":   "its callers have the points",
	}
}

// unnamed returns the functions of a source file that make something durable and
// have no point, as PACKAGE.FUNCTION.
func unnamed(file *ast.File) (found []string) {
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		writes, named := false, false
		ast.Inspect(f.Body, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if s, ok := call.Fun.(*ast.SelectorExpr); ok {
				of, _ := s.X.(*ast.Ident)
				named = named || of != nil && of.Name == "failpoint" && s.Sel.Name == "Here"
				writes = writes || slices.Contains(durable, s.Sel.Name)
			}
			return true
		})
		if writes && !named {
			found = append(found, file.Name.Name+"."+f.Name.Name)
		}
	}
	return found
}

// In the packages that store something, whatever makes a change durable has a
// point beside it, so that a crash there can be played, or is known to need none.
func TestWhatIsMadeDurableHasAPoint(t *testing.T) {
	known := noPoint()
	for _, name := range []string{"segment", "sqlite", "backup", "secret"} {
		paths, err := filepath.Glob(filepath.Join("..", name, "*.go"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: no sources (%v)", name, err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, function := range unnamed(file) {
				if noPoint()[function] == "" {
					t.Errorf("%s: %s makes something durable and has no failpoint: name one, or say here why it needs none", path, function)
				}
				delete(known, function)
			}
		}
	}
	for function := range known {
		t.Errorf("%s is said to need no failpoint, and makes nothing durable or has one", function)
	}
}

// The test above finds what it looks for.
func TestMissingPointsAreFound(t *testing.T) {
	for _, call := range []string{"f.Sync()", "os.Rename(a, b)", "tx.Commit()", "errors.Join(err, f.Truncate(0))"} {
		for point, want := range map[string]int{"": 1, "failpoint.Here(p); ": 0} {
			source := fmt.Sprintf("package p\nfunc write() { %s_ = %s }", point, call)
			file, err := parser.ParseFile(token.NewFileSet(), "p.go", source, 0)
			if err != nil {
				t.Fatal(err)
			}
			if got := unnamed(file); len(got) != want {
				t.Errorf("%s: got %q, want %d functions", source, got, want)
			}
		}
	}
}
