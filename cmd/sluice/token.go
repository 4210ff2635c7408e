package main

import (
	"context"
	"flag"
	"fmt"
	"text/tabwriter"

	"github.com/sluicelog/sluice/client"
)

func tokenCreateFlags(fs *flag.FlagSet, env *Env) action {
	spec := client.TokenSpec{Kind: client.Producer}
	fs.Var(choiceValue{&spec.Kind, []string{client.Producer, client.Admin}}, "kind", "what it may do: `producer|admin`")
	fs.StringVar(&spec.Namespace, "namespace", "", "top-level `NAMESPACE` of a producer; empty is the instance")
	fs.StringVar(&spec.Name, "name", "", "`NAME` to recognise it by")
	fs.Var(countValue{&spec.RateLimit}, "rate-limit", "most events a second (`NUMBER`); 0 is no limit of its own")
	preset := fs.String("preset-file", "", "`FILE` with the token to use, 16 to 255 characters, instead of a new one")
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, _ []string) error {
		if *preset != "" {
			var err error
			if spec.Token, err = readSecretFile(*preset); err != nil {
				return err
			}
		}
		t, err := c.CreateToken(ctx, spec)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(env.Stdout, t)
		}
		fmt.Fprintf(env.Stderr, "Created %s token %s for %s. It is shown only this once:\n", t.Kind, t.ID, orNone(t.Namespace, "the instance"))
		_, err = fmt.Fprintln(env.Stdout, t.Token)
		return err
	})
}

func tokenListFlags(fs *flag.FlagSet, env *Env) action {
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, _ []string) error {
		tokens, err := c.Tokens(ctx)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(env.Stdout, append([]client.Token{}, tokens...))
		}
		tw := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(tw, "ID\tKIND\tNAMESPACE\tNAME\tCREATED")
		for _, t := range tokens {
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", t.ID, t.Kind, orNone(t.Namespace, "(instance)"), t.Name, t.CreatedAt)
		}
		return tw.Flush()
	})
}

func tokenRevokeFlags(fs *flag.FlagSet, env *Env) action {
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, args []string) error {
		for _, id := range args {
			if err := c.RevokeToken(ctx, client.TokenID(id)); err != nil {
				return fmt.Errorf("revoke token %s: %w", id, err)
			}
			if !*asJSON {
				fmt.Fprintf(env.Stdout, "Revoked token %s.\n", id)
			}
		}
		if *asJSON {
			return writeJSON(env.Stdout, map[string][]string{"revoked": args})
		}
		return nil
	})
}

func namespaceCreateFlags(fs *flag.FlagSet, env *Env) action {
	kind := client.Group
	fs.Var(choiceValue{&kind, []string{client.Group, client.Project}}, "kind", "`group|project`")
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, args []string) error {
		n, err := c.CreateNamespace(ctx, args[0], kind)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(env.Stdout, n)
		}
		_, err = fmt.Fprintf(env.Stdout, "Created %s %s with id %d.\n", n.Kind, n.Path, n.ID)
		return err
	})
}

func namespaceListFlags(fs *flag.FlagSet, env *Env) action {
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, _ []string) error {
		namespaces, err := c.Namespaces(ctx)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(env.Stdout, append([]client.Namespace{}, namespaces...))
		}
		tw := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(tw, "ID\tKIND\tPATH")
		for _, n := range namespaces {
			fmt.Fprintf(tw, "%d\t%s\t%s\n", n.ID, n.Kind, n.Path)
		}
		return tw.Flush()
	})
}
