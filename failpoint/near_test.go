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

// durable reports whether after a call a disk holds something else, or holds it for
// sure. What removes is known by whose method it is.
func durable(call *ast.CallExpr) bool {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	of := ""
	switch x := f.X.(type) {
	case *ast.Ident:
		of = x.Name
	case *ast.SelectorExpr:
		of = x.Sel.Name
	}
	switch f.Sel.Name {
	case "Sync", "SyncDir", "Rename", "Link", "Truncate", "Commit":
		return true
	case "Remove", "RemoveAll":
		return of == "os" || of == "FS"
	}
	return false
}

// noPoint are the functions of the storage packages that call one of them and
// have no point, with the reason.
func noPoint() map[string]string {
	return map[string]string{
		"backup.Close":      "removes a folder that the next one empties",
		"backup.Extract":    "removes a file that was not restored, in a folder in which no server starts",
		"backup.Open":       "empties a folder that is of no use",
		"backup.syncFolder": "its callers have the points",
		"deliver.open":      "empties a folder that each start empties",
		"main.makeRoom":     "removes old copies when there is no space for a new one: no play can have that",
		"main.openParts":    "removes what a crash has left of a key file, as each start does",
		"main.release":      "gives space back to start on a full disk: the drill of full disks kills there",
		"main.restoreKey":   "removes what is no key file, in a folder in which no server starts",
		"main.surplus":      "rounds times",
		"segment.Remove":    "the file system itself: the engine has the points",
		"secret.syncDir":    "its callers have the points",
		"segment.MkdirAll":  "a folder without files is as good as none, and is synced again by a start",
		"segment.syncDir":   "the file system itself: the engine has the points",
		"segment.dataSync":  "the file system itself: the engine has the points",
		"segment.probe":     "writes zeros that nobody reads, when a read has failed: no play can have that",
		"segment.load":      "a folder without files is as good as none, and each start syncs its name again",
		"segment.giveBack":  "gives back unused space of a log that is closed; with it the file is as good",
		"sqlite.lockFile":   "the lock's text is for people",
		"sqlite.removeFile": "its callers have the points",
		"sqlite.removeMark": "a copy that nobody uses yet: who makes it has the points",
		"sqlite.settle":     "a second sync of what a commit has synced: the commit has the points",
		"sqlite.syncDir":    "its callers have the points",
		"sqlite.syncFile":   "its callers have the points",
	}
}

// oneSide are the functions that have a point on one side only of what they make
// durable, with the reason why the other needs none.
func oneSide() map[string]string {
	return map[string]string{
		"backup.sweep, before":               "the list that names the new backup has just got its name, with a point",
		"backup.writeManifest, before":       "the last file of the list has just got its name, with a point",
		"deliver.remove, before":             "the answer to its upload, or the end of its turn, has a point",
		"main.take, before":                  "the new snapshot has just got its name, with a point",
		"secret.placeNew, before and behind": "its caller has the points",
		"secret.writeFile, before":           "removes what a crash has left, as each start does",
		"segment.discard, before":            "the block before it was synced, with a point",
		"segment.finish, before":             "what a crash has left is as it was",
		"segment.read, before":               "what a crash has left is as it was",
		"sqlite.exchange, before":            "what takes its place is whole under another name, with a point",
		"sqlite.remove, before":              "the index that stays has a point when it becomes the one",
		"sqlite.settle, behind":              "the commit that it is a part of has a point when it ends",
	}
}

// sides says of a function whether it makes something durable, and whether there is
// a point before the first such call, behind the last one, or anywhere.
type sides struct{ durable, before, behind, some bool }

func sidesOf(f *ast.FuncDecl) (s sides) {
	var calls, points []token.Pos
	ast.Inspect(f.Body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if x, ok := call.Fun.(*ast.SelectorExpr); ok && x.Sel.Name == "Here" {
			if of, ok := x.X.(*ast.Ident); ok && of.Name == "failpoint" {
				points = append(points, call.Pos())
			}
		}
		if durable(call) {
			calls = append(calls, call.Pos())
		}
		return true
	})
	if len(calls) == 0 {
		return s
	}
	first, last := slices.Min(calls), slices.Max(calls)
	return sides{true, slices.ContainsFunc(points, func(p token.Pos) bool { return p < first }),
		slices.ContainsFunc(points, func(p token.Pos) bool { return p > last }), len(points) > 0}
}

// unnamed returns the functions of a source file that make something durable and
// have no point, as PACKAGE.FUNCTION, and those that have one on one side only.
func unnamed(file *ast.File) (none, oneSided []string) {
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		name := file.Name.Name + "." + f.Name.Name
		switch s := sidesOf(f); {
		case !s.durable || s.before && s.behind:
		case s.before:
			oneSided = append(oneSided, name+", behind")
		case s.behind:
			oneSided = append(oneSided, name+", before")
		case s.some:
			oneSided = append(oneSided, name+", before and behind")
		default:
			none = append(none, name)
		}
	}
	return none, oneSided
}

// stores are the packages that store something, and the files of the program that do.
func stores() []string {
	return []string{"segment/*.go", "sqlite/*.go", "backup/*.go", "secret/*.go", "deliver/*.go",
		"cmd/sluice/reserve.go", "cmd/sluice/snapshot.go", "cmd/sluice/restore.go", "cmd/sluice/wire.go"}
}

// In the packages that store something, whatever makes a change durable has a
// point on either side, so that a crash there can be played, or is known to need
// none.
func TestWhatIsMadeDurableHasAPoint(t *testing.T) {
	needNone, needOne := noPoint(), oneSide()
	for _, pattern := range stores() {
		paths, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(pattern)))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: no sources (%v)", pattern, err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			none, oneSided := unnamed(file)
			for _, function := range none {
				if noPoint()[function] == "" {
					t.Errorf("%s: %s makes something durable and has no failpoint: name one, or say here why it needs none", path, function)
				}
				delete(needNone, function)
			}
			for _, function := range oneSided {
				if oneSide()[function] == "" {
					t.Errorf("%s: %s what it makes durable there is no failpoint: name one, or say here why it needs none", path, function)
				}
				delete(needOne, function)
			}
		}
	}
	for function := range needNone {
		t.Errorf("%s is said to need no failpoint, and makes nothing durable or has one", function)
	}
	for function := range needOne {
		t.Errorf("%s what it makes durable is said to need no failpoint, and has one", function)
	}
}

// The test above finds what it looks for.
func TestMissingPointsAreFound(t *testing.T) {
	const here = "failpoint.Here(p); "
	for _, call := range []string{"f.Sync()", "os.Rename(a, b)", "tx.Commit()", "errors.Join(err, f.Truncate(0))", "os.Remove(a)", "p.opts.FS.Remove(a)"} {
		for _, c := range []struct {
			before, behind string
			none, oneSided int
		}{{"", "", 1, 0}, {here, "", 0, 1}, {"", here, 0, 1}, {here, here, 0, 0}} {
			source := fmt.Sprintf("package p\nfunc write() { %s_ = %s; %s }", c.before, call, c.behind)
			file, err := parser.ParseFile(token.NewFileSet(), "p.go", source, 0)
			if err != nil {
				t.Fatal(err)
			}
			if none, oneSided := unnamed(file); len(none) != c.none || len(oneSided) != c.oneSided {
				t.Errorf("%s: got %q and %q, want %d and %d functions", source, none, oneSided, c.none, c.oneSided)
			}
		}
	}
}
