package mutant_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// literals returns the members of a composite literal that are texts.
func literals(lit *ast.CompositeLit) map[string]string {
	texts := map[string]string{}
	for _, e := range lit.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		key, isName := kv.Key.(*ast.Ident)
		value, isText := kv.Value.(*ast.BasicLit)
		if !isName || !isText || value.Kind != token.STRING {
			continue
		}
		if s, err := strconv.Unquote(value.Value); err == nil {
			texts[key.Name] = s
		}
	}
	return texts
}

// Most servers that are broken on purpose are built by make torture alone. That what
// they change is still in the source, once, is seen at each change of it.
func TestEditsFit(t *testing.T) {
	var paths []string
	for _, of := range []string{"../*/*.go", "../../deliver/*_test.go"} {
		found, err := filepath.Glob(of)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	seen := 0
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			edit := literals(lit)
			if edit["File"] == "" || edit["Old"] == "" {
				return true
			}
			seen++
			source, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(edit["File"])))
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
			if got := strings.Count(string(source), edit["Old"]); got != 1 {
				t.Errorf("%s: %s has %q %d times, want once", path, edit["File"], edit["Old"], got)
			}
			return true
		})
	}
	if seen < 30 {
		t.Errorf("got %d edits, want those of all drills", seen)
	}
}
