package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
)

const (
	history = 6 * time.Hour
	scrape  = time.Minute
)

// firing returns the alerts that fire: their expressions hold, and have held for as
// long as they wait.
func firing(p parser.Parser, rules []rulefmt.Rule, samples io.Reader) (names []string, err error) {
	now := time.Now()
	series, err := read(p, samples, now)
	if err != nil {
		return nil, err
	}
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 10_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, Parser: p})
	for _, r := range rules {
		held := true
		for ago := time.Duration(0); held && ago <= time.Duration(r.For); ago += scrape {
			if held, err = holds(engine, series, r.Expr, now.Add(-ago)); err != nil {
				return nil, fmt.Errorf("%s: %w", r.Alert, err)
			}
		}
		if held {
			names = append(names, r.Alert)
		}
	}
	return names, nil
}

// holds reports whether an expression finds anything at a time.
func holds(engine *promql.Engine, series storage.Queryable, expr string, at time.Time) (bool, error) {
	q, err := engine.NewInstantQuery(context.Background(), series, nil, expr, at)
	if err != nil {
		return false, err
	}
	defer q.Close()
	v, err := q.Exec(context.Background()).Vector()
	return len(v) > 0, err
}

// read makes a series of each line: a metric with its values, a scrape each, the
// last one now. What was before is the first one.
func read(p parser.Parser, in io.Reader, now time.Time) (storage.Queryable, error) {
	var times []int64
	for at := now.Add(-history); !at.After(now); at = at.Add(scrape) {
		times = append(times, at.UnixMilli())
	}
	var all []storage.Series
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		metric, values, err := parse(p, line)
		if err != nil {
			return nil, fmt.Errorf("no sample: %q: %w", line, err)
		}
		samples := chunkenc.NewXORChunk()
		add, err := samples.Appender()
		if err != nil {
			return nil, err
		}
		for i, at := range times {
			add.Append(0, at, values[max(0, i-(len(times)-len(values)))])
		}
		all = append(all, &storage.SeriesEntry{Lset: metric, SampleIteratorFn: samples.Iterator})
	}
	choose := func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
		var found seriesSet
		for _, s := range all {
			if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(s.Labels().Get(m.Name)) }) {
				found.series = append(found.series, s)
			}
		}
		return &found
	}
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{SelectMockFunction: choose}}, lines.Err()
}

// parse reads a line of samples.
func parse(p parser.Parser, line string) (metric labels.Labels, values []float64, err error) {
	end := strings.LastIndexByte(line, '}') + 1
	if end == 0 {
		end = max(0, strings.IndexByte(line, ' '))
	}
	for _, field := range strings.Fields(line[end:]) {
		value, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return metric, nil, err
		}
		values = append(values, value)
	}
	if len(values) == 0 {
		return metric, nil, errors.New("no value")
	}
	metric, err = p.ParseMetric(line[:end])
	return metric, values, err
}

// seriesSet hands out series one after the other.
type seriesSet struct {
	series []storage.Series
	next   int
}

func (s *seriesSet) Next() bool                        { s.next++; return s.next <= len(s.series) }
func (s *seriesSet) At() storage.Series                { return s.series[s.next-1] }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }
