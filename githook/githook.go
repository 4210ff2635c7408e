// Package githook turns the pushes that a Git repository receives into events.
//
// The post-receive hook runs while the client of the push still waits, and after
// the refs have changed: it can neither refuse the push nor be asked again. So
// it first writes the push's events, with their ids, into a spool folder inside
// the repository, which needs nothing but the disk, and only then tries for a
// moment to send everything in the spool. What is left goes with the next push,
// or with a flush. Sending an event twice is harmless, because its id stays the
// same; so the spool needs no record of what was sent, and pushes at the same
// time need no agreement.
package githook

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/sluicelog/sluice/client"
)

// DefaultBudget is the longest that a push waits for the hook.
const DefaultBudget = 2 * time.Second

// counting returns the part of a budget for counting commits.
func counting(budget time.Duration) time.Duration { return budget * 35 / 100 }

// Push is one call of the hook.
type Push struct {
	// Dir is the directory that Git runs the hook in.
	Dir string
	// Environ is the hook's environment: it says who pushes, and how.
	Environ []string
	// Updates is the hook's standard input: "OLD NEW REF" lines.
	Updates io.Reader
	// Messages goes to the person who pushes.
	Messages io.Writer
	// Connect makes a client for the configured server and token file.
	Connect func(Config) (*client.Client, error)
	// Now is the clock.
	Now func() time.Time
	// Budget is the longest that the push waits; [DefaultBudget] when it is 0.
	Budget time.Duration
}

// Run records a push. It returns soon after the budget at the latest, and when it
// returns nil, every ref update is in the spool or at the server. An error is
// for the person who pushes; the push itself has happened.
func (p *Push) Run(ctx context.Context) error {
	start := p.Now()
	budget := p.Budget
	if budget == 0 {
		budget = DefaultBudget
	}
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	updates, err := parseUpdates(p.Updates)
	if err != nil || len(updates) == 0 {
		return err
	}
	repo, err := OpenRepository(ctx, p.Dir, p.Environ)
	if err != nil {
		return err
	}
	cfg, err := repo.Config(ctx)
	if err != nil || cfg.Namespace == "" {
		return err // a shared hooks folder serves repositories that are not recorded, too
	}
	events := newEvents(cfg, updates, readIdentity(p.Environ), start)
	spool := repo.Spool(cfg)
	draft, err := spool.Draft(events)
	if err != nil {
		return p.withoutSpool(ctx, cfg, spool, events, err)
	}
	part, stop := context.WithTimeout(ctx, counting(budget))
	repo.count(part, updates, events)
	repo.nameActor(part, updates, events)
	stop()
	if err := draft.Finish(events); err != nil {
		return fmt.Errorf("spool push: %w", err)
	}
	if err := p.send(ctx, cfg, spool); err != nil && !cfg.Quiet {
		fmt.Fprintf(p.Messages, "sluice: this push is recorded in the repository and will be sent later (%v)\n", err)
	}
	return nil
}

// withoutSpool is for a spool that takes nothing: what is in it is sent first,
// then the events directly.
func (p *Push) withoutSpool(ctx context.Context, cfg Config, spool *Spool, events []event, cause error) error {
	drained := p.send(ctx, cfg, spool)
	err := p.sendEvents(ctx, cfg, spool, events)
	if err == nil {
		return nil
	}
	if drained != nil {
		err = drained
	}
	spool.noteLost(p.Now(), len(events), cause)
	return fmt.Errorf("this push is NOT recorded (%d ref updates): %w; the server did not take it either: %w", len(events), cause, err)
}

func (p *Push) sendEvents(ctx context.Context, cfg Config, spool *Spool, events []event) error {
	text, err := encode(events)
	if err != nil {
		return err
	}
	c, err := p.Connect(cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	f := &flush{spool: spool, client: c, report: func(string) {}}
	return f.text(ctx, text)
}

func (p *Push) send(ctx context.Context, cfg Config, spool *Spool) error {
	c, err := p.Connect(cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	report := func(string) {}
	if cfg.Verbose {
		report = func(line string) { fmt.Fprintln(p.Messages, line) }
	}
	_, err = spool.Flush(ctx, c, report)
	return err
}
