package web

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sluicelog/sluice"
)

// apiOnly are about what is in no form.
var apiOnly = []string{
	"events must name partition and seq of each event", "after and after_id exclude each other",
	"up_to must name one event of each partition, and no events are named beside it", "up_to must name partition and seq of events",
	"take partition and cursor from the stream's lanes",
	"send the id of an event as it stands in the export, with the parameters of that one; or begin again without after_id",
}

// Whatever control says, pages say it in their own words: none of it is about
// namespaces, partitions, lanes and seqs, or has a name of the API.
func TestWordsOfMessages(t *testing.T) {
	foreign := regexp.MustCompile(`(?i)\b(namespaces?|partitions?|lanes?|seqs?)\b|\b[a-z]+_[a-z_]+\b`)
	for _, text := range append(messages(t, "../control/*.go", "../deliver/*.go", "../destination/*.go", "../search/*.go", "../index/*.go"), pathMessages()...) {
		got := pageWords(text)
		if !slices.Contains(apiOnly, text) && foreign.MatchString(strings.ReplaceAll(got, "SLUICE_ADMIN_TOKEN", "")) {
			t.Errorf("got %q of %q", got, text)
		}
	}
}

// pathMessages returns what is said of filters and paths.
func pathMessages() (out []string) {
	for _, f := range []sluice.Filter{{Namespaces: []string{"umbra"}}, {EventTypes: []string{"a"}, ExcludedEventTypes: []string{"a"}}, {EventTypes: []string{""}}} {
		out = append(out, f.Check("acme").Error())
	}
	for _, path := range []string{"", strings.Repeat("a/", 30) + "a", "a//b", "a/..", strings.Repeat("a", 300), "\xff", "\x01"} {
		out = append(out, sluice.CheckNamespace(path).Error())
	}
	return out
}

// messages returns what the errors in some files say.
func messages(t *testing.T, patterns ...string) (out []string) {
	t.Helper()
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("got %v of %s and error %v", files, pattern, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				out = append(out, said(n)...)
				return true
			})
		}
	}
	return out
}

// said returns what a piece of code says to people: in an error, or in an event.
func said(n ast.Node) (out []string) {
	var from []ast.Expr
	switch n := n.(type) {
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Message" {
			from = []ast.Expr{n.Value}
		}
	case *ast.CallExpr:
		if name := types.ExprString(n.Fun); name == "sluice.Errorf" || name == "refuse" || strings.HasSuffix(name, ".WithHint") {
			from = n.Args
		}
	}
	for _, a := range from {
		if lit, ok := a.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				out = append(out, text)
			}
		}
	}
	return out
}
