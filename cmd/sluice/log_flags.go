package main

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"time"

	"github.com/sluicelog/sluice"
)

// logOptions are the flags of the commands that read a stored log.
type logOptions struct {
	Data      string
	Partition string   // "" is all
	From, To  logBound // inclusive; zero is open
	JSON      bool
}

// logBound is an end of a range: a sequence number or a time, zero when open.
type logBound struct {
	Seq  uint64
	Time time.Time
}

func (b *logBound) String() string {
	switch {
	case b == nil || *b == logBound{}:
		return ""
	case b.Seq > 0:
		return strconv.FormatUint(b.Seq, 10)
	}
	return b.Time.Format(time.RFC3339Nano)
}

func (b *logBound) Set(s string) error {
	if seq, err := strconv.ParseUint(s, 10, 64); err == nil && seq > 0 {
		*b = logBound{Seq: seq}
		return nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return fmt.Errorf("must be a sequence number or a time such as 2026-03-01T12:00:00Z")
	}
	*b = logBound{Time: t}
	return nil
}

// wants reports whether some of the numbers from first to last are asked for.
func (o *logOptions) wants(first, last uint64) bool {
	return o.From.Seq <= last && (o.To.Seq == 0 || o.To.Seq >= first)
}

func logFlags(read func(context.Context, logOptions, *Env) error) func(*flag.FlagSet, *Env) action {
	return func(fs *flag.FlagSet, env *Env) action {
		var o logOptions
		fs.StringVar(&o.Data, "data", "", "the server's data `DIR`")
		fs.StringVar(&o.Partition, "partition", "", "only this `PARTITION` (audit, git)")
		fs.Var(&o.From, "from", "first event, by `SEQ|TIME`")
		fs.Var(&o.To, "to", "last event, by `SEQ|TIME`")
		fs.BoolVar(&o.JSON, "json", false, "print JSON")
		return func(ctx context.Context, _ []string) error {
			if o.Data == "" {
				return usagef("--data is missing").withHint("It is the folder that the server was given.")
			}
			if o.Partition == "" && (o.From.Seq > 0 || o.To.Seq > 0) {
				return usagef("--from and --to by number need --partition").withHint("Each partition counts by itself; the first is %q.", sluice.Classes()[0])
			}
			return read(ctx, o, env)
		}
	}
}
