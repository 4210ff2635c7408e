package githook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sluicelog/sluice"
)

const (
	hookName = "post-receive"
	// keptName is what a hook that was there before is called now.
	keptName = "post-receive.before-sluice"
	// marker is how an installed hook is recognised.
	marker = "# Installed by \"sluice git install-hook\"; changes here are overwritten."
)

// The hook reads its input once and hands it to both hooks. Sluice comes first,
// because the other may take its time.
const script = `#!/bin/sh
` + marker + `
updates=$(cat)
sluice=%[1]s
if [ -x "$sluice" ]; then
	printf '%%s\n' "$updates" | "$sluice" git hook || :
else
	echo "sluice: $sluice is missing: this push is NOT recorded" >&2
fi
before=$(dirname "$0")/%[2]s
[ -x "$before" ] || exit 0
printf '%%s\n' "$updates" | "$before" "$@"
`

// Install says what to install into a repository.
type Install struct {
	// Executable is the path of the sluice binary.
	Executable string
	// Server, TokenFile and Namespace are kept as they are when empty.
	Server, TokenFile, Namespace string
	// Verbose makes the hook say what was accepted.
	Verbose bool
}

// Installed says what was done.
type Installed struct {
	Hook      string `json:"hook"` // path of the hook
	Namespace string `json:"namespace"`
	Server    string `json:"server"`
	TokenFile string `json:"token_file"`
	// Kept is the path of the hook that was there before, "" when there was
	// none.
	Kept string `json:"kept,omitempty"`
	// Shared says that the hooks folder lies outside the repository, so that
	// others may use it.
	Shared bool `json:"shared,omitempty"`
}

// Install makes the repository record every push. Doing it again changes what
// is given and nothing else.
func (r *Repository) Install(ctx context.Context, in Install) (Installed, error) {
	old, err := r.Config(ctx)
	if err != nil {
		return Installed{}, err
	}
	done := Installed{Namespace: or(in.Namespace, old.Namespace), Server: or(in.Server, old.Server), TokenFile: or(in.TokenFile, old.TokenFile)}
	if err := sluice.CheckNamespace(done.Namespace); err != nil {
		return Installed{}, fmt.Errorf("the repository's path in Sluice: %w", err)
	}
	if done.TokenFile != "" {
		if done.TokenFile, err = filepath.Abs(done.TokenFile); err != nil {
			return Installed{}, fmt.Errorf("token file: %w", err)
		}
	}
	for key, value := range map[string]string{"namespace": done.Namespace, "server": done.Server, "tokenFile": done.TokenFile} {
		if value == "" {
			continue
		}
		if err := r.set(ctx, key, value); err != nil {
			return Installed{}, err
		}
	}
	if in.Verbose {
		if err := r.set(ctx, "verbose", strconv.FormatBool(true)); err != nil {
			return Installed{}, err
		}
	}
	return done, r.writeHook(ctx, in.Executable, &done)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (r *Repository) set(ctx context.Context, key, value string) error {
	if _, err := r.git(ctx, nil, "config", "--local", "sluice."+key, value); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// hooksDir returns the folder of the hooks, wherever core.hooksPath puts it.
func (r *Repository) hooksDir(ctx context.Context) (string, error) {
	out, err := r.git(ctx, nil, "rev-parse", "--git-path", "hooks")
	if err != nil {
		return "", fmt.Errorf("find hooks: %w", err)
	}
	return r.absolute(out), nil
}

func (r *Repository) writeHook(ctx context.Context, executable string, done *Installed) error {
	dir, err := r.hooksDir(ctx)
	if err != nil {
		return err
	}
	done.Hook = filepath.Join(dir, hookName)
	done.Shared = r.shares(dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("install hook: %w", err)
	}
	kept := filepath.Join(dir, keptName)
	ours, present, err := isOurs(done.Hook)
	if err != nil {
		return err
	}
	if present && !ours {
		if _, err := os.Lstat(kept); err == nil {
			return fmt.Errorf("install hook: both %s and %s are there and neither is Sluice's: remove one", done.Hook, kept)
		}
		if err := os.Rename(done.Hook, kept); err != nil {
			return fmt.Errorf("keep present hook: %w", err)
		}
	}
	if _, err := os.Lstat(kept); err == nil {
		done.Kept = kept
	}
	text := fmt.Sprintf(script, shellQuote(executable), keptName)
	if err := writeFile(done.Hook, []byte(text), 0o755); err != nil {
		return fmt.Errorf("install hook: %w", err)
	}
	return nil
}

// isOurs reports whether the hook at path is one that Install wrote.
func isOurs(path string) (ours, present bool, err error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return false, false, nil
	}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, true, fmt.Errorf("read present hook: %w", err)
	}
	return bytes.Contains(text, []byte(marker)), true, nil
}

func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Uninstall takes the hook out again, puts back the one that was there before,
// and removes the configuration. What waits in the spool stays. A hook in a
// folder that other repositories may share stays too, which it reports: without
// the configuration it does nothing for this repository.
func (r *Repository) Uninstall(ctx context.Context) (shared bool, err error) {
	dir, err := r.hooksDir(ctx)
	if err != nil {
		return false, err
	}
	if shared = r.shares(dir); !shared {
		if err := removeHook(filepath.Join(dir, hookName), filepath.Join(dir, keptName)); err != nil {
			return false, err
		}
	}
	return shared, r.unset(ctx)
}

// shares reports whether the hooks folder dir lies outside the repository.
func (r *Repository) shares(dir string) bool {
	return !strings.HasPrefix(dir, r.GitDir+string(filepath.Separator))
}

func removeHook(hook, kept string) error {
	ours, _, err := isOurs(hook)
	if err != nil || !ours {
		return err
	}
	if err := os.Remove(hook); err != nil {
		return fmt.Errorf("remove hook: %w", err)
	}
	if err := os.Rename(kept, hook); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("put the former hook back: %w", err)
	}
	return nil
}

func (r *Repository) unset(ctx context.Context) error {
	cfg, err := r.Config(ctx)
	if err != nil || cfg == (Config{SpoolLimit: defaultSpoolLimit}) {
		return err
	}
	if _, err := r.git(ctx, nil, "config", "--local", "--remove-section", "sluice"); err != nil {
		return fmt.Errorf("remove configuration: %w", err)
	}
	return nil
}
