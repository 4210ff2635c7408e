package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sluicelog/sluice/client"
)

// tailOptions are the flags of sluice tail.
type tailOptions struct {
	client.LiveQuery
	json bool
}

func tailFlags(fs *flag.FlagSet, env *Env) action {
	o := &tailOptions{}
	fs.StringVar(&o.Namespace, "namespace", "", "only events of this `NAMESPACE`, and below")
	fs.StringVar(&o.Phrase, "phrase", "", "only events that this `PHRASE` finds; it may also stand behind the flags")
	fs.Var(choiceValue{&o.Class, []string{"audit", "git"}}, "class", "only audit events or only Git events: `audit|git`")
	fs.BoolVar(&o.json, "json", false, "print each event as JSON, one a line, with where it lies in the log")
	return withClient(fs, env, func(ctx context.Context, c *client.Client, args []string) error {
		if len(args) > 0 {
			if o.Phrase != "" {
				return usagef("the phrase is there twice").withHint("Give it with --phrase, or behind the flags.")
			}
			o.Phrase = strings.Join(args, " ")
		}
		t := &tailer{client: c, options: o, env: env}
		return t.run(ctx)
	})
}

// tailer follows the log over connections that may break.
type tailer struct {
	client  *client.Client
	options *tailOptions
	env     *Env
	printed bool // the head of the table
	reached bool // the server, once
}

// run follows until ctx ends, which is how it is meant to end.
func (t *tailer) run(ctx context.Context) error {
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		got, err := t.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		e, answered := errors.AsType[*client.Error](err)
		if !t.reached || answered && !e.Temporary() || isPrintError(err) {
			return err
		}
		if answered && e.RetryAfter > wait {
			wait = e.RetryAfter
		}
		if got {
			wait = time.Second
		}
		fmt.Fprintf(t.env.Stderr, "sluice: the connection ended; reconnecting\n")
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

// printError is one of standard output.
type printError struct{ error }

func isPrintError(err error) bool {
	_, ok := errors.AsType[printError](err)
	return ok
}

// follow reads one answer to its end. It reports whether there was one.
func (t *tailer) follow(ctx context.Context) (got bool, err error) {
	live, err := t.client.Follow(ctx, t.options.LiveQuery)
	if err != nil {
		return false, err
	}
	defer live.Close()
	t.reached = true
	for {
		e, gap, err := live.Next()
		t.options.After = live.Position()
		if err != nil {
			return true, err
		}
		if gap != nil {
			t.tell(gap)
			continue
		}
		if err := t.print(e); err != nil {
			return true, printError{err}
		}
	}
}

// tell says what was missed.
func (t *tailer) tell(g *client.Gap) {
	why := "this reader was too slow"
	if g.Reason == "expired" {
		why = "they have expired"
	}
	fmt.Fprintf(t.env.Stderr, "sluice: %s:%d-%d not shown, up to %d events: %s\n", g.Partition, g.First, g.Last, g.Events, why)
}

func (t *tailer) print(e *client.FoundEvent) error {
	if t.options.json {
		return (&searchOptions{json: true}).print(t.env.Stdout, []client.FoundEvent{*e}, false)
	}
	// Rows are printed while they come: the cells have a width of their own.
	w := tabwriter.NewWriter(t.env.Stdout, 20, 0, 2, ' ', 0)
	if !t.printed {
		t.printed = true
		fmt.Fprintln(w, foundHead)
	}
	fmt.Fprintln(w, foundRow(e))
	return w.Flush()
}
