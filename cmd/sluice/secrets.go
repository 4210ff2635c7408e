package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/sluicelog/sluice/client"
)

// progressEvery is how often a rotation is asked how far it is.
const progressEvery = 200 * time.Millisecond

func secretsStatusFlags(fs *flag.FlagSet, env *Env) action {
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, _ []string) error {
		keys, err := c.SealingKeys(ctx)
		if err != nil {
			return err
		}
		return writeKeys(env.Stdout, keys, *asJSON)
	})
}

func secretsRotateFlags(fs *flag.FlagSet, env *Env) action {
	prune := fs.Bool("prune", false, "then remove the keys that nothing uses any more")
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, _ []string) error {
		keys, err := c.RotateKeys(ctx)
		if err == nil {
			keys, err = watchRotation(ctx, env, c, keys)
		}
		if err == nil && *prune {
			keys, err = c.PruneKeys(ctx)
		}
		if err != nil {
			return err
		}
		return writeKeys(env.Stdout, keys, *asJSON)
	})
}

// watchRotation shows how far the server is until everything is sealed anew. The
// server goes on when nobody watches.
func watchRotation(ctx context.Context, env *Env, c *client.Client, keys client.SealingKeys) (client.SealingKeys, error) {
	shown := -1
	for {
		if keys.Pending != shown {
			shown = keys.Pending
			fmt.Fprintf(env.Stderr, "Sealed %d of %d values with key %s.\n", keys.Values-keys.Pending, keys.Values, keys.Current)
		}
		if readable(keys) == 0 {
			return keys, nil
		}
		select {
		case <-time.After(progressEvery):
		case <-ctx.Done():
			return keys, context.Cause(ctx)
		}
		var err error
		if keys, err = c.SealingKeys(ctx); err != nil {
			return keys, err
		}
	}
}

// readable counts the values that the server can still seal anew.
func readable(keys client.SealingKeys) int {
	n := 0
	for _, k := range keys.Keys {
		if !k.Current && k.InFile {
			n += k.Values
		}
	}
	return n
}

func secretsPruneFlags(fs *flag.FlagSet, env *Env) action {
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, _ []string) error {
		keys, err := c.PruneKeys(ctx)
		if err != nil {
			return err
		}
		return writeKeys(env.Stdout, keys, *asJSON)
	})
}

func writeKeys(w io.Writer, keys client.SealingKeys, asJSON bool) error {
	if asJSON {
		return writeJSON(w, keys)
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "KEY\tVALUES\tSTATE")
	for _, k := range keys.Keys {
		state := "old, still needed"
		switch {
		case k.Current:
			state = "current"
		case !k.InFile:
			state = "MISSING from the key file: what it sealed cannot be read"
		case k.Values == 0:
			state = "old, not needed: \"sluice secrets prune\" removes it"
		}
		fmt.Fprintf(tw, "%s\t%d\t%s\n", k.ID, k.Values, state)
	}
	return tw.Flush()
}
