package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/client"
)

const clock = "2006-01-02 15:04:05"

// listing is the frame of a command that prints a list: as JSON with --json, else
// as a table. Row writes the cells of an item, with tabs between.
func listing[T any](fs *flag.FlagSet, env *Env, heading string, fetch func(ctx context.Context, c *client.Client, args []string) ([]T, error), row func(T) string) action {
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, args []string) error {
		list, err := fetch(ctx, c, args)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(env.Stdout, append([]T{}, list...))
		}
		tw := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(tw, heading)
		for _, item := range list {
			fmt.Fprintln(tw, row(item))
		}
		return tw.Flush()
	})
}

// streamListing is a listing about the stream that the argument names.
func streamListing[T any](fs *flag.FlagSet, env *Env, heading string, fetch func(ctx context.Context, c *client.Client, id sluice.StreamID) ([]T, error), row func(T) string) action {
	return listing(fs, env, heading, func(ctx context.Context, c *client.Client, args []string) ([]T, error) {
		id, err := parseStreamID(args[0])
		if err != nil {
			return nil, err
		}
		return fetch(ctx, c, id)
	}, row)
}

func streamAttemptsFlags(fs *flag.FlagSet, env *Env) action {
	limit := 20
	fs.Var(countValue{&limit}, "limit", "at most `NUMBER` tries, the newest first; 200 are kept")
	return streamListing(fs, env, "TIME (UTC)\tTOOK\tEVENTS\tBYTES\tOUTCOME\tRANGE\tMESSAGE",
		func(ctx context.Context, c *client.Client, id sluice.StreamID) ([]client.Attempt, error) {
			return c.Attempts(ctx, id, limit)
		},
		func(a client.Attempt) string {
			took := time.Duration(a.MS * float64(time.Millisecond)).Round(100 * time.Microsecond)
			outcome := a.Outcome
			if a.Status != 0 {
				outcome += fmt.Sprintf(" (%d)", a.Status)
			}
			return fmt.Sprintf("%s\t%s\t%d\t%d\t%s\t%s:%d-%d\t%s", a.Time.UTC().Format(clock), took, a.Events, a.Bytes, outcome, a.Partition, a.First, a.Last, a.Message)
		})
}

func streamActivityFlags(fs *flag.FlagSet, env *Env) action {
	minutes := 60
	fs.Var(countValue{&minutes}, "minutes", "the last `NUMBER` minutes; a week is kept")
	return streamListing(fs, env, "MINUTE (UTC)\tDELIVERED\tBYTES\tFAILED TRIES",
		func(ctx context.Context, c *client.Client, id sluice.StreamID) ([]client.Minute, error) {
			return c.Activity(ctx, id, minutes)
		},
		func(m client.Minute) string {
			return fmt.Sprintf("%s\t%d\t%d\t%d", m.Time.UTC().Format("2006-01-02 15:04"), m.Delivered, m.Bytes, m.Failures)
		})
}

func streamLagFlags(fs *flag.FlagSet, env *Env) action {
	hours := 24
	fs.Var(countValue{&hours}, "hours", "the last `NUMBER` hours; a week is kept")
	return streamListing(fs, env, "FROM (UTC)\tWAITED\tTHE OLDEST FOR",
		func(ctx context.Context, c *client.Client, id sluice.StreamID) ([]client.LagSample, error) {
			return c.Lag(ctx, id, hours)
		},
		func(s client.LagSample) string {
			return fmt.Sprintf("%s\t%d\t%s", s.Time.UTC().Format("2006-01-02 15:04"), s.Events, time.Duration(s.Seconds)*time.Second)
		})
}

func namespaceCountsFlags(fs *flag.FlagSet, env *Env) action {
	hours := 24
	fs.Var(countValue{&hours}, "hours", "the last `NUMBER` hours; a week is kept")
	by := fs.String("by", "type", "`WHAT` to tell apart: type or namespace")
	namespace := anyScopeFlags(fs, "`NAMESPACE`, with all below it")
	return listing(fs, env, "HOUR (UTC)\tEVENTS\tMOST FREQUENT",
		func(ctx context.Context, c *client.Client, _ []string) ([]client.Hour, error) {
			name, err := namespace()
			if err != nil {
				return nil, err
			}
			return c.Counts(ctx, client.CountQuery{Namespace: name, Hours: hours, By: *by})
		},
		func(h client.Hour) string {
			return fmt.Sprintf("%s\t%d\t%s", h.Time.UTC().Format("2006-01-02 15:00"), h.Events, mostOf(&h))
		})
}

// mostOf names the three types, or the ten namespaces, with most events.
func mostOf(h *client.Hour) string {
	counts, most := h.Types, 3
	if h.Namespaces != nil {
		counts, most = h.Namespaces, 10
	}
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	var words []string
	for _, name := range names[:min(most, len(names))] {
		words = append(words, fmt.Sprintf("%s %d", name, counts[name]))
	}
	if h.OtherNamespaces > 0 {
		words = append(words, fmt.Sprintf("(in namespaces that are not told apart: %d)", h.OtherNamespaces))
	}
	return strings.Join(words, ", ")
}

// scopeFlags adds --namespace and --instance, of which one must be given.
func scopeFlags(fs *flag.FlagSet) func() (string, error) {
	return anyScopeFlags(fs, "top-level `NAMESPACE`")
}

func anyScopeFlags(fs *flag.FlagSet, usage string) func() (string, error) {
	namespace := fs.String("namespace", "", usage)
	instance := fs.Bool("instance", false, "the instance")
	return func() (string, error) {
		if *instance == (*namespace != "") {
			return "", usagef("give --namespace, or --instance")
		}
		return *namespace, nil
	}
}

func noticeListFlags(fs *flag.FlagSet, env *Env) action {
	namespace := scopeFlags(fs)
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, _ []string) error {
		name, err := namespace()
		if err != nil {
			return err
		}
		list, err := c.Notices(ctx, name)
		if err != nil {
			return err
		}
		return writeAddresses(env, list, *asJSON)
	})
}

func writeAddresses(env *Env, list []client.Address, asJSON bool) error {
	if asJSON {
		return writeJSON(env.Stdout, append([]client.Address{}, list...))
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(env.Stdout, "Nobody is told.")
		return err
	}
	for _, a := range list {
		fmt.Fprintf(env.Stdout, "%s\t%s\n", a.Kind, a.Address)
	}
	return nil
}

func noticeSetFlags(fs *flag.FlagSet, env *Env) action {
	namespace := scopeFlags(fs)
	var emails []string
	fs.Var(listValue{&emails}, "email", "e-mail `ADDRESS`; may be repeated")
	urls := fs.String("url-file", "", "`FILE` with URLs that take POST requests, one a line: they are often credentials")
	none := fs.Bool("none", false, "tell nobody")
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, _ []string) error {
		name, err := namespace()
		if err != nil {
			return err
		}
		addresses, err := readAddresses(emails, *urls)
		if err != nil {
			return err
		}
		if *none == (len(addresses) > 0) {
			return usagef("give --email or --url-file, or --none").withHint("What is given replaces all that was set before.")
		}
		list, err := c.SetNotices(ctx, name, addresses)
		if err != nil {
			return err
		}
		return writeAddresses(env, list, *asJSON)
	})
}

func readAddresses(emails []string, file string) ([]client.Address, error) {
	var out []client.Address
	for _, e := range emails {
		out = append(out, client.Address{Kind: "email", Address: e})
	}
	if file == "" {
		return out, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read URLs: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			out = append(out, client.Address{Kind: "http", Address: line})
		}
	}
	return out, nil
}

func noticeTestFlags(fs *flag.FlagSet, env *Env) action {
	namespace := scopeFlags(fs)
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, _ []string) error {
		name, err := namespace()
		if err != nil {
			return err
		}
		results, err := c.TestNotices(ctx, name)
		if err != nil {
			return err
		}
		if len(results) == 0 {
			return errors.New("there is no address: \"sluice notice set\" adds some")
		}
		if *asJSON {
			err = writeJSON(env.Stdout, results)
		}
		failed := false
		for _, r := range results {
			failed = failed || !r.OK
			if !*asJSON {
				fmt.Fprintf(env.Stdout, "%s: %s\n", r.Kind, r.Message)
			}
		}
		if err == nil && failed {
			return silentError{}
		}
		return err
	})
}

func infoFlags(fs *flag.FlagSet, env *Env) action {
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, _ []string) error {
		info, err := c.Info(ctx)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(env.Stdout, info)
		}
		var kinds []string
		for _, k := range info.Kinds {
			kinds = append(kinds, k.Name)
		}
		tw := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintf(tw, "Version\t%s\n", info.Version)
		fmt.Fprintf(tw, "Deliveries come from\t%s\n", orNone(strings.Join(info.EgressAddresses, ", "), "(not told: see egress_addresses)"))
		fmt.Fprintf(tw, "Kinds of destinations\t%s\n", strings.Join(kinds, ", "))
		fmt.Fprintf(tw, "Kinds of notices\t%s\n", strings.Join(info.Notices, ", "))
		return tw.Flush()
	})
}
