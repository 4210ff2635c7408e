package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/sluicelog/sluice/client"
)

func userCommands() []command {
	return []command{
		{name: "user", short: "Create, list and change users",
			long: "Users sign in with a password, and have tokens of their own. What they may do follows\nfrom their roles: see \"sluice member\"."},
		{name: "user create", args: "NAME", min: 1, max: 1, short: "Create a user", flags: userCreateFlags,
			long: "Without --password-file the server makes a password, which goes to standard output\nalone.",
			examples: []example{
				{"A user who gets a password", "sluice user create jane > jane.password"},
				{"An administrator of the installation", "sluice user create joe --administrator --password-file joe.password"},
			}},
		{name: "user list", short: "List users with their roles", flags: userListFlags},
		{name: "user update", args: "USER", min: 1, max: 1, short: "Change a user: disable, administrator, password", flags: userUpdateFlags,
			long: "USER is an id or a name. A disabled user, or one with a new password, is signed out\neverywhere.",
			examples: []example{
				{"Somebody left", "sluice user update jane --disabled"},
				{"Somebody forgot the password", "sluice user update jane --new-password > jane.password"},
			}},
		{name: "whoami", short: "Show whose token this is, and what it may do", flags: whoamiFlags},
	}
}

func userCreateFlags(fs *flag.FlagSet, env *Env) action {
	var spec client.UserSpec
	fs.BoolVar(&spec.Administrator, "administrator", false, "of the whole installation")
	file := fs.String("password-file", "", "`FILE` with the password, 12 to 256 characters, instead of a new one")
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, args []string) error {
		spec.Name = args[0]
		if *file != "" {
			var err error
			if spec.Password, err = readSecretFile(*file); err != nil {
				return err
			}
		}
		u, err := c.CreateUser(ctx, spec)
		if err != nil {
			return err
		}
		return writeUser(env, u, "Created", *asJSON)
	})
}

// writeUser says what was done; a password goes to standard output alone.
func writeUser(env *Env, u client.User, done string, asJSON bool) error {
	if asJSON {
		return writeJSON(env.Stdout, u)
	}
	if u.Password == "" {
		_, err := fmt.Fprintf(env.Stdout, "%s user %s with id %s.\n", done, u.Name, u.ID)
		return err
	}
	fmt.Fprintf(env.Stderr, "%s user %s with id %s. The password is shown only this once:\n", done, u.Name, u.ID)
	_, err := fmt.Fprintln(env.Stdout, u.Password)
	return err
}

func userListFlags(fs *flag.FlagSet, env *Env) action {
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, _ []string) error {
		users, err := c.Users(ctx)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(env.Stdout, append([]client.User{}, users...))
		}
		tw := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(tw, "ID\tNAME\tSTATE\tROLES")
		for _, u := range users {
			state := "enabled"
			if u.Disabled {
				state = "disabled"
			}
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", u.ID, u.Name, state, orNone(rolesText(u.Administrator, u.Roles), "(none)"))
		}
		return tw.Flush()
	})
}

func rolesText(administrator bool, roles map[string]string) string {
	var out []string
	if administrator {
		out = append(out, "administrator")
	}
	for _, namespace := range slices.Sorted(maps.Keys(roles)) {
		out = append(out, roles[namespace]+" of "+namespace)
	}
	return strings.Join(out, ", ")
}

func userUpdateFlags(fs *flag.FlagSet, env *Env) action {
	disabled := fs.Bool("disabled", false, "may not do anything any more; --disabled=false ends that")
	administrator := fs.Bool("administrator", false, "of the whole installation; --administrator=false ends that")
	fresh := fs.Bool("new-password", false, "have a password made and print it")
	file := fs.String("password-file", "", "`FILE` with the new password")
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, args []string) error {
		var patch client.UserPatch
		fs.Visit(func(f *flag.Flag) {
			switch f.Name {
			case "disabled":
				patch.Disabled = disabled
			case "administrator":
				patch.Administrator = administrator
			}
		})
		switch {
		case *fresh && *file != "":
			return usagef("--new-password and --password-file exclude each other")
		case *fresh:
			patch.Password = new(string)
		case *file != "":
			password, err := readSecretFile(*file)
			if err != nil {
				return err
			}
			patch.Password = &password
		}
		if patch == (client.UserPatch{}) {
			return usagef("user update: nothing to change").withHint("\"sluice help user update\" lists what can be changed.")
		}
		u, err := c.UpdateUser(ctx, args[0], patch)
		if err != nil {
			return err
		}
		return writeUser(env, u, "Changed", *asJSON)
	})
}

func whoamiFlags(fs *flag.FlagSet, env *Env) action {
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, _ []string) error {
		me, err := c.Me(ctx)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(env.Stdout, me)
		}
		fmt.Fprintf(env.Stdout, "%s %s, %s\n", me.Kind, me.ID, me.Name)
		if me.Namespace != "" {
			fmt.Fprintf(env.Stdout, "namespace: %s\n", me.Namespace)
		}
		if roles := rolesText(me.Administrator, me.Roles); roles != "" {
			fmt.Fprintf(env.Stdout, "roles: %s\n", roles)
		}
		if me.Token != "" {
			fmt.Fprintf(env.Stdout, "token: %s with %s, %s\n", me.Token, strings.Join(me.Scopes, " "), orNone(me.ExpiresAt, "without an end"))
		}
		return nil
	})
}
