package scenario

import (
	"context"
	"time"

	"github.com/sluicelog/sluice/bench/load"
	"github.com/sluicelog/sluice/bench/report"
	"github.com/sluicelog/sluice/bench/target"
)

// withPeers runs a load through the floor, Sluice and the peers that are there, n
// destinations each. What acked means differs: Sluice, the floor and the Collector
// have synced what they answer for; syslog-ng answers nothing, and its acked is what
// the system took for it.
func withPeers(name, title string, n int, config load.Config) Scenario {
	s := against("peers-"+name, title+", beside peers", n, config,
		show("acked / floor", func(base, test *report.Result) float64 { return over(test.Acked, base.Acked) }),
		show("delivered / floor", deliveredOver))
	s.Others = peerVariants(n, config, nil)
	return s
}

// peerVariants returns one for each peer. In which order they deliver is not judged:
// none of them promises one.
func peerVariants(n int, config load.Config, steps func(context.Context, *session) error) (list []*Variant) {
	for _, v := range []Variant{
		{Name: "OpenTelemetry Collector, fsync", Server: target.Collector},
		{Name: "syslog-ng, disk buffer", Server: target.SyslogNG},
	} {
		v.Destinations, v.Load, v.Unordered, v.Steps = healthy(n, n), config, true, steps
		list = append(list, &v)
	}
	return list
}

func peersHundred() Scenario {
	return withPeers("flat100", "requests of 100, destinations: 1", 1, plain(16, 100))
}
func peersTwenty() Scenario {
	return withPeers("flat100-d20", "requests of 100, destinations: 20", 20, plain(16, 100))
}
func peersSingle() Scenario {
	return withPeers("flat1", "one event a request, 16 connections", 1, plain(16, 1))
}

func peersSteady() Scenario {
	config := plain(32, 1)
	config.Rate = 2000
	return withPeers("steady", "2,000 single events a second", 1, config)
}

// peersKilled counts what a kill -9 under load costs of what was accepted. It is no
// power cut: what the system has taken for a process outlives that process.
func peersKilled() Scenario {
	config := plain(16, 100)
	return Scenario{Name: "peers-kill", Title: "killed (SIGKILL) under load and started again, requests of 100, beside peers",
		Size:   func(*Env) string { return killedAfter.String() },
		Test:   &Variant{Name: Sluice, Server: Sluice, Destinations: healthy(1, 1), Load: config, Unordered: true, Steps: killUnderLoad},
		Others: peerVariants(1, config, killUnderLoad)}
}

const killedAfter = 5 * time.Second

// killUnderLoad kills the server under load, starts it again, and waits until all
// that was accepted has come.
func killUnderLoad(ctx context.Context, s *session) error {
	const afterwards = 200 * time.Millisecond // of a load that nobody takes
	config := s.variant.Load
	config.Duration = killedAfter + afterwards
	m, err := s.begin(ctx)
	if err != nil {
		return err
	}
	generator, err := s.startLoad(ctx, config)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-time.After(killedAfter):
	}
	if err := s.server.Process().Kill(); err != nil {
		return err
	}
	sent, err := s.endLoad(generator)
	if err != nil {
		return err
	}
	if err := s.server.Restart(ctx); err != nil {
		return err
	}
	after, err := s.drain(ctx, s.env.Drain)
	if err != nil {
		return err
	}
	s.fillLoad(sent)
	s.fillDelivery(sent, m.stats, after)
	return s.audit(ctx)
}
