package scenario

import (
	"fmt"
	"math"

	"github.com/sluicelog/sluice/bench/corpus"
	"github.com/sluicelog/sluice/bench/load"
	"github.com/sluicelog/sluice/bench/report"
	"github.com/sluicelog/sluice/bench/target"
)

// All returns every scenario, in the order in which they run.
func All() []Scenario {
	return []Scenario{
		hundred(1, atMostCPU(16), ratio("acked / floor", 1, rateAcked)),
		plainHundred(),
		hundred(5),
		twenty(),
		single(16), single(256),
		steady(),
		fiveTenants(), zipfTenants(),
		paused(),
		deadAndSlow(),
		restart(),
		disk(), diskZstd(),
		splunk(), cloudLogging(), eventHubs(), s3(),
		beside(), searching(),
		backlog(), soak(),
		peersHundred(), peersTwenty(), peersSingle(), peersSteady(), peersKilled(),
	}
}

// indexed is how much memory a server with a search index takes at most, in MiB,
// unless thousands of streams are busy.
const indexed = 200

func plain(connections, perRequest int) load.Config {
	return load.Config{Flow: load.Flow{Connections: connections, PerRequest: perRequest}, Corpus: corpus.Spec{Kind: corpus.Plain, Seed: 1}}
}

// healthy returns n instance-wide destinations; those from the index pausedFrom on
// are paused.
func healthy(n, pausedFrom int) func(string) ([]destination, error) {
	return func(address string) ([]destination, error) {
		list := make([]destination, n)
		for i := range list {
			path := fmt.Sprintf("/sink/%d", i+1)
			list[i] = destination{target.Destination{URL: "http://" + address + path, Paused: i >= pausedFrom}, path}
		}
		return list, nil
	}
}

func against(name, title string, n int, config load.Config, measures ...report.Measure) Scenario {
	return Scenario{Name: name, Title: title, Measures: measures,
		Base: &Variant{Name: Floor, Server: Floor, Destinations: healthy(n, n), Load: config},
		Test: &Variant{Name: Sluice, Server: Sluice, Destinations: healthy(n, n), Load: config}}
}

func hundred(n int, more ...report.Measure) Scenario {
	return against(fmt.Sprintf("flat100-d%d", n), fmt.Sprintf("requests of 100, destinations: %d", n), n, plain(16, 100),
		append(more, ratio("delivered / floor", 1.1, rateDelivered), drained(1), memory(indexed))...)
}

// plainHundred leaves the search index out.
func plainHundred() Scenario {
	s := against("flat100-noindex", "requests of 100, destinations: 1, no search index", 1, plain(16, 100),
		append(cpu(), ratio("acked / floor", 1, rateAcked), ratio("delivered / floor", 1.1, rateDelivered), drained(1), memory(150))...)
	s.Test.NoIndex = true
	return s
}

func twenty() Scenario {
	return against("flat100-d20", "requests of 100, destinations: 20", 20, plain(16, 100),
		report.Measure{Name: "acked per second", Target: ">= 45,000",
			Value: func(_, test *report.Result) float64 { return test.Acked }, Reached: report.AtLeast(45_000)},
		ratio("delivered / floor", 1.2, rateDelivered), drained(1), memory(indexed))
}

func single(connections int) Scenario {
	return against(fmt.Sprintf("flat1-c%d", connections), fmt.Sprintf("one event a request, %d connections", connections), 1,
		plain(connections, 1), ratio("acked / floor", 0.85, rateAcked), ratio("delivered / floor", 0.85, rateDelivered), drained(1), memory(indexed))
}

func steady() Scenario {
	config := plain(32, 1)
	config.Rate = 2000
	return against("steady", "2,000 single events a second", 1, config,
		report.Measure{Name: "e2e p50 ms", Target: "<= 2",
			Value: func(_, test *report.Result) float64 { return test.E2EP50 }, Reached: report.AtMost(2)},
		report.Measure{Name: "e2e p99 / (10 ms or 1.5 floor)", Target: "<= 1",
			Value:   func(base, test *report.Result) float64 { return test.E2EP99 / math.Max(10, 1.5*base.E2EP99) },
			Reached: report.AtMost(1)},
		drained(10), memory(indexed))
}

// tenants returns a stream for each tenant, all to one path.
func tenants(address string) ([]destination, error) {
	list := make([]destination, corpus.TenantsOfZipf)
	for i := range list {
		list[i] = destination{target.Destination{URL: "http://" + address + "/sink/1", Namespace: corpus.Tenant(i)}, "/sink/1"}
	}
	return list, nil
}

func manyTenants(name, title, spread string, measures ...report.Measure) Scenario {
	one, many := plain(16, 100), plain(16, 100)
	many.Corpus.Tenants = spread
	return Scenario{Name: name, Title: title, Measures: measures,
		Base: &Variant{Name: "sluice, 1 stream", Server: Sluice, Destinations: healthy(1, 1), Load: one},
		Test: &Variant{Name: "sluice, 10,000", Server: Sluice, Destinations: tenants, Load: many, Unordered: true}}
}

func fiveTenants() Scenario {
	return manyTenants("tenants-five", "10,000 streams of 10,000 tenants, five busy", corpus.FiveTenants,
		ratio("acked / one stream", 0.85, rateAcked), ratio("delivered / one stream", 0.85, rateDelivered), drained(10), memory(300))
}

func zipfTenants() Scenario {
	return manyTenants("tenants-zipf", "10,000 streams of 10,000 tenants, all busy by Zipf's law", corpus.ZipfTenants,
		ratio("acked / one stream", 0.4, rateAcked), ratio("delivered / one stream", 0.4, rateDelivered), drained(2), memory(300))
}

func paused() Scenario {
	const all = 1 + pausedStreams
	return Scenario{Name: "paused", Title: "50 paused streams, behind by what a minute at full rate brings (a week of 13 events a second), then all resume",
		Base: &Variant{Name: "sluice, 1 stream", Server: Sluice, Destinations: healthy(1, 1), Load: plain(16, 100)},
		Test: &Variant{Name: "sluice, 50 paused", Server: Sluice, Destinations: healthy(all, 1), Load: plain(16, 100), Steps: pauseAndResume},
		Measures: []report.Measure{
			ratio("acked / without paused streams", 0.95, rateAcked), ratio("delivered / without paused streams", 0.95, rateDelivered),
			{Name: "acked while catching up / before", Target: ">= 0.7", Reached: report.AtLeast(0.7),
				Value: func(_, test *report.Result) float64 { return over(test.Extra[resumedAcked], test.Acked) }},
			drained(10), memory(indexed)}}
}

// slowMilliseconds is how long the slow destination takes for an answer.
const slowMilliseconds = 1000

// sick returns 18 healthy destinations, one where nobody listens, and a slow one.
func sick(address string) ([]destination, error) {
	list, err := healthy(18, 18)(address)
	if err != nil {
		return nil, err
	}
	dead, err := target.FreeAddress()
	return append(list,
		destination{Destination: target.Destination{URL: "http://" + dead + "/dead"}},
		destination{Destination: target.Destination{URL: fmt.Sprintf("http://%s/slow?delay=%d", address, slowMilliseconds)}}), err
}

func deadAndSlow() Scenario {
	config := plain(32, 50)
	config.Rate = 5000
	return Scenario{Name: "dead-slow", Title: "one dead and one slow destination beside 18 healthy, 5,000/s in requests of 50",
		Base: &Variant{Name: "sluice, 20 healthy", Server: Sluice, Destinations: healthy(20, 20), Load: config},
		Test: &Variant{Name: "sluice, 18 healthy", Server: Sluice, Destinations: sick, Load: config},
		Measures: []report.Measure{
			atMost("healthy e2e p50 / all healthy", 1.1, func(r *report.Result) float64 { return r.E2EP50 }),
			atMost("healthy e2e p99 / all healthy", 1.1, func(r *report.Result) float64 { return r.E2EP99 }),
			drained(10), memory(indexed)}}
}

func restart() Scenario {
	config := plain(16, 100)
	config.Corpus.Kind = corpus.Varied
	test := func(name string) report.Measure {
		return extraMeasure(name, "< 2", func(v float64) bool { return v < 2 })
	}
	return Scenario{Name: "restart", Title: "ready after kill -9", Size: func(env *Env) string { return fmt.Sprintf("%g GiB, %v", env.LogGiB, env.Load) },
		Test:     &Variant{Name: Sluice, Server: Sluice, Destinations: healthy(1, 1), Load: config, Unordered: true, Steps: killAndRestart},
		Measures: []report.Measure{test(readyAfter), test(ackAfter), test(deliverAfter)}}
}

// onDisk wants so few bytes on the disk for a byte received.
func onDisk(target string, most float64) report.Measure {
	return extraMeasure(diskRatio, target, report.AtMost(most))
}

func disk() Scenario {
	config := plain(16, 100)
	config.Corpus.Kind = corpus.Varied
	s := against("disk", "disk space, varied corpus", 1, config, onDisk("<= 0.60", 0.6), drained(10))
	for _, v := range []*Variant{s.Base, s.Test} {
		v.Steps, v.Unordered = fillDisk, true
	}
	return s
}

// diskZstd is disk with the other compression, beside the one that is shipped.
func diskZstd() Scenario {
	s := disk()
	s.Name, s.Title = "disk-zstd", "disk space, varied corpus, log by zstd"
	s.Measures = []report.Measure{onDisk("<= 0.40", 0.4), memory(indexed), drained(10),
		show("acked / s2", func(base, test *report.Result) float64 { return over(test.Acked, base.Acked) })}
	s.Base.Name, s.Base.Server = "sluice, s2", Sluice
	s.Test.Name, s.Test.Compression = "sluice, zstd", "zstd"
	return s
}
