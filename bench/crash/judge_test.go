package crash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/bench/server"
	"github.com/sluicelog/sluice/client"
)

const producerToken = "crash-producer-token-0123456789"

// Bounds of patience.
const (
	patience  = server.Patience
	pollEvery = 15 * time.Millisecond
)

// complaints returns the lines of this life that are warnings or worse.
func (w *world) complaints() (out []string) {
	for line := range bytes.Lines(w.LifeLog()) {
		if bytes.Contains(line, []byte("level=WARN")) || bytes.Contains(line, []byte("level=ERROR")) {
			out = append(out, string(bytes.TrimSpace(line)))
		}
	}
	return out
}

// notYet says in its own words what is waited for.
type notYet string

func (e notYet) Error() string { return string(e) }

func notYetf(format string, args ...any) error { return notYet(fmt.Sprintf(format, args...)) }

func isStatus(err error, status int) bool {
	e, ok := errors.AsType[*client.Error](err)
	return ok && e.Status == status
}

// await waits until try finds nothing left to wait for, twice in a row.
func (w *world) await(what string, try func(context.Context) error) {
	w.Helper()
	calm := false
	begin := time.Now()
	w.do("see "+what, func(ctx context.Context) error {
		err := try(ctx)
		switch _, waiting := errors.AsType[notYet](err); {
		case waiting && time.Since(begin) > patience:
			w.Fatalf("%s: %v", what, err)
		case err == nil && !calm:
			calm = true
			time.Sleep(calmFor)
			return notYet("once more")
		case err != nil:
			calm = false
		}
		return err
	})
}

// calmFor lies between two looks that have to find the same.
const calmFor = 150 * time.Millisecond

// settle waits until the server has died and everything is as it is to be.
func (w *world) settle() {
	w.Helper()
	w.await("that all is well", w.exact)
}

// exact compares every ledger and every receiver with the book.
func (w *world) exact(ctx context.Context) error {
	list, err := w.Admin.Streams(ctx, nil)
	if err != nil {
		return err
	}
	alive := 0
	for _, s := range w.streams {
		if s.gone {
			continue
		}
		alive++
		if s.refresh != nil {
			if err := s.refresh(ctx); err != nil {
				return err
			}
		}
		there := false
		for i := range list {
			if list[i].ID != s.id {
				continue
			}
			there = true
			if err := s.exact(&list[i]); err != nil {
				return err
			}
		}
		if !there {
			return notYetf("%s: stream %d is gone", s.spec.Name, s.id)
		}
	}
	if len(list) != alive {
		return notYetf("%d streams are there, want %d", len(list), alive)
	}
	return w.judgeOwn(ctx)
}

// exact compares one stream. What has come to the first stream is what there is:
// its own ledger says whether something is in the log twice.
func (s *stream) exact(v *client.Stream) error {
	want, bad := s.wanted()
	ledger := sluice.Ledger{Accepted: uint64(len(want)), Expired: uint64(s.lost + len(s.dropped))}
	for id := range bad {
		delete(want, id)
	}
	ledger.Quarantined = uint64(len(bad))
	for id := range s.dropped {
		delete(want, id)
	}
	ledger.Delivered = uint64(len(want) - s.lost)
	s.mu.Lock()
	defer s.mu.Unlock()
	missing, example := 0, ""
	for id := range want {
		if s.arrived[id] == 0 {
			missing, example = missing+1, id
		}
	}
	switch {
	case v.Ledger != ledger:
		return notYetf("%s is %s: got %+v, want %+v", s.spec.Name, v.Status, v.Ledger, ledger)
	case missing != s.lost:
		return notYetf("%s: %d events are missing, want %d; %s for example", s.spec.Name, missing, s.lost, example)
	case len(s.arrived) != len(want)-missing:
		return notYetf("%s: %d events arrived, want %d", s.spec.Name, len(s.arrived), len(want)-missing)
	case v.Name != s.spec.Name:
		return notYetf("stream %d: got the name %q, want %q", s.id, v.Name, s.spec.Name)
	}
	return nil
}

// wanted returns what is accepted for a stream, and of that what its receiver
// refuses.
func (s *stream) wanted() (want, bad map[string]bool) {
	want, bad = map[string]bool{}, map[string]bool{}
	for id, e := range s.w.book.events {
		if s.spec.Namespace != "" && s.spec.Namespace != e.top {
			continue
		}
		want[id] = true
		if e.bad && s.spec.Namespace != "" && !s.tolerates(id) && !s.dropped[id] {
			bad[id] = true
		}
	}
	for _, o := range s.w.told() {
		if s.spec.Namespace == "" || s.spec.Namespace == o.Path {
			want[o.ID] = true
		}
	}
	return want, bad
}

func (s *stream) tolerates(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tolerant[id]
}

// told returns what Sluice has told about itself.
func (w *world) told() []own {
	first := w.streams[0]
	first.mu.Lock()
	defer first.mu.Unlock()
	return append([]own(nil), first.own...)
}

// judgeOwn looks whether whatever is there, or is gone, was told once.
func (w *world) judgeOwn(ctx context.Context) error {
	told := map[string]int{}
	for _, o := range w.told() {
		told[o.Type+" "+string(o.Target)]++
	}
	want := map[string]int{}
	for _, s := range w.streams {
		want[fmt.Sprintf("stream.create %d", s.id)] = 1
		if s.gone {
			want[fmt.Sprintf("stream.delete %d", s.id)] = 1
		}
	}
	tokens, err := w.Admin.Tokens(ctx)
	if err != nil {
		return err
	}
	for i := range tokens {
		want[fmt.Sprintf("token.create %q", tokens[i].ID)] = 1
	}
	for _, o := range w.told() {
		if err := w.judgeLast(&o); err != nil {
			return err
		}
	}
	for what, n := range want {
		if told[what] != n {
			return notYetf("%s was told %d times, want %d", what, told[what], n)
		}
	}
	for what, n := range told {
		if _, known := want[what]; n > 1 && once(what) && !known {
			return notYetf("%s was told %d times", what, n)
		}
	}
	return nil
}

// judgeLast compares the last ledger of a stream that was deleted with what has
// arrived: what was on its way when it ended is pending.
func (w *world) judgeLast(o *own) error {
	for _, s := range w.streams {
		if o.Type != "stream.delete" || string(o.Target) != fmt.Sprint(s.id) {
			continue
		}
		s.mu.Lock()
		arrived := uint64(len(s.arrived))
		s.mu.Unlock()
		if l := o.Details.Ledger; l == nil || !l.Balanced() || l.Delivered > arrived || arrived > l.Delivered+l.Pending {
			return notYetf("stream %d was deleted with %+v, and %d events have arrived", s.id, l, arrived)
		}
	}
	return nil
}

// once reports whether what an event tells can happen once to its target only.
func once(what string) bool {
	var kind, target string
	_, _ = fmt.Sscan(what, &kind, &target)
	switch kind {
	case "stream.create", "stream.delete", "token.create", "token.revoke", "user.create", "namespace.create":
		return true
	}
	return false
}
