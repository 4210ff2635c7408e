package control_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/store"
)

var errPower = errors.New("the power is gone")

// changes are all kinds of changes that are told. before prepares; do may be
// called again after a crash.
type changing struct {
	before func(t *testing.T, w *controltest.World)
	do     func(w *controltest.World) error
	event  string
	// done reports whether the change is in force.
	done func(w *controltest.World) bool
}

func streamsOf(w *controltest.World) []control.Stream {
	list, err := w.Service.Streams(w.T.Context(), w.Admin, nil)
	if err != nil {
		w.T.Error(err)
	}
	return list
}

func changes() map[string]changing {
	withStream := func(t *testing.T, w *controltest.World) { create(t, w) }
	ctx := func(w *controltest.World) (c controlContext) { return controlContext{w} }
	return map[string]changing{
		"stream.create": {
			event: "stream.create",
			do: func(w *controltest.World) error {
				_, err := w.Service.CreateStream(w.T.Context(), w.Admin, spec())
				return err
			},
			done: func(w *controltest.World) bool { return len(streamsOf(w)) == 1 },
		},
		"stream.update": {
			before: withStream, event: "stream.update",
			do: func(w *controltest.World) error {
				strict := true
				_, err := w.Service.UpdateStream(w.T.Context(), w.Admin, 1, control.StreamPatch{Strict: &strict})
				return err
			},
			done: func(w *controltest.World) bool { return streamsOf(w)[0].Strict },
		},
		"stream.pause": {
			before: withStream, event: "stream.pause",
			do: func(w *controltest.World) error {
				_, err := w.Service.PauseStream(w.T.Context(), w.Admin, 1)
				return err
			},
			done: func(w *controltest.World) bool { return streamsOf(w)[0].Status == sluice.StatusPaused },
		},
		"stream.delete": {
			before: withStream, event: "stream.delete",
			do: func(w *controltest.World) error {
				_, err := w.Service.DeleteStream(w.T.Context(), w.Admin, 1)
				return err
			},
			done: func(w *controltest.World) bool { return len(streamsOf(w)) == 0 },
		},
		"token.create": {
			event: "token.create",
			do: func(w *controltest.World) error {
				_, err := w.Service.CreateToken(w.T.Context(), w.Admin, control.TokenSpec{Name: "ci", Token: "a-given-token-text"})
				return err
			},
			done: func(w *controltest.World) bool { return ctx(w).tokens() == 2 },
		},
		"token.revoke": {
			before: func(t *testing.T, w *controltest.World) {
				if _, err := w.Service.CreateToken(t.Context(), w.Admin, control.TokenSpec{Name: "ci"}); err != nil {
					t.Fatal(err)
				}
			},
			event: "token.revoke",
			do:    func(w *controltest.World) error { return w.Service.RevokeToken(w.T.Context(), w.Admin, "t2") },
			done:  func(w *controltest.World) bool { return ctx(w).tokens() == 1 },
		},
		"namespace.create": {
			event: "namespace.create",
			do: func(w *controltest.World) error {
				_, err := w.Service.DeclareNamespace(w.T.Context(), w.Admin, "zeta/web", control.Project)
				return err
			},
			done: func(w *controltest.World) bool {
				list, _ := w.Service.Namespaces(w.T.Context(), w.Admin, "zeta/web")
				return len(list) == 1 && list[0].Kind == control.Project && strings.Contains(w.Records(), `"kind":"project"`)
			},
		},
	}
}

type controlContext struct{ w *controltest.World }

func (c controlContext) tokens() int {
	list, err := c.w.Service.Tokens(c.w.T.Context(), c.w.Admin)
	if err != nil {
		c.w.T.Error(err)
	}
	return len(list)
}

// cutAfter lets n changes of the store through and loses all later ones; with
// late, the answer to the nth is lost as well although it is stored.
func cutAfter(w *controltest.World, n int64, late bool) {
	var count atomic.Int64
	w.Store.SetBefore(func(store.Change) error {
		if count.Add(1) > n {
			return errPower
		}
		return nil
	})
	if late {
		w.Store.SetAfter(func(store.Change) error {
			if count.Load() >= n {
				return errPower
			}
			return nil
		})
	}
}

// Whenever the power goes, a change is in force and told once, or neither; and
// what was answered is in force.
func TestEveryChangeIsToldOnce(t *testing.T) {
	all := changes()
	maps.Copy(all, changesOfPeople())
	for name, c := range all {
		for _, late := range []bool{false, true} {
			for n := range int64(12) {
				t.Run(fmt.Sprintf("%s/%d/%v", name, n, late), func(t *testing.T) {
					simulate(t, nil, func(t *testing.T, w *controltest.World) { crashDuring(t, w, c, n, late) })
				})
			}
		}
	}
}

func crashDuring(t *testing.T, w *controltest.World, c changing, n int64, late bool) {
	if c.before != nil {
		c.before(t, w)
	}
	time.Sleep(10 * time.Second) // outboxes, cursors and learners come to rest
	synctest.Wait()
	cutAfter(w, n, late)
	err := c.do(w)
	synctest.Wait()
	w.Crash()
	time.Sleep(10 * time.Second)
	synctest.Wait()
	done, told := c.done(w), len(w.Events("audit", c.event))
	if c.event == "token.create" {
		told-- // the administrator's
	}
	if want := map[bool]int{true: 1}[done]; told != want {
		t.Errorf("the change is in force: %v, told %d times, want %d", done, told, want)
	}
	if err == nil && !done {
		t.Error("the change was answered and is lost")
	}
	if !done {
		time.Sleep(2 * time.Minute) // claims without an owner are void by then
		if err := c.do(w); err != nil {
			t.Errorf("again after the crash: %v", err)
		}
		synctest.Wait()
		if !c.done(w) {
			t.Error("again after the crash: not in force")
		}
	}
	if strings.Contains(w.Records(), `"outbox"`) {
		t.Errorf("an outbox is not empty: %s", w.Records())
	}
}

// The last ledger of a stream counts all that was delivered, wherever the process
// ended in the deletion; a deletion that failed lets the stream go on.
func TestDeletionTellsTheLastLedger(t *testing.T) {
	for n := range int64(12) {
		simulate(t, nil, func(t *testing.T, w *controltest.World) {
			s := create(t, w)
			time.Sleep(10 * time.Second)
			w.Post("acme", "git.push", 4)
			cutAfter(w, n, false)
			_, err := w.Service.DeleteStream(t.Context(), w.Admin, s.ID)
			w.Post("acme", "git.push", 3)
			synctest.Wait()
			w.Crash()
			w.Post("acme", "git.push", 5)
			time.Sleep(10 * time.Second)
			arrived := len(w.Kind.Received("sink.example"))
			told := w.Events("audit", "stream.delete")
			if len(told) == 0 {
				if err == nil {
					t.Errorf("cut after %d changes: deleted and not told", n)
				}
				if arrived < 12 {
					t.Errorf("cut after %d changes: the stream is there, and %d of 12 events have arrived", n, arrived)
				}
				return
			}
			var last sluice.Ledger
			b, _ := json.Marshal(told[0].Details["ledger"])
			if err := json.Unmarshal(b, &last); err != nil || !last.Balanced() || int(last.Delivered) > arrived || arrived > int(last.Delivered+last.Pending) {
				t.Errorf("cut after %d changes: last ledger %s, and %d events have arrived", n, b, arrived)
			}
		})
	}
}

// While the log takes nothing, changes wait in their records; they are told when
// it takes events again, and after a crash.
func TestOutboxWaitsForTheLog(t *testing.T) {
	for _, crash := range []bool{false, true} {
		simulate(t, nil, func(t *testing.T, w *controltest.World) {
			synctest.Wait()
			full := func(string) error { return eventlog.ErrFull }
			w.Blocks.Store(&full)
			s := create(t, w)
			if _, err := w.Service.PauseStream(t.Context(), w.Admin, s.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Service.DeleteStream(t.Context(), w.Admin, s.ID); err != nil {
				t.Fatal(err)
			}
			wantTypes(t, w, "stream.")
			if strings.Contains(w.Records(), theSigningSecret) || strings.Contains(w.Records(), `"sealed"`) {
				t.Error("a tombstone holds secrets")
			}
			w.Blocks.Store(nil)
			if crash {
				w.Crash()
			}
			time.Sleep(2 * time.Second)
			wantTypes(t, w, "stream.", "stream.create", "stream.pause", "stream.delete")
			if strings.Contains(w.Records(), "stream/1 ") {
				t.Error("the tombstone stays")
			}
		})
	}
}

// A record that has too much to tell refuses changes, for it is bounded.
func TestOutboxIsBounded(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w)
		synctest.Wait()
		full := func(string) error { return eventlog.ErrFull }
		w.Blocks.Store(&full)
		var err error
		for i := 0; i < 300 && err == nil; i++ {
			active := i%2 == 1
			_, err = w.Service.UpdateStream(t.Context(), w.Admin, s.ID, control.StreamPatch{Active: &active})
		}
		wantError(t, "change 300 times while the log is full", err, sluice.Busy)
		w.Blocks.Store(nil)
	})
}
