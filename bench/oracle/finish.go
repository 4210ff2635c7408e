package oracle

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sluicelog/sluice/bench/server"
)

// rest brings everything to rest and compares it: it completes every request, heals
// every receiver, waits until all is settled, and judges each event and each count
// exactly. The server runs before and after.
func (o *oracle) rest(ctx context.Context) error {
	for _, p := range o.producers {
		p.client = newClient()
		for try := 0; p.open != nil && !p.complete(o.server); try++ {
			if try == 100 {
				return errors.New("a request that was not answered cannot be completed")
			}
			server.Pause(ctx, 20*time.Millisecond)
		}
		p.client.CloseIdleConnections()
	}
	acting, cancel := context.WithTimeout(ctx, server.Patience)
	defer cancel()
	for _, p := range []*stream{o.named(pausing), o.named(pausingBucket)} {
		if p.paused {
			o.due("resume", func(ctx context.Context) error { return o.setActive(ctx, p, true) })
		}
	}
	if o.act(acting); len(o.deeds) > 0 {
		return fmt.Errorf("cannot %s", o.deeds[0].what)
	}
	if err := o.settle(ctx); err != nil {
		return err
	}
	o.rests++
	o.judge(ctx)
	o.judgeSearch(ctx)
	return nil
}

// startHealthy starts the server beside receivers that take everything.
func (o *oracle) startHealthy(ctx context.Context) error {
	for _, s := range o.streams {
		s.receiver.set(healthy)
	}
	return o.start(ctx)
}

// between judges in the middle of a run, so that an account that is wrong for a
// while and right in the end is found, too. The server does not run.
func (o *oracle) between(ctx context.Context) error {
	if err := o.startHealthy(ctx); err != nil {
		return err
	}
	if err := o.rest(ctx); err != nil {
		return err
	}
	return o.kill(ctx)
}

// finish judges in the end, and does so again after an orderly restart and after a
// kill, when nothing may have changed.
func (o *oracle) finish(ctx context.Context) error {
	if err := o.startHealthy(ctx); err != nil {
		return err
	}
	if err := o.rest(ctx); err != nil {
		return err
	}
	o.inspect(ctx)
	for _, end := range []func() error{o.server.stop, o.server.kill} {
		if err := errors.Join(end(), o.quiet(ctx)); err != nil {
			return err
		}
		if err := o.start(ctx); err != nil {
			return err
		}
		if err := o.same(ctx); err != nil {
			return err
		}
	}
	o.judgeSearch(ctx)
	return o.server.kill()
}

// inspect lets the caller look.
func (o *oracle) inspect(ctx context.Context) {
	if o.cfg.Inspect == nil {
		return
	}
	end := End{Address: o.server.URL(), Token: server.AdminToken, Events: int(o.streams[0].final.Accepted)}
	for _, s := range o.streams {
		if s.alive() {
			end.Streams = append(end.Streams, s.id)
		}
	}
	for _, f := range o.cfg.Inspect(ctx, end) {
		o.findings.add("%s", f)
	}
}

// settle waits until nothing is pending any more, and every stream that was told
// to be in trouble has been told to be well: no event follows by itself then, which
// two looks in a row have to show. Streams that wait for their next try are poked,
// as an owner would do it: by a change.
func (o *oracle) settle(ctx context.Context) error {
	patience, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	for round, calm := 0, false; ; round++ {
		list, err := o.server.list(ctx)
		if err != nil {
			return fmt.Errorf("list streams: %w", err)
		}
		open := ""
		for _, s := range o.streams {
			for _, v := range list {
				if s.alive() && v.ID == s.id && (v.Ledger.Pending > 0 || v.Health.State != "ok") {
					open += fmt.Sprintf("\n%s is %s, told %s: %v %s", s.spec.Name, v.Status, v.Health.State, v.Ledger, v.Lanes)
					if v.Status != "active" && v.Status != "done" && round%50 == 0 {
						if err := o.poke(ctx, s); err != nil {
							return err
						}
					}
				}
			}
		}
		if open != "" || !o.told() {
			calm = false
		} else if calm {
			return nil
		} else {
			calm = true
			server.Pause(patience, calmFor)
		}
		if patience.Err() != nil {
			o.findings.add("not everything was delivered and told (%v) within %v of the end: %s", o.told(), settleTimeout, open)
			return nil
		}
		server.Pause(patience, 20*time.Millisecond)
	}
}

// calmFor lies between two looks that have to find nothing open: health is looked
// at each 2 s.
const calmFor = 3 * time.Second

// told reports whether every deed has been told in the log.
func (o *oracle) told() bool {
	seen := map[string]int{}
	for _, e := range o.streams[0].receiver.shelf().own {
		seen[e.Type+" "+string(e.Target)]++
	}
	for _, s := range o.streams {
		for _, kind := range toldTypes() {
			if seen[fmt.Sprint(kind, " ", s.id)] < s.done[kind] {
				return false
			}
		}
	}
	return true
}

// toldTypes are the types of Sluice's own events about a stream.
func toldTypes() []string {
	return []string{"stream.create", "stream.update", "stream.pause", "stream.resume", "stream.delete"}
}

func (o *oracle) poke(ctx context.Context, s *stream) error {
	s.pokes++
	body := map[string]any{"name": fmt.Sprintf("%s, poke %d", s.spec.Name, s.pokes)}
	if err := o.server.call(ctx, http.MethodPatch, fmt.Sprintf("/api/v1/streams/%d", s.id), body, nil); err != nil {
		return fmt.Errorf("poke %s: %w", s.spec.Name, err)
	}
	s.done["stream.update"]++
	return nil
}

// same looks whether every ledger is what it was when it was judged.
func (o *oracle) same(ctx context.Context) error {
	for _, s := range o.streams {
		if !s.alive() {
			continue
		}
		v, err := o.server.stream(ctx, s.id)
		if isStatus(err, http.StatusNotFound) {
			o.findings.add("%s: the stream is gone after a restart", s.spec.Name)
			continue
		}
		if err != nil {
			return err
		}
		if v.Ledger != s.final {
			o.findings.add("%s: the ledger changed with a restart without events: got %v, want %v", s.spec.Name, v.Ledger, s.final)
		}
	}
	return nil
}
