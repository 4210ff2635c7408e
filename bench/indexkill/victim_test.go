package indexkill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/search"
	"github.com/sluicelog/sluice/segment"
	"github.com/sluicelog/sluice/sqlite"
)

// What tells the test binary that it is the victim.
const (
	folderVariable = "SLUICE_INDEXKILL_DIR"
	lifeVariable   = "SLUICE_INDEXKILL_LIFE"
	seedVariable   = "SLUICE_INDEXKILL_SEED"
)

const (
	postEvery   = 3 * time.Millisecond
	mostAtOnce  = 60 // events of a request
	retainEvery = 10 // requests
	// The victim's clock moves by step with each request, and only then. So chunks
	// expire hundreds of times a second, the log renews the totals that retention
	// leaves in place, and nothing grows old while it is compared.
	step = 5 * time.Minute
	keep = 100 * step
)

// clock is what a victim takes for the time.
type clock struct{ nanoseconds atomic.Int64 } // since 1970

func (c *clock) now() time.Time { return time.Unix(0, c.nanoseconds.Load()) }

func TestMain(m *testing.M) {
	dir := os.Getenv(folderVariable)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := live(context.Background(), dir); err != nil {
		fmt.Fprintln(os.Stderr, "the victim failed:", err)
		os.Exit(1)
	}
}

// victim is one life of the process that is killed.
type victim struct {
	clock   clock
	log     *eventlog.Log
	engine  *sqlite.Index
	service *search.Service
	random  *rand.Rand
	maker   maker
}

// live compares, and then appends until the process is killed.
func live(ctx context.Context, dir string) error {
	v, err := newVictim(ctx, dir)
	if err != nil {
		return err
	}
	ctx, fail := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{v.log.Run, v.service.Run} {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				fail(err)
			}
		})
	}
	if err = say("opened"); err == nil {
		err = v.judge(ctx)
	}
	if err == nil {
		err = v.append(ctx)
	}
	fail(err)
	wg.Wait()
	return errors.Join(context.Cause(ctx), v.engine.Close(), v.log.Close())
}

func newVictim(ctx context.Context, dir string) (*victim, error) {
	var numbers [2]uint64
	for i, name := range []string{lifeVariable, seedVariable} {
		var err error
		if numbers[i], err = strconv.ParseUint(os.Getenv(name), 10, 64); err != nil {
			return nil, err
		}
	}
	life := numbers[0]
	v := &victim{random: rand.New(rand.NewPCG(numbers[1], life))}
	v.clock.nanoseconds.Store(firstDay().UnixNano())
	v.maker = maker{random: v.random, life: life}
	id, lg := eventlog.LogID{7}, slog.New(slog.NewTextHandler(os.Stderr, nil))
	stored, err := segment.Open(filepath.Join(dir, "log"), segment.Options{Log: id, SegmentSize: segment.MinSegmentSize, Logger: lg})
	if err != nil {
		return nil, err
	}
	if v.log, err = eventlog.Open(ctx, stored, eventlog.Options{ID: id, Now: v.clock.now, Logger: lg}); err != nil {
		return nil, err
	}
	retention := map[string]time.Duration{}
	for _, p := range v.log.Partitions() {
		retention[p] = keep
		at, err := v.log.AcceptedAt(ctx, p, v.log.Stored(p))
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		v.clock.nanoseconds.Store(max(v.clock.now().UnixNano(), at.UnixNano()))
	}
	folder := filepath.Join(dir, "index")
	if v.engine, err = sqlite.OpenIndex(folder, sqlite.Options{}); err != nil {
		return nil, err
	}
	v.service = search.New(search.Config{
		Log: v.log, Engine: loud{v.engine, folder}, Retention: retention, ChunkEvents: 150 + v.random.IntN(250), Now: v.clock.now, Logger: lg,
	})
	return v, nil
}

// append appends events, and removes old ones.
func (v *victim) append(ctx context.Context) error {
	tick := time.NewTicker(postEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		v.clock.nanoseconds.Add(int64(step))
		batches, err := v.maker.batches(1 + v.random.IntN(mostAtOnce))
		if err != nil {
			return err
		}
		if _, err := v.log.Append(ctx, batches); err != nil {
			return err
		}
		if err := say("appended"); err != nil {
			return err
		}
		if n%retainEvery != 0 {
			continue
		}
		if err := between("trimming", "trimmed", func() error { return v.retain(ctx) }); err != nil {
			return err
		}
	}
}

// retain removes what is no longer shown, as far as that goes.
func (v *victim) retain(ctx context.Context) error {
	for _, p := range v.log.Partitions() {
		first, err := v.log.Since(ctx, p, v.clock.now().Add(-keep))
		if err != nil {
			return err
		}
		if err := v.log.Trim(ctx, p, first); err != nil {
			return err
		}
	}
	return nil
}
