package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/sluicelog/sluice/client"
)

// streamReplayFlags makes a stream that sends a part of the log again.
func streamReplayFlags(fs *flag.FlagSet, env *Env) action {
	var spec client.StreamSpec
	fs.StringVar(&spec.Start, "start", "", "first event: `earliest|TIME`, by acceptance; required")
	fs.StringVar(&spec.Until, "until", "", "end with the last event accepted before this `TIME`; go on for ever without")
	fs.StringVar(&spec.Name, "name", "", "`NAME` of the new stream, unique in the namespace")
	inactive := fs.Bool("inactive", false, "create it paused")
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, args []string) error {
		var err error
		if spec.CopyOf, err = parseStreamID(args[0]); err != nil {
			return err
		}
		if spec.Start == "" {
			return usagef("--start is missing").withHint("It says from when on events are sent again: earliest, or a time such as 2026-01-31T12:00:00Z.")
		}
		if *inactive {
			spec.Active = new(false)
		}
		s, err := c.CreateStream(ctx, spec)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(env.Stdout, s.Raw)
		}
		_, err = fmt.Fprintf(env.Stdout, "Created stream %d, which sends to where stream %d does: %s.\n", s.ID, spec.CopyOf, s.Status)
		return err
	})
}
