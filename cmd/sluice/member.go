package main

import (
	"context"
	"flag"
	"fmt"
	"text/tabwriter"

	"github.com/sluicelog/sluice/client"
)

func memberCommands() []command {
	return []command{
		{name: "member", short: "Give users roles in enterprises and groups",
			long: "An owner manages streams, tokens and members of a top-level namespace and reads its\nlog. An auditor reads the log, and the streams without verification tokens and header\nvalues, and changes nothing."},
		{name: "member set", args: "NAMESPACE USER", min: 2, max: 2, short: "Give a user a role, or another one", flags: memberSetFlags,
			examples: []example{
				{"Jane looks after acme", "sluice member set acme jane --role owner"},
				{"Joe reads what happens there", "sluice member set acme joe --role auditor"},
			}},
		{name: "member list", short: "List users with their roles", flags: memberListFlags},
		{name: "member remove", args: "NAMESPACE USER", min: 2, max: 2, short: "Take a user's role away, at once", flags: memberRemoveFlags},
	}
}

func memberSetFlags(fs *flag.FlagSet, env *Env) action {
	spec := client.MemberSpec{Role: client.Auditor}
	fs.Var(choiceValue{&spec.Role, []string{client.Owner, client.Auditor}}, "role", "what the user is there: `owner|auditor`")
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, args []string) error {
		spec.Namespace, spec.User = args[0], args[1]
		m, err := c.SetMember(ctx, spec)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(env.Stdout, m)
		}
		_, err = fmt.Fprintf(env.Stdout, "%s is %s of %s.\n", m.Name, m.Role, m.Namespace)
		return err
	})
}

func memberListFlags(fs *flag.FlagSet, env *Env) action {
	namespace := fs.String("namespace", "", "only those of the top-level `NAMESPACE`")
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, _ []string) error {
		members, err := c.Members(ctx, *namespace)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(env.Stdout, append([]client.Member{}, members...))
		}
		tw := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(tw, "NAMESPACE\tUSER\tNAME\tROLE\tSINCE")
		for _, m := range members {
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", m.Namespace, m.User, m.Name, m.Role, m.Since)
		}
		return tw.Flush()
	})
}

func memberRemoveFlags(fs *flag.FlagSet, env *Env) action {
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, args []string) error {
		if err := c.RemoveMember(ctx, args[0], args[1]); err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(env.Stdout, map[string]string{"namespace": args[0], "user": args[1]})
		}
		_, err := fmt.Fprintf(env.Stdout, "%s has no role in %s any more.\n", args[1], args[0])
		return err
	})
}
