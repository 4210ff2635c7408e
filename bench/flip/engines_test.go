package flip

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/sluicelog/sluice/bench/mutant"
)

// All is played by this program again, built without the race detector, with which
// it would take ten times as long; and by a mutant of it.

// What tells the program that it is to play.
const orderVariable = "SLUICE_FLIP_ORDER"

// order says what to play.
type order struct {
	Sample  string // folder
	Binary  string // the server
	Seed    uint64
	Seeds   int
	Servers int // flips under the server
	Kinds   []string
}

// tally is what came of the flips.
type tally struct {
	Flips    map[string]int64 // by kind
	Refused  map[string]int64
	Regions  map[string]int64
	Lost     int64 // blocks
	Served   served
	Findings []string

	mu sync.Mutex
}

func (c *tally) add(f *flip, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Flips[f.kind]++
	c.Regions[f.region]++
	if _, b := f.block(); b != nil {
		c.Lost++
	}
	switch {
	case errors.Is(err, errFound):
		c.Refused[f.kind]++
	case err != nil:
		c.Findings = append(c.Findings, fmt.Sprintf("%v: %v", f, err))
	}
}

func TestMain(m *testing.M) {
	text := os.Getenv(orderVariable)
	if text == "" {
		os.Exit(m.Run())
	}
	var o order
	err := json.Unmarshal([]byte(text), &o)
	if err == nil {
		err = o.play(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run has a child play, with mutations or without.
func (o order) run(t *testing.T, m ...mutant.Edit) *tally {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), mutant.Drill(t, m))
	cmd.Env = append(os.Environ(), orderVariable+"="+string(text))
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	c := &tally{}
	if err == nil {
		err = json.Unmarshal(out, c)
	}
	if err != nil {
		t.Fatalf("play: %v", err)
	}
	return c
}

// play flips the bits of all seeds, the log's beside the others, and prints what
// came of them.
func (o *order) play(ctx context.Context) error {
	source, err := newSource(ctx, o.Binary, o.Sample)
	if err != nil {
		return err
	}
	defer source.receiver.close()
	s, err := openSample(ctx, o.Sample)
	if err != nil {
		return err
	}
	c := &tally{Flips: map[string]int64{}, Refused: map[string]int64{}, Regions: map[string]int64{}}
	var wg sync.WaitGroup
	for _, group := range [][]string{{logKind}, kinds()[1:]} {
		wg.Go(func() { s.playGroup(ctx, o, group, c) })
	}
	wg.Wait()
	if err := s.untouched(); err != nil {
		c.Findings = append(c.Findings, err.Error())
	}
	c.Served = source.serve(ctx, s, o)
	c.Findings = append(c.Findings, c.Served.Findings...)
	return errors.Join(json.NewEncoder(os.Stdout).Encode(c), s.close())
}

// playGroup flips the bits of all seeds that are of some kinds.
func (s *sample) playGroup(ctx context.Context, o *order, group []string, c *tally) {
	dir := filepath.Join(o.Sample, "copy-"+group[0])
	for i := range o.Seeds {
		f, err := s.choose(o.Seed + uint64(i))
		if !slices.Contains(group, f.kind) || !slices.Contains(o.Kinds, f.kind) {
			continue
		}
		if err == nil {
			err = f.try(ctx, dir)
		}
		c.add(&f, err)
	}
	_ = os.RemoveAll(dir) // the next one does, too
}

// try flips the bit in a copy and judges.
func (f *flip) try(ctx context.Context, dir string) error {
	beginnings := map[string][]string{logKind: {"log/"}, indexKind: {"index/"}, keyKind: {keyFile}, besideKind: {""}}[f.kind]
	if beginnings == nil {
		beginnings = []string{controlFile, "snapshots/"}
	}
	if err := f.state.copyOf(dir, f.file, beginnings...); err != nil {
		return err
	}
	if err := f.apply(dir); err != nil {
		return err
	}
	switch f.kind {
	case logKind:
		return judgeLog(ctx, f, dir)
	case indexKind:
		return judgeIndex(ctx, f, dir)
	case snapshotKind:
		return judgeSnapshot(ctx, f, dir)
	case keyKind:
		return judgeKeys(f, dir)
	case besideKind:
		return judgeBeside(ctx, f, dir)
	}
	return judgeControl(ctx, f, dir)
}

// untouched holds that nothing wrote to the closed segments, which all copies share.
func (s *sample) untouched() error {
	for _, st := range s.states {
		for name, p := range st.parts {
			for _, file := range p.files[:len(p.files)-1] {
				rel := filepath.Join("log", name, file)
				a, err := os.ReadFile(filepath.Join(st.dir, rel))
				b, other := os.ReadFile(filepath.Join(st.soundDir, rel))
				if err := errors.Join(err, other); err != nil {
					return err
				}
				if string(a) != string(b) {
					return fmt.Errorf("%s was written to", rel)
				}
			}
		}
	}
	return nil
}
