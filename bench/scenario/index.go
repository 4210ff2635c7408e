package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicelog/sluice/bench/corpus"
	"github.com/sluicelog/sluice/bench/load"
	"github.com/sluicelog/sluice/bench/process"
	"github.com/sluicelog/sluice/bench/report"
	"github.com/sluicelog/sluice/bench/target"
)

// Names of extra measures of the index.
const (
	indexRate    = "indexed/s"
	indexCPU     = "indexing cpu s for a million"
	indexBytes   = "index bytes an event"
	indexBehind  = "index caught up s after the load"
	startCPU     = "cpu s of a start without an index"
	fillCPU      = "ingest and indexing cpu s for a million"
	wrongAnswers = "wrong answers"
	countMillis  = "count a day"
	exportRate   = "export events/s"
	exportCPU    = "export cpu s for a million"
	zipRate      = "export gzip events/s"
	orgRate      = "export of an organization events/s"
	orgEvents    = "events of that organization"
)

const (
	indexPoll  = 20 * time.Millisecond
	indexLimit = 15 * time.Minute // to catch up with what there is
	indexSlow  = 20               // milliseconds that a page may take, or a count
	indexLate  = 100              // milliseconds that one page in a hundred may take
)

// searching measures the index by itself: how it is made, and what it answers.
func searching() Scenario {
	measures := []report.Measure{
		extraMeasure(indexRate, ">= 100,000", report.AtLeast(100_000)),
		extraMeasure(indexCPU, "<= 7", report.AtMost(7)),
		extraMeasure(indexBytes, "<= 60", report.AtMost(60)),
	}
	for _, l := range lookups() {
		measures = append(measures, extraMeasure(l.name+" p50 ms", "<= 20", report.AtMost(indexSlow)),
			extraMeasure(l.name+" p99 ms", "<= 100", report.AtMost(indexLate)))
	}
	measures = append(measures, pageMeasures()...)
	measures = append(measures,
		extraMeasure(countMillis+" p50 ms", "<= 20", report.AtMost(indexSlow)),
		extraMeasure(countMillis+" p99 ms", "<= 20", report.AtMost(indexSlow)),
		extraMeasure(countMillis+", largest ms", "<= 20", report.AtMost(indexSlow)),
		extraMeasure(exportRate, ">= 300,000", report.AtLeast(300_000)),
		extraMeasure(wrongAnswers, "0", report.AtMost(0)),
		memory(indexed))
	return Scenario{Name: "index", Title: "the search index of many events", Once: true, Measures: measures,
		Size: func(env *Env) string { return fmt.Sprintf("%d events", env.IndexEvents) },
		Test: &Variant{Name: "sluice, index", Server: Sluice, Data: searchedData, Steps: searchLog}}
}

func extraMeasure(name, target string, reached func(float64) bool) report.Measure {
	return report.Measure{Name: name, Target: target, Reached: reached, Extra: name,
		Value: func(_, test *report.Result) float64 { return test.Extra[name] }}
}

// indexCorpus is what is searched.
func indexCorpus(env *Env) corpus.Spec {
	return corpus.Spec{Kind: corpus.Dated, Seed: 1, Events: env.IndexEvents}
}

// beside measures what indexing takes away from producers.
func beside() Scenario {
	config := plain(16, 100)
	variant := func(name string, index bool) *Variant {
		return &Variant{Name: name, Server: Sluice, NoIndex: !index, Destinations: healthy(1, 1), Load: config}
	}
	return Scenario{Name: "flat100-index", Title: "requests of 100, destinations: 1, without and with a search index",
		Base: variant("sluice", false), Test: variant("sluice, index", true),
		Measures: []report.Measure{
			ratio("acked / without the index", 0.8, rateAcked), ratio("delivered / without the index", 0.8, rateDelivered), drained(1),
			atMostCPU(16), memory(indexed)}}
}

// catchUp waits until the index has followed the load, and notes how long that takes.
func (s *session) catchUp(ctx context.Context) (process.Usage, error) {
	if _, err := s.awaitIndex(ctx); err != nil {
		return process.Usage{}, err
	}
	s.extra(indexBehind, time.Since(time.Unix(0, s.ended)).Seconds())
	return s.server.Process().Usage()
}

// awaitIndex waits until the index knows every event.
func (s *session) awaitIndex(ctx context.Context) (target.Index, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, indexLimit, errors.New("the index does not catch up"))
	defer cancel()
	for {
		x, err := s.sluice.Index(ctx)
		switch {
		case err != nil:
			return x, err
		case x.Problem != "":
			return x, fmt.Errorf("the index waits: %s", x.Problem)
		case x.Ready && x.Lag == 0:
			return x, nil
		}
		select {
		case <-ctx.Done():
			return x, context.Cause(ctx)
		case <-time.After(indexPoll):
		}
	}
}

// searchLog makes the log, the index over it, and asks.
func searchLog(ctx context.Context, s *session) error {
	for _, step := range []func(context.Context, *session) error{fillSearched, buildIndex, askPages, viewPages, exportEvents} {
		if err := step(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// fillLoad is how the log to search is filled.
func fillLoad(env *Env, first, end uint64) load.Config {
	const limit = 10 * time.Minute
	return load.Config{Flow: load.Flow{Connections: 16, PerRequest: 100}, Duration: limit, Events: end - first, Corpus: indexCorpus(env)}
}
