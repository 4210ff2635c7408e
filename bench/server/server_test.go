package server_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice/bench/server"
)

// program returns a server whose program is a script.
func program(t *testing.T, script string) *server.Server {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "program")
	if err := os.WriteFile(binary, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Config{Binary: binary, Data: filepath.Join(dir, "data"), Log: filepath.Join(dir, "log")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStartOfAServerThatEnds(t *testing.T) {
	s := program(t, `echo "life $LIFE" >&2`)
	for _, life := range []string{"one", "two"} {
		if err := s.Start(t.Context(), "LIFE="+life); !errors.Is(err, server.ErrEnded) {
			t.Errorf("start: got %v, want that it has ended", err)
		}
		if s.Running() {
			t.Error("a server that has ended is running")
		}
		if got, want := string(s.LifeLog()), "life "+life+"\n"; got != want {
			t.Errorf("log of this life: got %q, want %q", got, want)
		}
	}
	if got, want := string(s.Log()), "life one\nlife two\n"; got != want {
		t.Errorf("log: got %q, want %q", got, want)
	}
}

func TestEndedIsWhatNobodyOrdered(t *testing.T) {
	s := program(t, `echo up >&2; exec sleep 60`)
	if err := s.Launch(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, "its first words", func() bool { return len(s.LifeLog()) > 0 })
	if s.Ended() {
		t.Error("a server that works has ended")
	}
	if err := s.Kill(); err != nil {
		t.Error(err)
	}
	if s.Ended() || s.Running() {
		t.Error("a server that was killed has ended by itself, or runs")
	}
}

func await(t *testing.T, what string, try func() bool) {
	t.Helper()
	err := server.Await(t.Context(), server.Patience, what, func(context.Context) error {
		if try() {
			return nil
		}
		return errors.New("not yet")
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAwaitTellsWhatWasWrongLast(t *testing.T) {
	n := 0
	err := server.Await(t.Context(), 50*time.Millisecond, "it", func(ctx context.Context) error {
		if n++; n < 3 {
			return errors.New("this is wrong")
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if err == nil || !strings.Contains(err.Error(), "this is wrong") {
		t.Errorf("got %v, want what was wrong before the time was over", err)
	}
}
