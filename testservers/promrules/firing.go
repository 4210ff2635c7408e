package main

import (
	"bufio"
	"context"
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

// firing returns the alerts whose expressions hold for samples that never changed.
func firing(p parser.Parser, rules []rulefmt.Rule, samples io.Reader) (names []string, err error) {
	now := time.Now()
	series, err := read(p, samples, now)
	if err != nil {
		return nil, err
	}
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 10_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, Parser: p})
	for _, r := range rules {
		q, err := engine.NewInstantQuery(context.Background(), series, nil, r.Expr, now)
		if err != nil {
			return nil, err
		}
		v, err := q.Exec(context.Background()).Vector()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Alert, err)
		}
		if len(v) > 0 {
			names = append(names, r.Alert)
		}
		q.Close()
	}
	return names, nil
}

// read makes a series of each sample.
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
		end := strings.LastIndexByte(line, ' ')
		if end < 0 {
			return nil, fmt.Errorf("no sample: %q", line)
		}
		metric, err := p.ParseMetric(line[:end])
		if err != nil {
			return nil, fmt.Errorf("no sample: %q: %w", line, err)
		}
		value, err := strconv.ParseFloat(line[end+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("no sample: %q: %w", line, err)
		}
		samples := chunkenc.NewXORChunk()
		add, err := samples.Appender()
		if err != nil {
			return nil, err
		}
		for _, at := range times {
			add.Append(0, at, value)
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

// seriesSet hands out series one after the other.
type seriesSet struct {
	series []storage.Series
	next   int
}

func (s *seriesSet) Next() bool                        { s.next++; return s.next <= len(s.series) }
func (s *seriesSet) At() storage.Series                { return s.series[s.next-1] }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }
