package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/sluicelog/sluice/client"
)

func quarantineListFlags(fs *flag.FlagSet, env *Env) action {
	limit := 100
	fs.Var(countValue{&limit}, "limit", "at most `NUMBER` events, the oldest first")
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, args []string) error {
		id, err := parseStreamID(args[0])
		if err != nil {
			return err
		}
		events, err := c.Quarantine(ctx, id, limit)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeRaw(env.Stdout, events, func(q client.Quarantined) json.RawMessage { return q.Raw })
		}
		tw := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(tw, "EVENT\tTYPE\tID\tSINCE\tREASON")
		for _, q := range events {
			fmt.Fprintf(tw, "%s:%d\t%s\t%s\t%s\t%s\n", q.Partition, q.Seq, q.Type, q.ID, q.At, q.Reason)
		}
		return tw.Flush()
	})
}

// quarantineFlags makes the commands that act on quarantined events.
func quarantineFlags(verb string) func(*flag.FlagSet, *Env) action {
	return func(fs *flag.FlagSet, env *Env) action {
		all := fs.Bool("all", false, "all quarantined events of the stream")
		asJSON := jsonFlag(fs)
		return withClient(fs, env, func(ctx context.Context, c *client.Client, args []string) error {
			id, err := parseStreamID(args[0])
			if err != nil {
				return err
			}
			act, err := chooseEvents(*all, args[1:])
			if err != nil {
				return err
			}
			call := c.Redeliver
			if verb == "drop" {
				call = c.Drop
			}
			count, err := call(ctx, id, act)
			if err != nil {
				return err
			}
			if *asJSON {
				return writeJSON(env.Stdout, map[string]int{"count": count})
			}
			of := ""
			if missing := len(act.Events) - count; missing > 0 {
				of = fmt.Sprintf("; %d are not in its quarantine", missing)
			}
			_, err = fmt.Fprintf(env.Stdout, "Stream %d: %s of %d events%s.\n", id, verb, count, of)
			return err
		})
	}
}

func chooseEvents(all bool, args []string) (client.QuarantineAct, error) {
	act := client.QuarantineAct{All: all}
	if all == (len(args) > 0) {
		return act, usagef("name events as PARTITION:SEQ, or give --all").withHint("\"sluice stream quarantine list\" shows them.")
	}
	for _, a := range args {
		partition, number, _ := strings.Cut(a, ":")
		seq, err := strconv.ParseUint(number, 10, 64)
		if err != nil || partition == "" || seq == 0 {
			return act, usagef("event %q: must be PARTITION:SEQ", a)
		}
		act.Events = append(act.Events, client.EventRef{Partition: partition, Seq: seq})
	}
	return act, nil
}
