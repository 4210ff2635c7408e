package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/sluicelog/sluice/client"
)

// exportOptions are the flags of sluice export.
type exportOptions struct {
	client.ExportQuery
	output  string
	json    bool
	restart bool
}

// exportTries is how often in a row an export goes on without getting further.
const exportTries = 5

func exportFlags(fs *flag.FlagSet, env *Env) action {
	o := &exportOptions{}
	fs.StringVar(&o.Namespace, "namespace", "", "only events of this `NAMESPACE`, and below")
	fs.Var(choiceValue{&o.Class, []string{"audit", "git"}}, "class", "only audit events or only Git events: `audit|git`")
	fs.StringVar(&o.From, "from", "", "only what was accepted from this `TIME` on, or day")
	fs.StringVar(&o.To, "to", "", "only what was accepted before this `TIME`, or up to the end of the day")
	o.Format = "ndjson"
	fs.Var(choiceValue{&o.Format, []string{"ndjson", "json", "csv"}}, "format", "events a line, one array, or a table: `ndjson|json|csv`")
	fs.StringVar(&o.output, "output", "-", "write `FILE`, by way of FILE.part; - is standard output")
	fs.BoolVar(&o.restart, "restart", false, "throw an unfinished FILE.part away")
	fs.StringVar(&o.After, "after", "", "go on behind the export that ended with this `CURSOR`")
	fs.BoolVar(&o.json, "json", false, "print a summary as JSON, and no progress")
	return withClient(fs, env, func(ctx context.Context, c *client.Client, args []string) error {
		o.Phrase = strings.Join(args, " ")
		if o.json && o.output == "-" {
			return usagef("--json needs --output").withHint("The summary and the events would be mixed.")
		}
		x := &exporter{client: c, options: o, bar: &bar{env: env, quiet: o.json, started: time.Now()}}
		if o.output == "-" {
			x.out = &exportStream{w: env.Stdout, form: o.form()}
		} else {
			file, err := openPart(o)
			if err != nil {
				return err
			}
			defer file.close()
			x.out = file
		}
		return x.run(ctx, env)
	})
}

// exporter carries out an export.
type exporter struct {
	client  *client.Client
	options *exportOptions
	out     exportOutput
	bar     *bar
	done    exportTotal
}

// exportTotal is what an export did.
type exportTotal struct {
	File    string  `json:"file,omitempty"`
	Events  uint64  `json:"events"` // those of an earlier, unfinished run included
	Bytes   int64   `json:"bytes"`
	Missing int     `json:"missing"`
	Cursor  string  `json:"cursor"`
	Seconds float64 `json:"seconds"`
}

// run reads the export, and goes on with it when the connection breaks; but when
// nothing came at all, somebody should look.
func (x *exporter) run(ctx context.Context, env *Env) error {
	got := false
	for tries := 0; ; tries++ {
		before := x.out.size()
		err := x.read(ctx)
		x.bar.clear()
		if err == nil {
			break
		}
		if x.out.size() > before {
			tries, got = 0, true
		}
		if ctx.Err() != nil || !got || !isTemporary(err) || tries == exportTries || !x.out.resumable() {
			return x.unfinished(err)
		}
		wait := time.Duration(0) // at once when it had got further
		if tries > 0 {
			wait = time.Second << tries
		}
		if e, ok := errors.AsType[*client.Error](err); ok {
			wait = max(wait, e.RetryAfter)
		}
		fmt.Fprintf(env.Stderr, "sluice: %v; going on\n", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return x.unfinished(context.Cause(ctx))
		}
	}
	if err := x.out.finish(); err != nil {
		return err
	}
	return x.report(env)
}

// isTemporary reports whether the same export may get further later.
func isTemporary(err error) bool {
	if e, ok := errors.AsType[*client.Error](err); ok {
		return e.Temporary()
	}
	_, local := errors.AsType[*os.PathError](err)
	return !local // a connection that broke
}

// read reads up to the end, from where the output stands.
func (x *exporter) read(ctx context.Context) error {
	e, err := x.begin(ctx)
	if err != nil {
		return err
	}
	defer e.Body.Close()
	x.bar.begin(e.Estimate, x.out)
	buf := make([]byte, 256<<10)
	for {
		n, err := e.Body.Read(buf)
		if writeErr := x.out.write(buf[:n]); writeErr != nil {
			return writeErr
		}
		x.bar.update()
		if errors.Is(err, io.EOF) {
			x.done.Cursor, x.done.Missing = e.Cursor(), x.done.Missing+e.Missing()
			return nil
		}
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("the connection broke: %w", err)
		}
	}
}

// begin asks for what follows the output's last event. When other events have the
// same id as that one, it takes events away until one is found that is alone.
func (x *exporter) begin(ctx context.Context) (*client.Export, error) {
	q := x.options.ExportQuery
	q.Format = x.options.form().wire()
	for range 100 {
		id, err := x.out.last()
		if err != nil {
			return nil, err
		}
		if q.After, q.AfterID = x.options.After, id; id != "" {
			q.After = ""
		}
		e, err := x.client.Export(ctx, q)
		if bad, ok := errors.AsType[*client.Error](err); ok && bad.Code == "conflict" && id != "" {
			if err := x.out.takeBack(); err != nil {
				return nil, err
			}
			continue
		}
		return e, err
	}
	return nil, errors.New("the last 100 events have ids that others have, too: begin anew with --restart")
}

func (x *exporter) unfinished(err error) error {
	if x.options.output == "-" {
		return fmt.Errorf("%w: what was written is not all", err)
	}
	if x.out.size() == 0 {
		return err
	}
	if _, ok := errors.AsType[*client.Error](err); ok {
		return err
	}
	return fmt.Errorf("%w; the same command goes on with %s", err, x.options.output+partSuffix)
}

func (x *exporter) report(env *Env) error {
	x.done.Events, x.done.Bytes, x.done.Seconds = x.out.events(), x.out.size(), time.Since(x.bar.started).Seconds()
	var err error
	switch {
	case x.options.json:
		x.done.File = x.options.output
		err = writeJSON(env.Stdout, x.done)
	case x.options.output != "-":
		_, err = fmt.Fprintf(env.Stderr, "sluice: %d events, %s in %s\n", x.done.Events, roundSize(x.done.Bytes), x.options.output)
	}
	if err == nil && x.done.Missing > 0 {
		err = fmt.Errorf("%d events were found and could not be read from the log", x.done.Missing)
	}
	return err
}

// bar shows on a terminal how far an export is.
type bar struct {
	env     *Env
	quiet   bool
	started time.Time

	out   exportOutput
	total uint64 // events, 0 when not known
	from  uint64 // events before this connection
	at    time.Time
	next  time.Time
	shown bool
}

func (b *bar) begin(estimate uint64, out exportOutput) {
	b.out, b.from, b.at = out, out.events(), time.Now()
	if estimate > 0 {
		b.total = estimate
	}
}

func (b *bar) update() {
	now := time.Now()
	if b.quiet || !b.env.Terminal || now.Before(b.next) {
		return
	}
	b.next, b.shown = now.Add(200*time.Millisecond), true
	n := b.out.events()
	line := fmt.Sprintf("%d events, %s", n, roundSize(b.out.size()))
	if s := now.Sub(b.at).Seconds(); s > 0.5 {
		line += fmt.Sprintf(", %.0f/s", float64(n-b.from)/s)
	}
	fmt.Fprint(b.env.Stderr, "\r\x1b[K"+drawBar(n, b.total)+line)
}

// drawBar returns the drawing of a part, "" when the whole is not known.
func drawBar(n, total uint64) string {
	const width = 24
	if total == 0 {
		return ""
	}
	part := min(float64(n)/float64(total), 1)
	full := int(part * width)
	return fmt.Sprintf("[%s%s] %3.0f %%  ", strings.Repeat("#", full), strings.Repeat(".", width-full), part*100)
}

func (b *bar) clear() {
	if b.shown {
		fmt.Fprint(b.env.Stderr, "\r\x1b[K")
		b.shown = false
	}
}
