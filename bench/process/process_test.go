package process

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"
)

func TestParseUsage(t *testing.T) {
	stat := "12 (a ) name) S 1 12 12 0 -1 4194560 900 0 0 0 250 50 7 7 20 0 9 0 100 1 2 3"
	got, err := parseUsage([]byte(stat), []byte("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\n"))
	if want := (Usage{CPU: 3 * time.Second, MaxRSS: 2 << 20, RSS: 1 << 20}); err != nil || got != want {
		t.Errorf("usage: got %+v, %v, want %+v", got, err, want)
	}
	if _, err := parseUsage([]byte("12 (x) S 1"), nil); err == nil {
		t.Error("usage of a short line: got no error")
	}
}

func TestLifeOfAChild(t *testing.T) {
	t.Setenv("SLUICE_SECRET", "not for children")
	var log bytes.Buffer
	script := `echo trouble >&2; echo "up $A$SLUICE_SECRET"; exec sleep 60`
	p, err := Start(t.Context(), Spec{Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"A=b"}, Log: &log})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.Line(); err != nil || got != "up b" {
		t.Errorf("line: got %q, %v, want %q", got, err, "up b")
	}
	if u, err := p.Usage(); err != nil || u.MaxRSS == 0 || u.RSS == 0 {
		t.Errorf("usage: got %+v, %v, want some memory", u, err)
	}
	if n, err := p.OpenFiles(); err != nil || n < 3 {
		t.Errorf("open files: got %d, %v, want at least the standard ones", n, err)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	if err := p.Kill(); err != nil {
		t.Errorf("kill after stop: %v", err)
	}
	if !strings.HasPrefix(log.String(), "trouble\n") {
		t.Errorf("log: got %q, want it to begin with trouble", log.String())
	}
}

func TestFamilyCPUCountsWhatTheChildStarted(t *testing.T) {
	// The inner shell works until the outer one, which waits, is stopped.
	const script = `sh -c 'while :; do :; done' & trap 'kill $!' TERM; echo up; wait`
	p, err := Start(t.Context(), Spec{Path: "/bin/sh", Args: []string{"-c", script}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := p.Line(); err != nil {
		t.Fatal(err)
	}
	for used := time.Duration(0); used < 5*tick; {
		if used, err = p.FamilyCPU(); err != nil {
			t.Fatal(err)
		}
	}
	if u, err := p.Usage(); err != nil || u.CPU >= 5*tick {
		t.Errorf("usage of the child alone: got %+v, %v, want little", u, err)
	}
}

func TestHeldPortCanBeListenedOnAgainAndAgain(t *testing.T) {
	p, err := HoldPort()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		l, err := net.Listen("tcp", p.Address)
		if err != nil {
			t.Fatalf("listen on a held port: %v", err)
		}
		if other, err := net.Listen("tcp", p.Address); err == nil {
			other.Close()
			t.Error("two listen on one port, want an error")
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := p.Release(); err != nil {
		t.Error(err)
	}
}

func TestOutput(t *testing.T) {
	p, err := Start(t.Context(), Spec{Path: "/bin/sh", Args: []string{"-c", "echo a; echo b"}})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := p.Output(); err != nil || string(out) != "a\nb\n" {
		t.Errorf("output: got %q, %v, want a and b", out, err)
	}
	if got := p.CPU(); got < 0 || got > time.Minute {
		t.Errorf("processor time: got %v, want a little", got)
	}
	p, err = Start(t.Context(), Spec{Path: "/bin/sh", Args: []string{"-c", "exit 3"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Output(); err == nil {
		t.Error("output of a failing child: got no error")
	}
}
