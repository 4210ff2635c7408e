package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sluicelog/sluice/client"
	"github.com/sluicelog/sluice/githook"
)

// gitEnviron is the environment without what would make git look at another
// repository than the one named.
func gitEnviron(env *Env) []string {
	return slices.DeleteFunc(slices.Clone(env.Environ), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains([]string{"GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE"}, name)
	})
}

func installHookFlags(fs *flag.FlagSet, env *Env) action {
	in := githook.Install{Executable: env.Executable}
	fs.StringVar(&in.Server, "server", "", "`URL` of the server (SLUICE_SERVER, or "+client.DefaultServer+")")
	fs.StringVar(&in.TokenFile, "token-file", "", "`FILE` with a producer's token, readable for whoever pushes (SLUICE_TOKEN_FILE)")
	fs.StringVar(&in.Namespace, "namespace", "", "`PATH` of the repository in Sluice, such as acme/web")
	fs.BoolVar(&in.Verbose, "verbose", false, "tell whoever pushes what was accepted")
	uninstall := fs.Bool("uninstall", false, "take the hook out and put back the one that was there before")
	asJSON := jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		repo, err := githook.OpenRepository(ctx, args[0], gitEnviron(env))
		if err != nil {
			return err
		}
		if *uninstall {
			return uninstallHook(ctx, env, repo, *asJSON)
		}
		in.Server = orNone(in.Server, env.Getenv("SLUICE_SERVER"))
		in.TokenFile = orNone(in.TokenFile, env.Getenv("SLUICE_TOKEN_FILE"))
		return installHook(ctx, env, repo, in, *asJSON)
	}
}

func installHook(ctx context.Context, env *Env, repo *githook.Repository, in githook.Install, asJSON bool) error {
	cfg, err := repo.Config(ctx)
	if err != nil {
		return err
	}
	if in.Namespace == "" && cfg.Namespace == "" {
		return usagef("--namespace is missing").withHint("It is the repository's path in Sluice: its group and its name, such as acme/web.")
	}
	done, err := repo.Install(ctx, in)
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSON(env.Stdout, done)
	}
	fmt.Fprintf(env.Stdout, "Pushes to %s are recorded as %s at %s.\n", repo.GitDir, done.Namespace, orNone(done.Server, client.DefaultServer))
	if done.Kept != "" {
		fmt.Fprintf(env.Stdout, "The hook that was there still runs, as %s.\n", done.Kept)
	}
	if done.Shared {
		fmt.Fprintf(env.Stdout, "Other repositories may use the same hook, %s. It records those that are configured the same way.\n", done.Hook)
	}
	if done.TokenFile == "" {
		fmt.Fprintln(env.Stdout, "No token file is set: SLUICE_TOKEN has to be in the environment of the pushes.")
		return nil
	}
	if _, err := readSecretFile(done.TokenFile); err != nil {
		fmt.Fprintf(env.Stdout, "The token cannot be read now (%v); pushes wait in the spool until it can.\n", err)
	}
	return nil
}

func uninstallHook(ctx context.Context, env *Env, repo *githook.Repository, asJSON bool) error {
	cfg, err := repo.Config(ctx)
	if err != nil {
		return err
	}
	shared, err := repo.Uninstall(ctx)
	if err != nil {
		return err
	}
	waiting, _, err := repo.Spool(cfg).Waiting()
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSON(env.Stdout, map[string]any{"uninstalled": true, "shared_hook_stays": shared, "waiting": waiting})
	}
	fmt.Fprintf(env.Stdout, "Pushes to %s are not recorded any more.\n", repo.GitDir)
	if shared {
		fmt.Fprintln(env.Stdout, "The hook stays, because other repositories may use it.")
	}
	if waiting > 0 {
		fmt.Fprintf(env.Stdout, "%d pushes still wait to be sent in %s.\n", waiting, repo.Spool(cfg).Dir())
	}
	return nil
}

// connectHook makes the client of a repository's configuration.
func connectHook(env *Env) func(githook.Config) (*client.Client, error) {
	return func(cfg githook.Config) (*client.Client, error) {
		conn := &connection{env: env, server: cfg.Server, tokenFile: cfg.TokenFile}
		return conn.client()
	}
}

func gitHookFlags(_ *flag.FlagSet, env *Env) action {
	return func(ctx context.Context, _ []string) error {
		dir, err := os.Getwd()
		if err != nil {
			return err
		}
		p := &githook.Push{Dir: dir, Environ: env.Environ, Updates: env.Stdin, Messages: env.Stderr, Connect: connectHook(env), Now: time.Now}
		return p.Run(ctx)
	}
}

// flushResult is what "git flush" did in one repository.
type flushResult struct {
	Repository string `json:"repository"`
	Accepted   int    `json:"accepted"`
	Duplicates int    `json:"duplicates"`
	Refused    int    `json:"refused"`
	Left       int    `json:"left"` // pushes that still wait
	Error      string `json:"error,omitempty"`
}

func gitFlushFlags(fs *flag.FlagSet, env *Env) action {
	timeout := time.Minute
	fs.Var(durationValue{&timeout}, "timeout", "longest `SPAN` for each repository")
	asJSON := jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		results := []flushResult{}
		failed := false
		for _, dir := range args {
			r := flushRepository(ctx, env, dir, timeout)
			results = append(results, r)
			failed = failed || r.Left > 0 || r.Error != "" || r.Refused > 0
			if !*asJSON {
				fmt.Fprintf(env.Stdout, "%s: %d accepted, %d stored before, %d refused, %d pushes left", dir, r.Accepted, r.Duplicates, r.Refused, r.Left)
				if r.Error != "" {
					fmt.Fprintf(env.Stdout, ": %s", r.Error)
				}
				fmt.Fprintln(env.Stdout)
			}
		}
		if *asJSON {
			if err := writeJSON(env.Stdout, results); err != nil {
				return err
			}
		}
		if failed {
			return silentError{}
		}
		return nil
	}
}

func flushRepository(ctx context.Context, env *Env, dir string, timeout time.Duration) flushResult {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r := flushResult{Repository: dir}
	err := func() error {
		repo, err := githook.OpenRepository(ctx, dir, gitEnviron(env))
		if err != nil {
			return err
		}
		cfg, err := repo.Config(ctx)
		if err != nil {
			return err
		}
		c, err := connectHook(env)(cfg)
		if err != nil {
			return err
		}
		defer c.Close()
		spool := repo.Spool(cfg)
		sent, err := spool.Flush(ctx, c, func(string) {})
		r.Accepted, r.Duplicates, r.Refused = sent.Accepted, sent.Duplicates, sent.Refused
		left, _, countErr := spool.Waiting()
		r.Left = left
		if err != nil {
			return err
		}
		return countErr
	}()
	if err != nil {
		r.Error = err.Error()
	}
	return r
}
