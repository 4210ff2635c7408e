package oracle

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/sluicelog/sluice/bench/server"
)

// Space is a disk that somebody else fills.
type Space interface {
	// Path returns where the disk is.
	Path() string
	// Fill leaves so many bytes of it free, or as few as there are.
	Fill(free int64) error
	// Empty gives back what Fill has taken.
	Empty() error
}

const (
	// noticed is how long the server may take events when the disk is full for them,
	// and refuse them when there is space again.
	noticed = 10 * time.Second
	// reserve is what is left for control state when the disk is full for events: less
	// than the least floor that the server takes.
	reserve = 40 << 20
)

// mayRefuse reports whether a post that began at a time may be answered with 507.
func (s *subject) mayRefuse(began time.Time) bool {
	return s.full.Load() || began.UnixNano() < s.emptied.Load()+int64(noticed)
}

// fill has the disk get full under load, and space come back: in half of the times
// to the last byte, in half so far that events are refused. What was accepted is
// delivered and shown meanwhile; in half of the times the server is killed and
// starts again while the disk is full. When there is space it takes events again by
// itself. told is a stream to which nothing else is done.
func (o *oracle) fill(ctx context.Context, told *stream, left int64, kill bool) error {
	o.fulls++
	o.server.full.Store(true)
	if err := o.cfg.Space.Fill(left); err != nil {
		return err
	}
	if err := o.whileFull(ctx, told, left); err != nil {
		return fmt.Errorf("with %d bytes left: %w", left, err)
	}
	refused := false
	if kill {
		var err error
		if refused, err = o.restartFull(ctx, left); err != nil {
			return fmt.Errorf("start with %d bytes left: %w", left, err)
		}
	}
	if kill && !refused {
		if err := o.whileFull(ctx, told, left); err != nil {
			return fmt.Errorf("after a start with %d bytes left: %w", left, err)
		}
	}
	if err := o.cfg.Space.Empty(); err != nil {
		return err
	}
	o.server.emptied.Store(time.Now().UnixNano())
	o.server.full.Store(false)
	if refused {
		if err := o.start(ctx); err != nil {
			return fmt.Errorf("start when there is space again: %w", err)
		}
	}
	_, acked := o.books.totals()
	if err := o.books.await(ctx, acked+o.cfg.Acknowledged/4, loadTimeout); err != nil {
		o.findings.add("no events are accepted although there is space again: %v", err)
	}
	return nil
}

// restartFull kills the server and starts it on the full disk, until it answers: it
// is not ready, for it takes no events. Only when not a byte is left and it has none
// in reserve it may refuse to start: who owns the log has to be on disk first.
func (o *oracle) restartFull(ctx context.Context, left int64) (refused bool, err error) {
	if err := o.kill(ctx); err != nil {
		return false, err
	}
	o.begin()
	_, none := os.Stat(filepath.Join(o.server.Data, "reserve"))
	if err := o.server.launch(ctx); err != nil {
		return false, err
	}
	answers := soon(ctx, loadTimeout, func() bool {
		refused = o.server.Ended()
		return refused || o.server.call(ctx, http.MethodGet, "/healthz", nil, nil) == nil
	})
	switch {
	case refused && left == 0 && none != nil:
		return true, errors.Join(o.server.Kill(), o.quiet(ctx))
	case !answers, refused:
		return false, errors.Join(fmt.Errorf("the server does not answer (it ended: %v)", refused), o.server.kill())
	}
	return false, nil
}

// whileFull looks whether posts are refused and all else goes on.
func (o *oracle) whileFull(ctx context.Context, told *stream, left int64) error {
	before := o.server.refused.Load()
	if !soon(ctx, noticed, func() bool { return o.server.refused.Load() > before }) {
		o.findings.add("no post was answered with 507 with %d bytes left", left)
	}
	for _, path := range []string{"/healthz", "/api/v1/streams", "/api/v1/events?limit=5", "/-/sign_in"} {
		var err error
		if !soon(ctx, noticed, func() bool { // the index may still be being opened
			err = o.server.call(ctx, http.MethodGet, path, nil, nil)
			return err == nil
		}) {
			o.findings.add("%s with %d bytes left: %v", path, left, err)
		}
	}
	first := o.all()[0]
	first.receiver.set(healthy) // it may have waited for its next try already
	var v view
	if !soon(ctx, loadTimeout, func() bool {
		got, err := o.server.stream(ctx, first.id)
		v = got
		return err == nil && v.Ledger.Pending == 0
	}) {
		o.findings.add("%s: not delivered with %d bytes left: %s, %v", first.spec.Name, left, v.Status, v.Ledger)
	}
	if left == 0 {
		return ctx.Err()
	}
	if err := o.poke(ctx, told); err != nil {
		o.findings.add("with %d bytes left, nothing can be changed: %v", left, err)
		return ctx.Err()
	}
	if err := o.awaitUpdates(ctx, told); err != nil {
		o.findings.add("with %d bytes left, a change is not told in the log: %v", left, err)
	}
	return ctx.Err()
}

// soon calls f until it is true, for so long.
func soon(ctx context.Context, d time.Duration, f func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for !f() {
		if server.Pause(ctx, 10*time.Millisecond); ctx.Err() != nil {
			return false
		}
	}
	return true
}

// awaitUpdates waits until the log has told every change of a stream.
func (o *oracle) awaitUpdates(ctx context.Context, s *stream) error {
	told := 0
	if soon(ctx, loadTimeout, func() bool {
		told = 0
		for _, e := range o.all()[0].receiver.shelf().own {
			if e.Type == "stream.update" && e.about(s.id) {
				told++
			}
		}
		return told >= s.done["stream.update"]
	}) {
		return nil
	}
	return fmt.Errorf("%d of %d changes of %s", told, s.done["stream.update"], s.spec.Name)
}
