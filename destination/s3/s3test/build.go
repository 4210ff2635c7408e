package s3test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// module is where the server's own go.mod lies, below the root of the tree.
const module = "testservers/versitygw"

// build returns the server's program. It is built when it is not there, or is
// older than the file that names its version.
func build(ctx context.Context) (string, error) {
	root, err := findRoot()
	if err != nil {
		return "", err
	}
	program := filepath.Join(root, "bin", "testservers", "versitygw")
	wanted, err := os.Stat(filepath.Join(root, module, "go.sum"))
	if err != nil {
		return "", err
	}
	if have, err := os.Stat(program); err == nil && !have.ModTime().Before(wanted.ModTime()) {
		return program, nil
	}
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		return "", err
	}
	// Tests of several packages may build at once: the last one wins.
	part := fmt.Sprintf("%s.%d", program, os.Getpid())
	defer os.Remove(part)
	cmd := exec.CommandContext(ctx, "go", "build", "-o", part, "github.com/versity/versitygw/cmd/versitygw")
	cmd.Dir = filepath.Join(root, module)
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("versitygw is missing: run scripts/prepare, which builds it (%w: %s)", err, bytes.TrimSpace(out))
	}
	return program, os.Rename(part, program)
}

// findRoot returns the root of the tree that the process runs in.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, module, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("versitygw is missing: run this inside the source tree, which builds it (" + module + ")")
		}
		dir = up
	}
}
