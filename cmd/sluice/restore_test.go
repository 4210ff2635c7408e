package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/store"
)

// A full disk keeps no server from its start because it has a restoration to tell of:
// that is told when there is space. Any other error ends the start.
func TestRestorationIsToldWhenThereIsSpace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{lg: slog.New(slog.DiscardHandler)}
		fail := func(err error) { t.Errorf("a stage failed: %v", err) }
		broken := errors.New("broken")
		for _, answers := range [][]error{{nil}, {broken}, {fmt.Errorf("append: %w", eventlog.ErrFull), store.ErrFull, nil}} {
			var all stages
			tries := 0
			err := s.tell(t.Context(), &all, fail, func(context.Context) error {
				tries++
				return answers[min(tries, len(answers))-1]
			})
			if want := answers[0]; len(answers) == 1 && !errors.Is(err, want) || len(answers) > 1 && err != nil {
				t.Errorf("answers %v: got error %v", answers, err)
			}
			time.Sleep(time.Minute)
			if err := all.stop(); err != nil || tries != len(answers) {
				t.Errorf("answers %v: got %d tries and %v, want all", answers, tries, err)
			}
		}
		var all stages // that are stopped before there is any
		err := s.tell(t.Context(), &all, fail, func(context.Context) error { return eventlog.ErrFull })
		if err := errors.Join(err, all.stop()); err != nil {
			t.Errorf("stopped on a full disk: got %v", err)
		}
	})
}
