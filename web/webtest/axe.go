package webtest

import (
	"os"
	"path/filepath"
	"testing"
)

// axe returns the source of axe-core, followed by what is no value.
func (c *Chrome) axe(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), axeFile))
	if err != nil {
		t.Fatal("the npm package axe-core is missing: run scripts/prepare, which installs it")
	}
	return string(text) + "\n;undefined"
}

// root returns the root of the tree that the process runs in.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("run this inside the source tree, which has what it needs")
		}
		dir = up
	}
}
