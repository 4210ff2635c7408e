package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/client"
)

func streamListFlags(fs *flag.FlagSet, env *Env) action {
	namespace := fs.String("namespace", "", "only the streams of this `NAMESPACE`")
	instance := fs.Bool("instance", false, "only the streams of the instance")
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, _ []string) error {
		if *instance && *namespace != "" {
			return usagef("--instance and --namespace exclude each other")
		}
		only := namespace
		if *namespace == "" && !*instance {
			only = nil
		}
		streams, err := c.Streams(ctx, only)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeRaw(env.Stdout, streams, func(s client.Stream) json.RawMessage { return s.Raw })
		}
		return writeStreams(env.Stdout, streams)
	})
}

func writeStreams(w io.Writer, streams []client.Stream) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "ID\tNAMESPACE\tNAME\tKIND\tSTATUS\tACCEPTED\tDELIVERED\tFILTERED\tPENDING\tQUARANTINED\tEXPIRED")
	for _, s := range streams {
		l := s.Ledger
		fmt.Fprintf(tw, "%d\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\n", s.ID, orNone(s.Namespace, "(instance)"), s.Name, s.Kind, s.Status,
			l.Accepted, l.Delivered, l.Filtered, l.Pending, l.Quarantined, l.Expired)
	}
	return tw.Flush()
}

func streamShowFlags(fs *flag.FlagSet, env *Env) action {
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, args []string) error {
		id, err := parseStreamID(args[0])
		if err != nil {
			return err
		}
		s, err := c.Stream(ctx, id)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(env.Stdout, s.Raw)
		}
		return writeStream(env.Stdout, s)
	})
}

func writeStream(w io.Writer, s client.Stream) error {
	fmt.Fprintf(w, "Stream %d", s.ID)
	if s.Name != "" {
		fmt.Fprintf(w, " %q", s.Name)
	}
	fmt.Fprintf(w, ": %s to %s, %s\n", orNone(s.Namespace, "the instance"), s.Kind, s.Status)
	if s.VerificationToken != "" {
		fmt.Fprintf(w, "Every request to the receiver has this token: %s\n", s.VerificationToken)
	}
	for _, part := range []struct {
		title string
		raw   json.RawMessage
	}{{"Config", s.Config}, {"Health", s.Health}} {
		var text bytes.Buffer
		if len(part.raw) == 0 || json.Indent(&text, part.raw, "  ", "  ") != nil {
			continue
		}
		fmt.Fprintf(w, "\n%s\n  %s\n", part.title, text.Bytes())
	}
	if !s.Filter.Empty() {
		text, err := json.MarshalIndent(s.Filter, "  ", "  ")
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "\nFilter\n  %s\n", text)
	}
	fmt.Fprintf(w, "\nLedger\n")
	return writeLedger(w, s.Ledger)
}

func writeLedger(w io.Writer, l sluice.Ledger) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range []struct {
		name  string
		count uint64
	}{{"accepted", l.Accepted}, {"delivered", l.Delivered}, {"filtered", l.Filtered}, {"pending", l.Pending}, {"quarantined", l.Quarantined}, {"expired", l.Expired}} {
		fmt.Fprintf(tw, "\t%s\t%d\t\n", row.name, row.count)
	}
	return tw.Flush()
}

func streamCheckFlags(fs *flag.FlagSet, env *Env) action {
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, args []string) error {
		id, err := parseStreamID(args[0])
		if err != nil {
			return err
		}
		r, err := c.CheckStream(ctx, id)
		if err != nil {
			return err
		}
		return reportCheck(env.Stdout, r, *asJSON)
	})
}

// reportCheck prints the outcome of a check and fails when it failed.
func reportCheck(w io.Writer, r client.CheckResult, asJSON bool) error {
	if asJSON {
		if err := writeJSON(w, r); err != nil {
			return err
		}
	} else {
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, s := range r.Stages {
			word := "ok"
			if !s.OK {
				word = "FAILED"
			}
			fmt.Fprintf(tw, "%s\t%s\t%.0f ms\t%s\n", word, s.Name, s.MS, s.Message)
		}
		if err := tw.Flush(); err != nil {
			return err
		}
		if letIn(r) {
			fmt.Fprintf(w, "Deliveries come from %s: the destination has to let them in.\n", strings.Join(r.EgressAddresses, ", "))
		}
	}
	if !r.OK {
		return silentError{}
	}
	return nil
}

// letIn reports whether a check may have failed because the destination does not
// let our addresses in, and the operator told which they are.
func letIn(r client.CheckResult) bool {
	if r.OK || len(r.EgressAddresses) == 0 || len(r.Stages) == 0 {
		return false
	}
	last := r.Stages[len(r.Stages)-1]
	return last.Name == "connect" || strings.Contains(last.Message, "403") || strings.Contains(last.Message, "firewall")
}

// eachStream runs act for every stream that args name and says so in a word.
func eachStream(env *Env, args []string, done string, asJSON bool, act func(id sluice.StreamID) error) error {
	ids, err := parseStreamIDs(args)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := act(id); err != nil {
			return fmt.Errorf("stream %d: %w", id, err)
		}
		if !asJSON {
			fmt.Fprintf(env.Stdout, "Stream %d is %s.\n", id, done)
		}
	}
	if asJSON {
		return writeJSON(env.Stdout, map[string][]sluice.StreamID{done: ids})
	}
	return nil
}

func parseStreamIDs(args []string) ([]sluice.StreamID, error) {
	var ids []sluice.StreamID
	for _, a := range args {
		id, err := parseStreamID(a)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func streamPauseFlags(fs *flag.FlagSet, env *Env) action {
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, args []string) error {
		return eachStream(env, args, "paused", *asJSON, func(id sluice.StreamID) error { return c.PauseStream(ctx, id) })
	})
}

func streamResumeFlags(fs *flag.FlagSet, env *Env) action {
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, args []string) error {
		return eachStream(env, args, "resumed", *asJSON, func(id sluice.StreamID) error { return c.ResumeStream(ctx, id) })
	})
}

func streamRetryFlags(fs *flag.FlagSet, env *Env) action {
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, args []string) error {
		ids, err := parseStreamIDs(args)
		if err != nil {
			return err
		}
		type outcome struct {
			ID sluice.StreamID `json:"id"`
			client.Retried
		}
		all := []outcome{}
		for _, id := range ids {
			r, err := c.RetryStream(ctx, id)
			if err != nil {
				return fmt.Errorf("stream %d: %w", id, err)
			}
			if all = append(all, outcome{id, r}); !*asJSON {
				fmt.Fprintf(env.Stdout, "Stream %d: %s.\n", id, r.Message)
			}
		}
		if *asJSON {
			return writeJSON(env.Stdout, all)
		}
		return nil
	})
}

func streamDeleteFlags(fs *flag.FlagSet, env *Env) action {
	yes := fs.Bool("yes", false, "do not ask")
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, args []string) error {
		return eachStream(env, args, "deleted", *asJSON, func(id sluice.StreamID) error {
			if *yes {
				return c.DeleteStream(ctx, id)
			}
			s, err := c.Stream(ctx, id)
			if err != nil {
				return err
			}
			if !confirm(env, fmt.Sprintf("Delete stream %d of %s with %d events pending?", id, orNone(s.Namespace, "the instance"), s.Ledger.Pending)) {
				return fmt.Errorf("not deleted")
			}
			return c.DeleteStream(ctx, id)
		})
	})
}
