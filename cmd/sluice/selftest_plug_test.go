package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// stopAt ends a context when a number was shown.
type stopAt struct {
	shown  bytes.Buffer
	number string
	stop   context.CancelFunc
}

func (s *stopAt) Write(b []byte) (int, error) {
	if strings.TrimSpace(string(b)) == s.number {
		s.stop()
	}
	return s.shown.Write(b)
}

// TestSelftestPulledPlug writes records and takes from them what a disk could lose.
func TestSelftestPulledPlug(t *testing.T) {
	const last = 12
	verify := func(dir string, n int) result {
		return sluiceRun(t.Context(), nil, "", "selftest", "--data", dir, "--verify", strconv.Itoa(n))
	}
	for name, test := range map[string]struct {
		lose func([]byte) []byte
		want int // the last record that is there
	}{
		"nothing lost":     {func(b []byte) []byte { return b }, last},
		"tail cut":         {func(b []byte) []byte { return b[:len(b)-3*len(b)/last] }, last - 3},
		"cut in a record":  {func(b []byte) []byte { return b[:len(b)-1] }, last - 1},
		"zeros at the end": {func(b []byte) []byte { clear(b[len(b)-2*len(b)/last:]); return b }, last - 2},
		"a bit flipped":    {func(b []byte) []byte { b[len(b)/last*4+20] ^= 1; return b }, 4},
		"all lost":         {func([]byte) []byte { return nil }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			out := &stopAt{number: strconv.Itoa(last), stop: cancel}
			if err := writePlug(ctx, dir, out); err != nil {
				t.Fatal(err)
			}
			if got := strings.Count(out.shown.String(), "\n"); got != last {
				t.Fatalf("numbers shown: got %d, want %d", got, last)
			}
			if err := writePlug(ctx, dir, out); err == nil {
				t.Error("records of an earlier test were written over")
			}
			path := filepath.Join(dir, plugFile)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, test.lose(b), 0o600); err != nil {
				t.Fatal(err)
			}
			if res := verify(dir, test.want+1); res.code == exitOK || !strings.Contains(res.stderr, "up to "+strconv.Itoa(test.want)+",") {
				t.Errorf("records up to %d: got %+v, want them to be missed", test.want+1, res)
			}
			if test.want == 0 {
				return
			}
			if res := verify(dir, test.want); res.code != exitOK {
				t.Errorf("records up to %d: got %+v, want all well", test.want, res)
			}
			if res := verify(dir, 1); res.code == exitOK || !strings.Contains(res.stderr, "is gone") {
				t.Errorf("a file that is gone: got %+v", res)
			}
		})
	}
	if res := sluiceRun(t.Context(), nil, "", "selftest", "--data", t.TempDir(), "--write", "--verify", "3"); res.code != exitUsage {
		t.Errorf("--write with --verify: got %+v, want a usage error", res)
	}
}
