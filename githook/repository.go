package githook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Repository is a Git repository on this machine, bare or not.
type Repository struct {
	// Dir is where git runs; GitDir is the repository's own folder, shared by
	// all its work trees.
	Dir, GitDir string
	environ     []string
}

// OpenRepository finds the repository of dir.
func OpenRepository(ctx context.Context, dir string, environ []string) (*Repository, error) {
	r := &Repository{Dir: dir, environ: environ}
	out, err := r.git(ctx, nil, "rev-parse", "--git-common-dir")
	if err != nil {
		return nil, fmt.Errorf("open repository %s: %w", dir, err)
	}
	r.GitDir = r.absolute(out)
	return r, nil
}

// absolute resolves a path that git printed.
func (r *Repository) absolute(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	joined := filepath.Join(r.Dir, path)
	if abs, err := filepath.Abs(joined); err == nil {
		return abs
	}
	return joined
}

// git runs git and returns what it printed, without the newline at the end.
func (r *Repository) git(ctx context.Context, stdin []byte, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env = r.Dir, r.environ
	cmd.WaitDelay = 100 * time.Millisecond
	if stdin != nil {
		cmd.Stdin = bytes.NewReader(stdin)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		text := strings.TrimSpace(stderr.String())
		if text == "" || ctx.Err() != nil {
			return "", fmt.Errorf("git %s: %w", args[0], err)
		}
		return "", fmt.Errorf("git %s: %s: %w", args[0], text, err)
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}

// Config is what "git install-hook" keeps in the repository's Git configuration,
// in the section sluice.
type Config struct {
	Server    string // sluice.server: the server's address
	TokenFile string // sluice.tokenFile: path of the file with the token
	Namespace string // sluice.namespace: the repository's path in Sluice
	// SpoolLimit bounds the bytes of the spool (sluice.spoolLimit, in Git's
	// spelling of sizes). Default: 64 MiB.
	SpoolLimit int64
	Quiet      bool // sluice.quiet: say nothing when events have to wait
	Verbose    bool // sluice.verbose: say which events were accepted
}

const defaultSpoolLimit = 64 << 20

// Config reads the configuration; all is zero when there is none.
func (r *Repository) Config(ctx context.Context) (Config, error) {
	cfg := Config{SpoolLimit: defaultSpoolLimit}
	out, err := r.git(ctx, nil, "config", "--null", "--get-regexp", `^sluice\.`)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
		return cfg, nil // nothing is set
	}
	if err != nil {
		return cfg, fmt.Errorf("read configuration: %w", err)
	}
	for entry := range strings.SplitSeq(out, "\x00") {
		key, value, hasValue := strings.Cut(entry, "\n")
		switch strings.ToLower(key) {
		case "sluice.server":
			cfg.Server = value
		case "sluice.tokenfile":
			cfg.TokenFile = value
		case "sluice.namespace":
			cfg.Namespace = value
		case "sluice.quiet":
			cfg.Quiet = gitTrue(value, hasValue)
		case "sluice.verbose":
			cfg.Verbose = gitTrue(value, hasValue)
		case "sluice.spoollimit":
			if cfg.SpoolLimit, err = gitSize(value); err != nil {
				return cfg, err
			}
		}
	}
	return cfg, nil
}

func gitTrue(value string, hasValue bool) bool {
	return !hasValue || slices.Contains([]string{"true", "yes", "on", "1"}, strings.ToLower(value))
}

// gitSize reads a number with Git's units k, m and g.
func gitSize(s string) (int64, error) {
	digits, shift := s, 0
	if i := strings.IndexByte("kmg", (strings.ToLower(s) + "\x00")[max(0, len(s)-1)]); i >= 0 {
		digits, shift = s[:len(s)-1], 10*(i+1)
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("sluice.spoolLimit: %q is not a size such as 64m", s)
	}
	return n << shift, nil
}

// counted is what git says about a pair of object ids.
type counted struct {
	forced  *bool
	commits *int
}

// count fills in commit counts and whether history was rewritten, as far as ctx
// allows. Each different pair of object ids is looked at once.
func (r *Repository) count(ctx context.Context, updates []update, events []event) {
	pairs := make(map[[2]string]*counted)
	var order [][2]string
	for _, u := range updates {
		pair := [2]string{u.old, u.new}
		if pairs[pair] == nil {
			pairs[pair] = &counted{}
			order = append(order, pair)
		}
	}
	others := r.otherTips(ctx, updates)
	work := make(chan [2]string)
	var workers sync.WaitGroup
	for range min(4, len(order)) {
		workers.Go(func() {
			for pair := range work {
				*pairs[pair] = r.countPair(ctx, pair[0], pair[1], others)
			}
		})
	}
	for _, pair := range order {
		if ctx.Err() != nil {
			break
		}
		work <- pair
	}
	close(work)
	workers.Wait()
	for i, u := range updates {
		c := pairs[[2]string{u.old, u.new}]
		events[i].Forced, events[i].CommitCount = c.forced, c.commits
	}
}

// otherTips returns the tips that the repository had before the push, as input
// for rev-list: commits below them are not new.
func (r *Repository) otherTips(ctx context.Context, updates []update) []byte {
	if !slices.ContainsFunc(updates, func(u update) bool { return u.creates() }) {
		return nil
	}
	out, err := r.git(ctx, nil, "for-each-ref", "--format=%(objectname) %(refname)")
	if err != nil {
		return nil
	}
	pushed := make(map[string]bool, len(updates))
	seen := make(map[string]bool)
	var b bytes.Buffer
	add := func(id string) {
		if !isZero(id) && !seen[id] {
			seen[id] = true
			fmt.Fprintf(&b, "^%s\n", id)
		}
	}
	for _, u := range updates {
		pushed[u.ref] = true
		if !u.deletes() {
			add(u.old) // what a deletion or a force push left may be gone
		}
	}
	for line := range strings.Lines(out) {
		id, ref, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !pushed[ref] {
			add(id)
		}
	}
	return b.Bytes()
}

// countPair counts the commits of one update: for an update those reachable from
// the new tip and not from the old, for a new ref those not reachable from any
// tip there was before.
func (r *Repository) countPair(ctx context.Context, before, after string, others []byte) counted {
	no, none := false, 0
	switch {
	case ctx.Err() != nil:
		return counted{}
	case isZero(after):
		return counted{forced: &no, commits: &none}
	case isZero(before):
		out, err := r.git(ctx, append([]byte(after+"\n"), others...), "rev-list", "--count", "--stdin")
		n, convErr := strconv.Atoi(out)
		if err != nil || convErr != nil {
			return counted{forced: &no}
		}
		return counted{forced: &no, commits: &n}
	}
	out, err := r.git(ctx, nil, "rev-list", "--left-right", "--count", before+"..."+after)
	left, right, _ := strings.Cut(out, "\t")
	lost, err1 := strconv.Atoi(left)
	added, err2 := strconv.Atoi(right)
	if err != nil || err1 != nil || err2 != nil {
		return counted{}
	}
	forced := lost > 0
	return counted{forced: &forced, commits: &added}
}

// nameActor replaces the name of a shared account, which says nothing, by the
// committer of the first new tip.
func (r *Repository) nameActor(ctx context.Context, updates []update, events []event) {
	if events[0].ActorSource != "os_user" || !slices.Contains([]string{"", "git"}, events[0].Actor) {
		return
	}
	i := slices.IndexFunc(updates, func(u update) bool { return !u.deletes() })
	if i < 0 {
		return
	}
	name, err := r.git(ctx, nil, "log", "-1", "--format=%cn", updates[i].new)
	if err != nil || name == "" {
		return
	}
	for i := range events {
		events[i].Actor, events[i].ActorSource = name, "committer"
	}
}
