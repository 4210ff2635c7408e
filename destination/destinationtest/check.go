package destinationtest

import (
	"bytes"
	"context"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicelog/sluice/destination"
)

func stages(ctx context.Context, dst destination.Destination) (list []destination.Stage, ok bool) {
	ok = dst.Check(ctx, func(s destination.Stage) { list = append(list, s) })
	return list, ok
}

func names(list []destination.Stage) []string {
	var out []string
	for _, s := range list {
		out = append(out, s.Name)
	}
	return out
}

func (h Harness) checkStages(t *testing.T, list []destination.Stage, ok bool) {
	t.Helper()
	if len(list) == 0 {
		t.Fatal("stages: got none, want some")
	}
	known := []string{"resolve", "connect", "tls", "authenticate", "accept"}
	last := -1
	for i, s := range list {
		h.checkWords(t, s.Message)
		at := slices.Index(known, s.Name)
		if at <= last {
			t.Errorf("stages: got %q, want them in the order %q", names(list), known)
		}
		last = at
		if want := ok || i < len(list)-1; s.OK != want {
			t.Errorf("stage %s: got ok %t, want %t", s.Name, s.OK, want)
		}
	}
}

func testCheck(t *testing.T, h Harness) {
	_, dst := h.start(t, Always(Step{Act: Accept}))
	list, ok := stages(t.Context(), dst)
	if !ok {
		t.Fatalf("Check: got %+v, want all stages passed", list)
	}
	h.checkStages(t, list, true)
}

// testCheckStops fails the check at each place where every kind has one.
func testCheckStops(t *testing.T, h Harness) {
	refusing := h.listen(t, Always(Step{Act: Answer, Status: 401, Echo: true}), false)
	accepting := h.listen(t, Always(Step{Act: Accept}), false)
	untrusted := h.listen(t, Always(Step{Act: Accept}), true)
	for _, c := range []struct {
		name   string
		url    string
		dialer *destination.Dialer
		last   []string // the stage that may fail
	}{
		{"refused address", accepting.URL, destination.NewDialer(destination.DialerConfig{}), []string{"resolve"}},
		{"nothing listens", h.deadURL(t), loopback(), []string{"connect"}},
		{"certificate", untrusted.URL, loopback(), []string{"tls"}},
		{"401", refusing.URL, loopback(), []string{"authenticate", "accept"}},
	} {
		list, ok := stages(t.Context(), h.open(t, c.url, c.dialer))
		if ok {
			t.Errorf("Check with %s: got passed, want failed", c.name)
		}
		h.checkStages(t, list, false)
		if got := list[len(list)-1].Name; !slices.Contains(c.last, got) {
			t.Errorf("Check with %s: got failed at %s, want %q", c.name, got, c.last)
		}
	}
	wantNone(t, accepting)
	wantNone(t, untrusted)
}

// testCheckHangs checks a receiver that takes requests and says nothing: the
// message must not only state that, but name what to look at.
func testCheckHangs(t *testing.T, h Harness) {
	r := h.listen(t, Always(Step{Act: Hang}), false)
	dst := h.open(t, r.URL, loopback())
	ctx, expire := withDeadline(t.Context())
	defer expire()
	go func() {
		select {
		case <-r.Arrived:
		case <-ctx.Done():
		}
		expire()
	}()
	list, ok := stages(ctx, dst)
	if ok {
		t.Fatalf("Check: got %+v, want failed", list)
	}
	h.checkStages(t, list, false)
	last := list[len(list)-1]
	if !slices.Contains([]string{"authenticate", "accept"}, last.Name) || !strings.Contains(last.Message, "no answer in time; ") {
		t.Errorf("Check: got %s with %q, want it to say what to look at", last.Name, last.Message)
	}
}

// deadline is a context whose deadline passes when expire is called.
type deadline struct {
	context.Context
	done   chan struct{}
	passed atomic.Bool
}

func withDeadline(ctx context.Context) (_ context.Context, expire func()) {
	d := &deadline{Context: ctx, done: make(chan struct{})}
	return d, sync.OnceFunc(func() { d.passed.Store(true); close(d.done) })
}

func (d *deadline) Done() <-chan struct{} { return d.done }

func (d *deadline) Err() error {
	if d.passed.Load() {
		return context.DeadlineExceeded
	}
	return nil
}

// testLeak sends to receivers that accept, hang and die, and then looks for
// goroutines that came from there. Labels are inherited, so that other tests do
// not count.
func testLeak(t *testing.T, h Harness) {
	label := t.Name()
	steps := []Act{Accept, Hang, ResetAfter, Endless, AcceptThenDie}
	receivers := make([]*Receiver, len(steps))
	for i, act := range steps {
		receivers[i] = h.listen(t, Always(Step{Act: act, Status: 200}), false)
	}
	pprof.Do(t.Context(), pprof.Labels("leak", label), func(ctx context.Context) {
		for i, act := range steps {
			dst := h.Open(t, receivers[i].URL, h.env(loopback()))
			ctx, cancel := context.WithCancel(ctx)
			done := make(chan struct{})
			go func() {
				defer close(done)
				dst.Send(ctx, Batch(4))
			}()
			<-receivers[i].Arrived
			if act == Hang {
				cancel()
			}
			<-done
			cancel()
			if err := dst.Close(); err != nil {
				t.Errorf("Close: got %v, want nil", err)
			}
		}
	})
	// Goroutines of closed connections need a moment to end.
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		left := labelled(t, label)
		if left == "" {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("goroutines after Close: got\n%s\nwant none", left)
		}
	}
}

// labelled returns the stacks of goroutines with the label.
func labelled(t *testing.T, label string) string {
	t.Helper()
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		t.Fatalf("read goroutines: got %v, want nil", err)
	}
	for stack := range bytes.SplitSeq(profile.Bytes(), []byte("\n\n")) {
		if bytes.Contains(stack, []byte(`"`+label+`"`)) {
			return string(stack)
		}
	}
	return ""
}
