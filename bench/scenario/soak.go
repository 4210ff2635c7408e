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

// soakViews names the times of what people do during a soak.
const soakViews = "page or search"

// A soak is cut into moments, 10 s each in half an hour. In each all is looked at;
// the other figures are in moments, too.
const (
	soakMoments = 180
	soakToggle  = 6  // two streams are paused, or resume
	soakReplace = 12 // the stream to the dead destination is given up for another
	soakGrowth  = 3  // percent in the second half that pass for none
	soakStreams = 20
	soakToggled = 2
	soakSlow    = 200 // milliseconds that the slow destination takes for an answer
)

// soak goes on for half an hour with a bit of everything, and nothing may grow. The
// log is bounded by size. What waits for a stream is kept all the same; so the slow
// destination gets a fifth of the events, which it can take, and the stream to the
// dead one is given up now and then, as its owner would.
func soak() Scenario {
	config := plain(16, 100)
	config.Rate, config.Beside = 18_000, []load.Flow{{Connections: 32, PerRequest: 1, Rate: 2000}}
	config.Corpus.Tenants = corpus.FiveTenants
	measures := []report.Measure{{Name: "acked per second", Target: ">= 19,900",
		Value: func(_, test *report.Result) float64 { return test.Acked }, Reached: report.AtLeast(19_900)}}
	for _, name := range []string{report.SeriesRSS, report.SeriesGoroutines, report.SeriesFiles} {
		measures = append(measures, report.Measure{Name: name + ", growth in the second half, %", Target: fmt.Sprintf("<= %d", soakGrowth),
			Reached: report.AtMost(soakGrowth), Value: func(_, test *report.Result) float64 { return growth(test.Series[name]) }})
	}
	return Scenario{Name: "soak", Title: "20,000 events/s, 2,000 of them one a request, 20 streams: one dead, one slow, two paused now and then; pages and searches",
		Once: true, Size: func(env *Env) string { return env.Soak.String() },
		Test:     &Variant{Name: Sluice, Server: Sluice, Destinations: soaked, Load: config, Retention: "1GiB", Steps: soakLog},
		Measures: append(measures, memory(indexed), drained(1))}
}

// soaked returns the destinations: the healthy ones, of which the last are paused
// now and then, a slow one and a dead one.
func soaked(address string) ([]destination, error) {
	list, err := healthy(soakStreams-2, soakStreams)(address)
	if err != nil {
		return nil, err
	}
	for i := len(list) - soakToggled; i < len(list); i++ {
		list[i].URL += "?delay=0" // late events do not count in the times from end to end
	}
	dead, err := target.FreeAddress()
	return append(list,
		destination{Destination: target.Destination{URL: fmt.Sprintf("http://%s/slow?delay=%d", address, soakSlow), Namespace: corpus.Tenant(4)}},
		destination{Destination: target.Destination{URL: "http://" + dead + "/dead"}}), err
}

// soakLog sends the load, does what people do, and looks.
func soakLog(ctx context.Context, s *session) error {
	browser, err := s.sluice.SignIn(ctx, "reader")
	if err != nil {
		return err
	}
	dead, err := target.FreeAddress()
	if err != nil {
		return err
	}
	config := s.variant.Load
	config.Events = 10_000 // so that the groups are known whose pages are read
	if _, _, err := s.load(ctx, config); err != nil {
		return err
	}
	config.Events = 0
	m, err := s.begin(ctx)
	if err != nil {
		return err
	}
	config.Duration = s.env.Soak
	generator, err := s.startLoad(ctx, config)
	if err != nil {
		return err
	}
	w := &soaker{session: s, browser: browser, dead: target.Destination{URL: "http://" + dead + "/dead"}}
	if err := w.run(ctx, generator); err != nil {
		return errors.Join(err, generator.Kill())
	}
	sent, err := s.endLoad(generator)
	if err != nil {
		return err
	}
	s.pageTimes(soakViews, w.times)
	return s.end(ctx, m, sent, generator, s.env.Drain)
}

// A soaker is who works with the server during a soak.
type soaker struct {
	*session
	browser *target.Browser
	dead    target.Destination
	paused  bool
	times   []float64 // of pages and searches, in ms
}

// run goes through the moments, fewer when they take longer than they should, and
// leaves all streams active.
func (w *soaker) run(ctx context.Context, generator *process.Process) error {
	began := time.Now()
	for n := 0; n < soakMoments && time.Since(began) < w.env.Soak; n++ {
		if err := w.moment(ctx, n, began); err != nil {
			return err
		}
		if generator.Ended() && time.Since(began) < w.env.Soak {
			return errors.New("the load generator has ended early")
		}
	}
	return w.toggle(ctx, false)
}

// moment does what is due, asks, and looks at its end.
func (w *soaker) moment(ctx context.Context, n int, began time.Time) error {
	length := w.env.Soak / soakMoments
	if n%soakToggle == soakToggle/2 && n < soakMoments-2*soakToggle { // all have caught up at the end
		if err := w.toggle(ctx, !w.paused); err != nil {
			return err
		}
	}
	if n%soakReplace == soakReplace-1 {
		if err := w.sluice.Replace(ctx, soakStreams-1, w.dead); err != nil {
			return err
		}
	}
	asks := max(1, int(length/time.Second)) // pages and searches
	for i := range asks {
		due := began.Add(time.Duration(n)*length + time.Duration(i)*length/time.Duration(asks))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Until(due)):
		}
		if err := w.ask(ctx, n*asks+i); err != nil {
			return err
		}
	}
	return w.look(ctx, time.Since(began))
}

// toggle pauses the last healthy streams or has them resume.
func (w *soaker) toggle(ctx context.Context, pause bool) error {
	if pause == w.paused {
		return nil
	}
	w.paused = pause
	from, to := soakStreams-2-soakToggled, soakStreams-2
	if pause {
		return w.sluice.Pause(ctx, from, to)
	}
	return w.sluice.Resume(ctx, from, to)
}

// ask reads a page or searches, and notes how long that took.
func (w *soaker) ask(ctx context.Context, n int) error {
	group := "/-/groups/" + corpus.Tenant(n%5)
	paths := []string{group + "/audit-log", group + "/log-streaming", "/-/instance/system", "/-/instance/audit-log"}
	var took time.Duration
	if n%2 == 0 {
		view, err := w.browser.View(ctx, paths[n/2%len(paths)])
		if err != nil {
			return err
		}
		took = view.Took
	} else {
		answer, err := w.sluice.Page(ctx, target.Question{Namespace: corpus.Tenant(n % 5), Phrase: "action:member_created"})
		if err != nil {
			return err
		}
		took = answer.Took
	}
	w.times = append(w.times, milliseconds(int64(took)))
	return nil
}

// Metrics that are looked at.
const (
	goroutines = "go_goroutines"
	logBytes   = "sluice_log_disk_bytes"
)

// look notes what the server takes of the machine.
func (w *soaker) look(ctx context.Context, at time.Duration) error {
	used, err := w.server.Process().Usage()
	if err != nil {
		return err
	}
	files, err := w.server.Process().OpenFiles()
	if err != nil {
		return err
	}
	metrics, err := w.sluice.Metrics(ctx)
	if err != nil {
		return err
	}
	for _, name := range []string{goroutines, logBytes} {
		if metrics[name] == 0 { // what is not measured does not grow
			return fmt.Errorf("there is no metric %s", name)
		}
	}
	w.point(report.SeriesRSS, at, float64(used.RSS)/(1<<20))
	w.point(report.SeriesFiles, at, float64(files))
	w.point(report.SeriesGoroutines, at, metrics[goroutines])
	w.point(report.SeriesLog, at, metrics[logBytes]/(1<<20))
	return nil
}

// point adds to a series.
func (s *session) point(name string, at time.Duration, value float64) {
	if s.result.Series == nil {
		s.result.Series = map[string][]report.Point{}
	}
	s.result.Series[name] = append(s.result.Series[name], report.Point{at.Seconds(), value})
}

// growth is how much a series grows in its second half, in percent of its mean
// there, along the line that fits it best (least squares): single peaks count little.
func growth(points []report.Point) float64 {
	points = points[len(points)/2:]
	var n, sx, sy, sxx, sxy float64
	for _, p := range points {
		n, sx, sy, sxx, sxy = n+1, sx+p[0], sy+p[1], sxx+p[0]*p[0], sxy+p[0]*p[1]
	}
	spread := n*sxx - sx*sx
	if spread == 0 || sy == 0 {
		return 0
	}
	slope := (n*sxy - sx*sy) / spread
	return 100 * slope * (points[len(points)-1][0] - points[0][0]) / (sy / n)
}
