package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/sluicelog/sluice/client"
)

// searchOptions are the flags of sluice search.
type searchOptions struct {
	client.EventQuery
	limit int
	json  bool
}

func searchFlags(fs *flag.FlagSet, env *Env) action {
	o := &searchOptions{limit: 50}
	fs.StringVar(&o.Namespace, "namespace", "", "only events of this `NAMESPACE`, and below")
	fs.Var(choiceValue{&o.Class, []string{"audit", "git"}}, "class", "only audit events or only Git events: `audit|git`")
	fs.Var(countValue{&o.limit}, "limit", "at most `NUMBER` events")
	fs.BoolVar(&o.Oldest, "oldest", false, "the oldest first, not the newest")
	fs.BoolVar(&o.json, "json", false, "print each event as JSON, one a line, with where it lies in the log")
	return withClient(fs, env, func(ctx context.Context, c *client.Client, args []string) error {
		o.Phrase = strings.Join(args, " ")
		return o.search(ctx, c, env)
	})
}

// search prints what is found, page after page.
func (o *searchOptions) search(ctx context.Context, c *client.Client, env *Env) error {
	left := o.limit
	var lag float64
	for more, first := true, true; more && left > 0; first = false {
		o.Limit = min(left, client.MaxFound)
		page, err := c.FindEvents(ctx, o.EventQuery)
		if err != nil {
			return err
		}
		if err := o.print(env.Stdout, page.Events, first); err != nil {
			return err
		}
		if page.Missing > 0 {
			fmt.Fprintf(env.Stderr, "%d events were found and are not in the log.\n", page.Missing)
		}
		if page.Incomplete {
			fmt.Fprintln(env.Stderr, "A part of the index cannot be read: events may be left out until it is made anew.")
		}
		left, more, lag = left-len(page.Events), page.More, page.LagSeconds
		o.After = page.Next
	}
	if lag >= 1 {
		fmt.Fprintf(env.Stderr, "The index is %s behind: what was accepted since cannot be found yet.\n", time.Duration(lag*float64(time.Second)).Round(time.Second))
	}
	return nil
}

// print prints a page.
func (o *searchOptions) print(w io.Writer, events []client.FoundEvent, first bool) error {
	if o.json {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		for i := range events {
			if err := enc.Encode(&events[i]); err != nil {
				return err
			}
		}
		return nil
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if first && len(events) > 0 {
		fmt.Fprintln(tw, foundHead)
	}
	for i := range events {
		fmt.Fprintln(tw, foundRow(&events[i]))
	}
	return tw.Flush()
}

// foundHead names the cells of foundRow.
const foundHead = "ACCEPTED (UTC)\tTYPE\tACTOR\tWHERE\tWHAT"

// foundRow returns the cells of an event, in either vocabulary.
func foundRow(e *client.FoundEvent) string {
	var members map[string]any
	dec := json.NewDecoder(bytes.NewReader(e.Event))
	dec.UseNumber()
	if err := dec.Decode(&members); err != nil {
		members = nil // it is shown without what it says
	}
	text := func(names ...string) string {
		for _, name := range names {
			switch v := members[name].(type) {
			case string:
				if v != "" {
					return fit(v)
				}
			case json.Number:
				return fit(v.String())
			}
		}
		return "-"
	}
	details, _ := members["details"].(map[string]any)
	what := text("custom_message", "message", "target_details", "name", "user")
	if s, ok := details["custom_message"].(string); what == "-" && ok {
		what = cmp.Or(fit(s), "-")
	}
	return strings.Join([]string{
		e.AcceptedAt.UTC().Format(clock), text("event_type", "action"), text("author_name", "actor"),
		fit(orNone(e.Namespace, "(instance)")), what,
	}, "\t")
}

// fit makes text fit for a table on a terminal: on one line, without characters
// that steer it, and not too long.
func fit(s string) string {
	const most = 80
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most-3]) + "..."
	}
	return strings.TrimSpace(s)
}
