package deliver

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// silent is a receiver that can hang until the deadline of a try.
type silent struct {
	*receiver
	hangs atomic.Bool
	busy  atomic.Int64 // nanoseconds between two signs of life; 0 for none
}

func (s *silent) Send(ctx context.Context, b *destination.Batch) destination.Result {
	for s.hangs.Load() {
		life := time.After(time.Hour)
		if busy := s.busy.Load(); busy > 0 {
			life = time.After(time.Duration(busy))
		}
		select {
		case <-life:
			destination.Progressed(ctx)
		case <-ctx.Done():
			return destination.Result{Err: destination.Classify(context.Cause(ctx))}
		}
	}
	return s.receiver.Send(ctx, b)
}

// silent adds a stream whose destination can hang.
func (w *world) silent(id sluice.StreamID) *silent {
	s := &silent{receiver: &receiver{limits: destination.Limits{Events: 100, Bytes: 1 << 20, Timeout: 5 * time.Minute}}}
	w.stream(id, "acme", func(conf *Stream) {
		conf.Open = func() (destination.Destination, error) { return s, nil }
	})
	return s
}

func (w *world) state(id sluice.StreamID) State {
	w.t.Helper()
	synctest.Wait()
	st, ok := w.d.State(context.Background(), id)
	if !ok {
		w.t.Fatalf("stream %d is not there", id)
	}
	return st
}

func TestHangingTryShows(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		s := w.silent(1)
		s.hangs.Store(true)
		began := time.Now()
		w.post("acme", "a", 3)
		time.Sleep(HangAfter - time.Second)
		if st := w.state(1); st.Status != sluice.StatusActive || len(w.d.Troubles()) != 0 || st.Lanes[0].Trying == nil ||
			st.Lanes[0].Trying.Events != 3 || st.Lanes[0].Trying.Since.Sub(began) > time.Second || st.Lanes[0].LastError != nil {
			t.Errorf("at first: got %+v", st.Lanes[0])
		}
		time.Sleep(time.Second)
		if st := w.state(1); st.Status != sluice.StatusFailing || st.Lanes[0].Trying == nil {
			t.Errorf("after %s: got %+v, want failing", HangAfter, st.Lanes[0])
		}
		list := w.d.Troubles()
		if len(list) != 1 || list[0].Status != sluice.StatusFailing || list[0].Last.Class != "unavailable" ||
			!strings.Contains(list[0].Last.Message, "has done nothing for 30s; a try is under way (events: 3)") || list[0].Since.Sub(began) > time.Second {
			t.Errorf("troubles: got %+v", list)
		}
		time.Sleep(5 * time.Minute)
		st := w.state(1)
		if l := st.Lanes[0]; l.LastError == nil || l.Status != sluice.StatusFailing || l.Ledger.Pending != 3 {
			t.Errorf("after the deadline: got %+v, want failing with an error", l)
		}
		s.hangs.Store(false)
		time.Sleep(10 * time.Minute)
		if st := w.state(1); st.Status != sluice.StatusActive || st.Lanes[0].Trying != nil || st.Ledger.Delivered != 3 {
			t.Errorf("at the end: got %+v, want active", st.Lanes[0])
		}
	})
}

// A destination that is slow, and shows that it works, does not hang.
func TestSlowTryIsNoHang(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		s := w.silent(1)
		s.hangs.Store(true)
		s.busy.Store(int64(HangAfter / 2))
		w.post("acme", "a", 3)
		for range 8 {
			time.Sleep(HangAfter)
			if st := w.state(1); st.Status != sluice.StatusActive || st.Lanes[0].Trying == nil || len(w.d.Troubles()) != 0 {
				t.Errorf("got %+v, want active", st.Lanes[0])
			}
		}
		s.hangs.Store(false)
		time.Sleep(HangAfter)
		w.expect(1, sluice.Ledger{Accepted: 3, Delivered: 3})
	})
}

// What a stream met before a stop or a crash is shown until its next try has an
// outcome.
func TestTroubleSurvives(t *testing.T) {
	for name, c := range map[string]struct {
		refusal *destination.Error
		want    sluice.Status
	}{
		"failing": {&destination.Error{Class: destination.Unavailable, Status: 503, Message: strings.Repeat("busy", 1000)}, sluice.StatusFailing},
		"held":    {&destination.Error{Class: destination.Misconfigured, Status: 401, Message: "no"}, sluice.StatusHeld},
	} {
		for how, again := range map[string]func(*world){"stop": func(w *world) { w.stop(); w.start() }, "crash": (*world).crash} {
			t.Run(name+", "+how, func(t *testing.T) {
				simulate(t, Options{}, func(t *testing.T, w *world) {
					s := w.silent(1)
					s.set(func(r *receiver) {
						r.refuse = func([]destination.Event) *destination.Error { return c.refusal }
					})
					w.post("acme", "a", 3)
					time.Sleep(time.Minute)
					before := w.state(1).Lanes[0]
					since := w.d.Troubles()[0].Since
					s.hangs.Store(true)
					again(w)
					after := w.state(1).Lanes[0]
					if before.Status != c.want || after.Status != c.want || after.LastError == nil || after.LastError.Status != c.refusal.Status ||
						after.LastError.Tries != before.LastError.Tries || len(after.LastError.Message) > maxTroubleWords+3 || after.Trying == nil {
						t.Errorf("got %+v, want the trouble of before: %+v", after, before)
					}
					if list := w.d.Troubles(); len(list) != 1 || list[0].Status != c.want || list[0].Since.Sub(since).Abs() > time.Millisecond {
						t.Errorf("troubles: got %+v, want one since %s", list, since)
					}
					s.set(func(r *receiver) { r.refuse = nil })
					s.hangs.Store(false)
					again(w) // nothing was delivered before it
					w.expect(1, sluice.Ledger{Accepted: 3, Delivered: 3})
					again(w)
					if st := w.state(1); st.Status != sluice.StatusActive || st.Lanes[0].LastError != nil {
						t.Errorf("after a success: got %+v, want active", st.Lanes[0])
					}
				})
			})
		}
	}
}

// A change of the stream ends what was known of it before.
func TestChangeEndsTrouble(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		s := w.silent(1)
		s.set(func(r *receiver) {
			r.refuse = func([]destination.Event) *destination.Error {
				return &destination.Error{Class: destination.Misconfigured, Status: 401, Message: "no"}
			}
		})
		w.post("acme", "a", 3)
		time.Sleep(time.Minute)
		s.hangs.Store(true)
		w.change(1, func(*Stream) {})
		for _, when := range []string{"changed", "after a crash"} {
			if l := w.state(1).Lanes[0]; l.Status != sluice.StatusActive || l.LastError != nil || l.Trying == nil {
				t.Errorf("%s: got %+v, want active and a try", when, l)
			}
			time.Sleep(time.Second)
			w.crash()
		}
		s.set(func(r *receiver) { r.refuse = nil })
		s.hangs.Store(false)
		time.Sleep(5 * time.Minute)
		w.expect(1, sluice.Ledger{Accepted: 3, Delivered: 3})
	})
}

// cutOff is a receiver that takes the first events of a batch and hangs with the
// next one until it is cut off.
type cutOff struct {
	*receiver
	n int // that are taken
}

func (c *cutOff) Send(ctx context.Context, b *destination.Batch) destination.Result {
	if c.n >= len(b.Events) {
		return c.receiver.Send(ctx, b)
	}
	res := destination.Result{Events: make([]destination.Outcome, len(b.Events))}
	c.set(func(r *receiver) { r.accept(b.Events[:c.n]); r.accept(b.Events[c.n+1:]) })
	for i := range b.Events {
		res.Events[i] = destination.Delivered
	}
	res.Events[c.n] = destination.Unsent
	c.n = len(b.Events)
	<-ctx.Done()
	res.Err = destination.Classify(context.Cause(ctx))
	return res
}

// What was accepted at the front of a batch that a stop cuts off is not sent
// again.
func TestStopKeepsWhatWasAccepted(t *testing.T) {
	for _, behind := range []bool{false, true} {
		simulate(t, Options{}, func(t *testing.T, w *world) {
			c := &cutOff{receiver: &receiver{limits: destination.Limits{Events: 100, Bytes: 1 << 20, Timeout: time.Minute}}, n: 6}
			w.stream(1, "acme", func(conf *Stream) {
				conf.Paused = behind
				conf.Open = func() (destination.Destination, error) { return c, nil }
			})
			ids := w.post("acme", "a", 10)
			time.Sleep(time.Second)
			w.change(1, func(conf *Stream) { conf.Paused = false })
			time.Sleep(time.Second)
			w.stop()
			w.start()
			w.expect(1, sluice.Ledger{Accepted: 10, Delivered: 10})
			sent := map[string]int{}
			for _, id := range c.received() {
				sent[id]++
			}
			for i, id := range ids {
				want := 1
				if i > 6 {
					want = 2 // known in memory only
				}
				if sent[id] != want {
					t.Errorf("behind %t: event %d was sent %d times, want %d", behind, i, sent[id], want)
				}
			}
		})
	}
}
