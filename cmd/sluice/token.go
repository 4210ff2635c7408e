package main

import (
	"context"
	"flag"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/sluicelog/sluice/client"
)

func tokenCreateFlags(fs *flag.FlagSet, env *Env) action {
	spec := client.TokenSpec{Kind: client.Producer}
	fs.Var(choiceValue{&spec.Kind, []string{client.Producer, client.Admin, client.Personal}}, "kind", "what it may do: `producer|admin|personal`")
	fs.StringVar(&spec.Namespace, "namespace", "", "top-level `NAMESPACE` of a producer; empty is the instance")
	fs.StringVar(&spec.Name, "name", "", "`NAME` to recognise it by")
	fs.Var(countValue{&spec.RateLimit}, "rate-limit", "most events a second (`NUMBER`); 0 is no limit of its own: the server's holds")
	fs.StringVar(&spec.User, "user", "", "whose personal token it is, by id or name (`USER`); by default the caller's")
	fs.Var(listValue{&spec.Scopes}, "scope", "what a personal token leaves of its user's rights: `api|read_api|read:audit_log|admin:enterprise`; may be repeated")
	fs.StringVar(&spec.ExpiresAt, "expires", "", "when a personal token ends: a `TIME` as 2027-01-31T00:00:00Z, or a day; by default never")
	preset := fs.String("preset-file", "", "`FILE` with the token to use, 16 to 255 characters, instead of a new one")
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, _ []string) error {
		if *preset != "" {
			var err error
			if spec.Token, err = readSecretFile(*preset); err != nil {
				return err
			}
		}
		if day, err := time.Parse(time.DateOnly, spec.ExpiresAt); err == nil {
			spec.ExpiresAt = day.Format(time.RFC3339)
		}
		t, err := c.CreateToken(ctx, spec)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(env.Stdout, t)
		}
		fmt.Fprintf(env.Stderr, "Created %s token %s for %s. It is shown only this once:\n", t.Kind, t.ID, boundTo(t, "the instance"))
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
		fmt.Fprintln(tw, "ID\tKIND\tFOR\tNAME\tCREATED\tLAST USED\tENDS")
		for _, t := range tokens {
			ends := t.ExpiresAt
			if t.Expired {
				ends = "has ended"
			}
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.Kind, boundTo(t, "(instance)"), t.Name, t.CreatedAt, orNone(t.LastUsedAt, "-"), orNone(ends, "-"))
		}
		return tw.Flush()
	})
}

// boundTo says for whom or what a token is.
func boundTo(t client.Token, instance string) string {
	if t.User != "" {
		return "user " + t.User
	}
	return orNone(t.Namespace, instance)
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
