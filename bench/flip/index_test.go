package flip

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/bench/server"
	"github.com/sluicelog/sluice/index"
	"github.com/sluicelog/sluice/search"
	"github.com/sluicelog/sluice/sqlite"
)

// Chunks of few events, so that there are some; and of fewer once a bit was flipped,
// so that an index has to store what it has not stored yet.
const (
	chunkEvents = 150
	laterEvents = 10
)

// indexer is a running search on the sound log of a state.
type indexer struct {
	service *search.Service
	engine  *sqlite.Index
	end     context.CancelFunc
	done    chan error
	unsure  bool // an answer said that it may lack something
}

func (st *state) openIndex(ctx context.Context, dir string, chunk int) (*indexer, error) {
	engine, err := sqlite.OpenIndex(dir, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	x := &indexer{engine: engine, end: cancel, done: make(chan error, 1)}
	x.service = search.New(search.Config{Log: st.sound.log, Engine: engine, ChunkEvents: chunk})
	go func() { x.done <- x.service.Run(ctx) }()
	return x, nil
}

func (x *indexer) close() error {
	x.end()
	return errors.Join(<-x.done, x.engine.Close())
}

// makeIndex puts an index with several chunks in the place of the server's, which
// is too small to have one. That of the killed server is copied while it is open.
func (st *state) makeIndex(ctx context.Context) error {
	to := filepath.Join(st.dir, "index")
	if found, _ := filepath.Glob(filepath.Join(to, "made")); len(found) > 0 {
		return nil // by an earlier run
	}
	from := st.soundDir + "-index"
	if err := errors.Join(os.RemoveAll(from), os.RemoveAll(to)); err != nil {
		return err
	}
	x, err := st.openIndex(ctx, from, chunkEvents)
	if err != nil {
		return err
	}
	if err = x.whole(ctx); err == nil && filepath.Base(st.dir) == killed {
		err = os.CopyFS(to, os.DirFS(from))
	}
	err = errors.Join(err, x.close())
	if err == nil && filepath.Base(st.dir) == stopped {
		err = os.CopyFS(to, os.DirFS(from))
	}
	shm, _ := filepath.Glob(filepath.Join(to, "*-shm")) // of no use after a crash
	for _, name := range shm {
		err = errors.Join(err, os.Remove(name))
	}
	return errors.Join(err, os.WriteFile(filepath.Join(to, "made"), nil, 0o600))
}

// whole waits until the index says that it has all events.
func (x *indexer) whole(ctx context.Context) error {
	return server.Await(ctx, server.Patience, "the index", func(ctx context.Context) error {
		states := x.service.Status(ctx)
		if slices.ContainsFunc(states, func(s search.Status) bool { return s.State != search.StateFollowing || s.Lag > 0 || s.Problem != "" }) {
			return fmt.Errorf("%+v", states)
		}
		return nil
	})
}

// stores waits until what was not in chunks has become some: the index also takes
// changes.
func (x *indexer) stores(ctx context.Context, st *state) error {
	return server.Await(ctx, server.Patience, "new chunks", func(ctx context.Context) error {
		for _, s := range x.service.Status(ctx) {
			n := len(st.parts[s.Partition].events)
			if want := n/chunkEvents + n%chunkEvents/laterEvents; s.Chunks < want || s.State == search.StateOpening {
				return fmt.Errorf("want %d chunks: %+v", want, s)
			}
		}
		return nil
	})
}

// question is a search and what it has to find.
type question struct {
	phrase, scope string
	meets         func(e *event) bool
}

func questions() []question {
	return []question{
		{scope: "globex", meets: func(e *event) bool { return e.top == "globex" }},
		{phrase: "type:" + types()[0], meets: func(e *event) bool { return e.kind == types()[0] }},
		{phrase: words()[1], meets: func(e *event) bool { return strings.Contains(e.payload, `"`+words()[1]+`"`) }},
		{phrase: "actor:user3", scope: "acme", meets: func(e *event) bool { return e.top == "acme" && strings.Contains(e.payload, `"user3"`) }},
		{phrase: "id:e17", meets: func(e *event) bool { return e.id == "e17" }},
	}
}

// judgeIndex asks an index that may be damaged, at once and when it says that it is
// whole.
func judgeIndex(ctx context.Context, f *flip, dir string) error {
	x, err := f.state.openIndex(ctx, filepath.Join(dir, "index"), laterEvents)
	if err != nil {
		return err
	}
	err = x.judge(ctx, f.state)
	if err == nil {
		err = x.whole(ctx)
	}
	if err == nil {
		err = x.stores(ctx, f.state)
	}
	if err == nil {
		var wrong error
		err = server.Await(ctx, server.Patience, "whole answers", func(ctx context.Context) error {
			if wrong = x.judge(ctx, f.state); wrong == nil && x.unsure {
				return errors.New("they are not")
			}
			return nil
		})
		err = errors.Join(err, wrong)
	}
	return errors.Join(err, x.close())
}

// judge asks everything. What is answered is right, or is said not to be whole.
func (x *indexer) judge(ctx context.Context, st *state) error {
	x.unsure = false
	for _, q := range questions() {
		if err := x.ask(ctx, st, q); err != nil {
			return fmt.Errorf("search %q in %q: %w", q.phrase, q.scope, err)
		}
	}
	return nil
}

func (x *indexer) ask(ctx context.Context, st *state, q question) (err error) {
	query := index.Query{Scope: index.Everything()}
	if q.scope != "" {
		query.Scope = index.Below(q.scope)
	}
	if query.Clauses, err = index.ParsePhrase(q.phrase); err != nil {
		return err
	}
	lagged := x.lags(ctx)
	got, whole, err := x.pages(ctx, query)
	if err != nil {
		return err
	}
	whole = whole && !lagged && !x.lags(ctx)
	want := map[string]bool{}
	for name, p := range st.parts {
		for i := range p.events {
			if q.meets(&p.events[i]) {
				want[fmt.Sprint(name, i+1)] = true
			}
		}
	}
	for _, e := range got {
		at := fmt.Sprint(e.Partition, e.Seq)
		if !want[at] {
			return fmt.Errorf("event %d of %s was found, twice or without reason", e.Seq, e.Partition)
		}
		delete(want, at)
		if string(e.Payload) != st.parts[e.Partition].events[e.Seq-1].payload {
			return fmt.Errorf("event %d of %s was found with other bytes", e.Seq, e.Partition)
		}
	}
	if whole && len(want) > 0 {
		return fmt.Errorf("%d events were not found, and nothing says so", len(want))
	}
	x.unsure = x.unsure || !whole
	return nil
}

// lags reports whether the index says that it has not all events yet.
func (x *indexer) lags(ctx context.Context) bool {
	return slices.ContainsFunc(x.service.Status(ctx), func(s search.Status) bool { return s.State == search.StateOpening || s.Lag > 0 })
}

// pages reads all pages; whole is false when one of them says that it may lack
// something, or that the index is not open yet.
func (x *indexer) pages(ctx context.Context, q index.Query) (found []search.Event, whole bool, err error) {
	o := search.PageOptions{Order: search.Newest, Limit: search.MaxLimit}
	for whole = true; ; {
		p, err := x.service.Page(ctx, q, o)
		if e, ok := errors.AsType[*sluice.Error](err); ok && e.Code == sluice.Busy {
			return found, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		found, whole = append(found, p.Events...), whole && !p.Incomplete && p.Missing == 0
		if !p.More {
			return found, whole, nil
		}
		o.After = p.Next
	}
}
