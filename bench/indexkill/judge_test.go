package indexkill

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/index"
	"github.com/sluicelog/sluice/search"
)

const (
	patience = time.Minute // for an index to be whole
	lookEach = 5 * time.Millisecond
)

// errUnsettled says that the index is not whole at the moment, and says so.
var errUnsettled = errors.New("the index is not whole")

// judge compares when the index is whole, and says so when all was right.
func (v *victim) judge(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("the index was not whole within %v", patience))
	defer cancel()
	rows, err := v.rows(ctx)
	if err != nil {
		return err
	}
	for {
		if err := v.settle(ctx); err != nil {
			return err
		}
		err := v.compare(ctx, rows)
		if err == nil {
			return say("same %d", len(rows))
		}
		if !errors.Is(err, errUnsettled) {
			return err
		}
	}
}

// settle waits until the index says that it has all events.
func (v *victim) settle(ctx context.Context) error {
	tick := time.NewTicker(lookEach)
	defer tick.Stop()
	for {
		states := v.service.Status(ctx)
		if !slices.ContainsFunc(states, func(s search.Status) bool { return s.State != search.StateFollowing || s.Lag > 0 || s.Problem != "" }) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %+v", context.Cause(ctx), states)
		}
	}
}

// row is an event as the log has it.
type row struct {
	search.Event
	facts
}

// rows reads what the log has and may be shown, in the order of pages with the
// oldest first.
func (v *victim) rows(ctx context.Context) ([]row, error) {
	var rows []row
	for _, name := range v.log.Partitions() {
		for seq := uint64(1); ; {
			b, err := v.log.Block(ctx, name, seq)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, err
			}
			seq = b.Last() + 1
			if b.Accepted.Before(v.clock.now().Add(-keep)) {
				continue
			}
			for i := range b.Entries {
				payload, err := b.Payload(i)
				if err != nil {
					return nil, err
				}
				f, err := understand(payload)
				if err != nil {
					return nil, err
				}
				rows = append(rows, row{search.Event{Partition: name, Seq: b.First + uint64(i), Accepted: b.Accepted, Source: "t1", Payload: payload}, f})
			}
		}
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(a.Accepted.Compare(b.Accepted), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Seq, b.Seq))
	})
	return rows, nil
}

// question is a search and what it has to find.
type question struct {
	phrase string
	scope  string // "" is everything
	meets  func(*facts) bool
}

// questions asks for everything, and for what some events have.
func (v *victim) questions(rows []row) []question {
	all := []question{{meets: func(*facts) bool { return true }}}
	if len(rows) == 0 {
		return all
	}
	r := &rows[v.random.IntN(len(rows))]
	top, word := sluice.TopLevel(r.Path), r.Words[0]
	group := r.Path[:strings.LastIndexByte(r.Path, '/')]
	actor := func(f *facts) bool { return f.Actor == r.Actor }
	said := func(f *facts) bool { return slices.Contains(f.Words, word) }
	return append(all,
		question{phrase: "actor:" + r.Actor, meets: actor},
		question{phrase: "type:" + r.Type, meets: func(f *facts) bool { return f.Type == r.Type }},
		question{phrase: word, meets: said},
		question{phrase: "-" + word, scope: group, meets: func(f *facts) bool { return !said(f) && sluice.Within(f.Path, group) }},
		question{phrase: "namespace:" + group, meets: func(f *facts) bool { return sluice.Within(f.Path, group) }},
		question{phrase: "-actor:" + r.Actor, scope: top, meets: func(f *facts) bool { return !actor(f) && sluice.Within(f.Path, top) }},
		question{phrase: "created:" + r.Day, meets: func(f *facts) bool { return f.Day == r.Day }},
		question{phrase: `id:"` + r.ID + `"`, meets: func(f *facts) bool { return f.ID == r.ID }},
	)
}

// compare asks, and compares each answer with what the log has.
func (v *victim) compare(ctx context.Context, rows []row) error {
	for _, q := range v.questions(rows) {
		if err := v.answer(ctx, q, rows); err != nil {
			return fmt.Errorf("%q in %q: %w", q.phrase, q.scope, err)
		}
	}
	return nil
}

func (v *victim) answer(ctx context.Context, q question, rows []row) error {
	query := index.Query{Scope: index.Everything()}
	if q.scope != "" {
		query.Scope = index.Below(q.scope)
	}
	var err error
	if query.Clauses, err = index.ParsePhrase(q.phrase); err != nil {
		return err
	}
	var want []search.Event
	for i := range rows {
		if q.meets(&rows[i].facts) {
			want = append(want, rows[i].Event)
		}
	}
	counts, err := v.service.Count(ctx, query, search.ByDay, "")
	switch {
	case err != nil:
		return unsettled(err)
	case counts.Incomplete:
		return errUnsettled
	case counts.Events != uint64(len(want)):
		return fmt.Errorf("counts: got %d events, want %d", counts.Events, len(want))
	}
	for _, from := range []struct {
		name string
		read func(context.Context, index.Query) ([]search.Event, error)
	}{
		{"export", v.export},
		{"pages from the oldest", func(ctx context.Context, q index.Query) ([]search.Event, error) {
			return v.pages(ctx, q, search.Oldest)
		}},
		{"pages from the newest", func(ctx context.Context, q index.Query) ([]search.Event, error) {
			list, err := v.pages(ctx, q, search.Newest)
			slices.Reverse(list)
			return list, err
		}},
	} {
		got, err := from.read(ctx, query)
		if err == nil {
			err = same(got, want)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", from.name, err)
		}
	}
	return nil
}

// pages reads all pages.
func (v *victim) pages(ctx context.Context, q index.Query, order search.Order) (list []search.Event, err error) {
	o := search.PageOptions{Order: order, Limit: 100 + v.random.IntN(900)}
	for {
		p, err := v.service.Page(ctx, q, o)
		switch {
		case err != nil:
			return nil, unsettled(err)
		case p.Incomplete:
			return nil, errUnsettled
		case p.Missing > 0:
			return nil, fmt.Errorf("%d events are in the index and not in the log", p.Missing)
		}
		list = append(list, p.Events...)
		if !p.More {
			return list, nil
		}
		o.After = p.Next
	}
}

// export reads an export.
func (v *victim) export(ctx context.Context, q index.Query) (list []search.Event, err error) {
	x, err := v.service.Export(ctx, q, search.ExportOptions{})
	for err == nil {
		var e *search.ExportedEvent
		if e, err = x.Next(ctx); err == nil {
			list = append(list, search.Event{Partition: e.Partition, Seq: e.Seq, Accepted: time.UnixMicro(e.Accepted),
				Source: strings.Clone(e.Source), Payload: bytes.Clone(e.Payload)})
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, err
	}
	if n := x.Missing(); n > 0 {
		return nil, fmt.Errorf("%d events are in the index and not in the log", n)
	}
	return list, nil
}

// unsettled tells an index that is being opened from failures.
func unsettled(err error) error {
	if e, ok := errors.AsType[*sluice.Error](err); ok && e.Code == sluice.Busy {
		return fmt.Errorf("%w: %w", errUnsettled, err)
	}
	return err
}

// same compares what was found with what had to be.
func same(got, want []search.Event) error {
	n := 0
	for n < min(len(got), len(want)) && equal(&got[n], &want[n]) {
		n++
	}
	if n == len(got) && n == len(want) {
		return nil
	}
	at := func(list []search.Event) string {
		if n == len(list) {
			return "nothing"
		}
		return fmt.Sprintf("event %d of %s", list[n].Seq, list[n].Partition)
	}
	return fmt.Errorf("got %d events, want %d; number %d is %s, want %s", len(got), len(want), n+1, at(got), at(want))
}

func equal(a, b *search.Event) bool {
	return a.Partition == b.Partition && a.Seq == b.Seq && a.Accepted.Equal(b.Accepted) && a.Source == b.Source && bytes.Equal(a.Payload, b.Payload)
}
