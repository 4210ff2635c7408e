// Package mutant builds the server with changes of its source that the tree does
// not have: a defect that a drill has to find, a period that would take too long,
// a clock that can be set. The compiler is given the changed files in place of the
// real ones (the -overlay of go build), so nothing of it gets into a release.
package mutant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// An Edit changes a source file, or adds one.
type Edit struct {
	File string // below the root of the tree, with slashes
	Old  string // is in the file exactly once; "" when the file is added
	New  string // takes its place; the whole text of an added file
}

// Build builds the server with the edits into the file binary. flags are further
// ones of go build. The working directory lies in the tree.
func Build(ctx context.Context, binary string, edits []Edit, flags ...string) error {
	root, err := findRoot()
	if err != nil {
		return err
	}
	args := append([]string{"build", "-o", binary}, flags...)
	if len(edits) > 0 {
		dir, err := os.MkdirTemp("", "sluice-mutant-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		list, err := Overlay(dir, edits)
		if err != nil {
			return err
		}
		args = append(args, "-overlay", list)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/sluice")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the server: %w\n%s", err, out)
	}
	return nil
}

// Overlay writes the changed files into dir, and the list of them that the flag
// -overlay of go build takes.
func Overlay(dir string, edits []Edit) (list string, err error) {
	root, err := findRoot()
	if err != nil {
		return "", err
	}
	texts := map[string]string{}
	for _, e := range edits {
		path := filepath.Join(root, filepath.FromSlash(e.File))
		if e.Old == "" {
			texts[path] = e.New
			continue
		}
		if _, ok := texts[path]; !ok {
			b, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			texts[path] = string(b)
		}
		if got := strings.Count(texts[path], e.Old); got != 1 {
			return "", fmt.Errorf("%s: %q is there %d times, want once", e.File, e.Old, got)
		}
		texts[path] = strings.Replace(texts[path], e.Old, e.New, 1)
	}
	replace := map[string]string{}
	for path, text := range texts {
		changed := filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[path] = changed
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	list = filepath.Join(dir, "overlay.json")
	return list, os.WriteFile(list, text, 0o600)
}

// findRoot returns the root of the tree that the process runs in.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("run this inside the source tree")
		}
		dir = up
	}
}
