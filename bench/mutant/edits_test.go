package mutant_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// text returns a text that an expression is: a literal, or a constant of the file. ok
// is false for any other.
func text(e ast.Expr, constants map[string]string) (s string, ok bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, e.Kind == token.STRING && err == nil
	case *ast.Ident:
		s, ok = constants[e.Name]
	}
	return s, ok
}

// constantsOf returns the constants of a file that are texts.
func constantsOf(file *ast.File) map[string]string {
	found := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			for i, e := range spec.Values {
				if s, ok := text(e, nil); ok {
					found[spec.Names[i].Name] = s
				}
			}
		}
		return true
	})
	return found
}

// edits returns the files that the edits of a test file change, each with the text
// that it has to have once. What is no edit that changes something is left out; an
// edit whose text cannot be told is an error.
func edits(t *testing.T, path string) (list [][2]string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	constants := constantsOf(file)
	ast.Inspect(file, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		members := map[string]ast.Expr{}
		for _, e := range lit.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok {
				if key, ok := kv.Key.(*ast.Ident); ok {
					members[key.Name] = kv.Value
				}
			}
		}
		if members["File"] == nil || members["Old"] == nil {
			return true
		}
		name, named := text(members["File"], constants)
		old, told := text(members["Old"], constants)
		if !named || !told {
			t.Errorf("%s: an edit of %q whose text cannot be told", path, name)
			return true
		}
		list = append(list, [2]string{name, old})
		return true
	})
	return list
}

// Most servers that are broken on purpose are built by make torture alone. That what
// they change is still in the source, once, is seen at each change of it.
func TestEditsFit(t *testing.T) {
	var paths []string
	for _, of := range []string{"../*/*.go", "../../*/*_test.go"} {
		found, err := filepath.Glob(of)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	slices.Sort(paths)
	seen := 0
	for _, path := range slices.Compact(paths) {
		for _, edit := range edits(t, path) {
			seen++
			source, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(edit[0])))
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
			if got := strings.Count(string(source), edit[1]); got != 1 {
				t.Errorf("%s: %s has %q %d times, want once", path, edit[0], edit[1], got)
			}
		}
	}
	if seen < 50 {
		t.Errorf("got %d edits, want those of all drills", seen)
	}
}
