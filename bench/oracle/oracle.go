// Package oracle finds out whether Sluice keeps its promise when it is killed, or
// loses power.
//
// An oracle stands outside of the server, which is another process that gets
// SIGKILL again and again: at random moments under load, during its start, right
// after it became ready. The oracle issues every event and its id, runs every
// receiver, writes down what was acknowledged, and in the end compares what
// became of each event, and all counts of all streams, with its own books. It
// shares no code with what it judges: scopes, filters and payloads are evaluated
// here anew.
//
// What makes exact judgement possible:
//   - An event is a function of its [number], so that a receiver verifies bytes
//     by making them again, and books are arrays.
//   - A post without an answer is repeated after the restart until it has one.
//     In the end everything that was issued is stored, once.
//   - The first stream takes everything from the very beginning and its receiver
//     refuses nothing. It tells which events Sluice wrote about itself.
//   - Streams go to HTTP receivers and to one bucket of Amazon S3, which keeps what
//     it has: each event has to be in it once, whatever was repeated.
//   - Where something happens under load (a stream is created, ends or is
//     deleted) the oracle notes before and after. Events between may go either
//     way, but must go the same way for the receiver and the count, and leave no
//     holes.
package oracle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/sluicelog/sluice/bench/server"
)

// Config says what to do.
type Config struct {
	Binary string // of the server
	Dir    string // absent or empty; gets the server's data, its log and the journal
	Cycles int    // kills under load
	// Rests is after how many cycles everything is brought to rest and judged exactly,
	// as in the end, which takes a minute when a stream has to be told to be well; 0 is
	// for the end alone.
	Rests int
	// Acknowledged is how many events are acknowledged in each cycle, at least.
	Acknowledged int
	Seed         uint64    // of everything that is random; timing is not repeated
	Report       io.Writer // gets a line about each ten cycles
	// Power is the disk that the server's data lie on: each kill takes its power,
	// too. Nil for a folder in Dir, which loses nothing.
	Power Power
	// Death names the point at which the server is to end itself in a cycle, as
	// SLUICE_FAILPOINT takes it: see package failpoint. It is killed when it does not
	// come by. "" and nil are for kills at random moments.
	Death func(cycle int) string
	// Space is the disk that the server's data lie on, which gets full in each cycle.
	// Nil for one that does not. Power is nil then.
	Space Space
	// Roomy: the disk never gets full to the last byte, only so far that events are to
	// be refused.
	Roomy bool
	// Env is added to the server's environment.
	Env []string
	// Disturb, unless it is nil, is called in each life of the server, under load,
	// and does something to it until ctx ends.
	Disturb func(ctx context.Context)
	// Untimed leaves out streams that begin or end at a time: for servers whose
	// clock is wrong.
	Untimed bool
	// Inspect, unless it is nil, is called when all is settled and judged, while the
	// server runs, and returns what is wrong besides.
	Inspect func(ctx context.Context, end End) []string
	// StopAtFinding ends the run with the first thing that is wrong.
	StopAtFinding bool
}

// End is what there is in the end.
type End struct {
	Address string // of the server, as a URL
	Token   string // of its administrator
	Events  int    // accepted by the stream that takes everything
	Streams []int64
}

// Power is a disk that can lose what was not synced.
type Power interface {
	// Path returns where the disk is.
	Path() string
	// Fail makes every write and sync fail from now on, until Cut.
	Fail() error
	// Cut takes the power away and gives it back. No process has a file open.
	Cut(ctx context.Context) error
}

// Result is what was done and seen.
type Result struct {
	Deaths int // of servers that ended themselves: see [Config.Death]
	// Fulls is how often the disk got full, Refused how many posts were answered with
	// 507 then.
	Fulls, Refused int
	Cycles         int
	Restarts       int
	DiskFailures   int // cycles in which the disk failed before the power was cut
	Acknowledged   int
	Unanswered     int // deliveries that were repeated because an answer was lost
	Killed         int // deliveries that were repeated because a kill took a cursor back
	// Reach is how long before a kill, at most, something was delivered that was
	// repeated after it.
	Reach        time.Duration
	Streams      int // judged
	Objects      int // in the bucket
	Rests        int // how often everything was brought to rest and judged
	Searched     int // events that the search found, in all comparisons
	SlowestStart time.Duration
	Findings     []string // what is wrong, at most maxFindings
	Wrong        int      // how many there were
	Summary      []string // a line for each stream
}

// With returns what a run found, and the error that ended it, if any: a run that
// was not played to its end has something to tell.
func (r *Result) With(err error) []string {
	if err == nil {
		return r.Findings
	}
	return append(slices.Clip(r.Findings), err.Error())
}

// Bounds of patience.
const (
	loadTimeout   = 60 * time.Second
	settleTimeout = 3 * time.Minute
)

type oracle struct {
	cfg      Config
	rng      *rand.Rand
	books    *books
	server   *subject
	findings *findings
	journal  *journal
	trace    *trace
	bucket   *bucket

	// mu guards, while there is load, what the deeds share with the life of the server
	// and with those who look on.
	mu       sync.Mutex
	streams  []*stream // in order of their creation; the first takes everything
	restarts int

	producers []*producer
	deeds     []*deed // to be done under load, in order
	episode   int
	deaths    int
	fulls     int
	failures  int // of the disk
	rests     int // how often everything was judged
	searched  int // events that the search found, all in all
	slowest   time.Duration
}

// Run plays cfg.Cycles cycles and judges. An error means that it could not be
// played to the end; what is wrong with the server is in the result.
func Run(ctx context.Context, cfg Config) (Result, error) {
	o := &oracle{cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 0)), findings: &findings{}, bucket: newBucket()}
	o.books = newBooks(cfg.Seed)
	if cfg.StopAtFinding {
		c, stop := context.WithCancel(ctx)
		defer stop()
		ctx, o.findings.stop = c, stop
	}
	var err error
	if o.journal, err = openJournal(filepath.Join(cfg.Dir, "journal")); err != nil {
		return Result{}, err
	}
	defer o.journal.close()
	if o.trace, err = openTrace(filepath.Join(cfg.Dir, "requests")); err != nil {
		return Result{}, err
	}
	defer o.trace.close()
	if o.server, err = newSubject(cfg); err != nil {
		return Result{}, err
	}
	defer func() { _ = errors.Join(o.server.kill(), o.server.Close()) }() // it is over
	defer func() {
		for _, s := range o.streams {
			s.receiver.close()
		}
	}()
	if err := o.play(ctx); err != nil {
		return o.result(), err
	}
	return o.result(), nil
}

func (o *oracle) play(ctx context.Context) error {
	if err := o.setUp(ctx); err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	for cycle := range o.cfg.Cycles {
		if err := o.cycle(ctx, cycle); err != nil {
			return fmt.Errorf("cycle %d: %w", cycle, err)
		}
		if o.cfg.Rests > 0 && (cycle+1)%o.cfg.Rests == 0 && cycle+1 < o.cfg.Cycles {
			if err := o.between(ctx); err != nil {
				return fmt.Errorf("judge after cycle %d: %w", cycle, err)
			}
		}
		if (cycle+1)%10 == 0 || cycle+1 == o.cfg.Cycles {
			o.report(cycle + 1)
		}
	}
	if err := o.finish(ctx); err != nil {
		return fmt.Errorf("finish: %w", err)
	}
	return nil
}

func (o *oracle) report(cycles int) {
	issued, acked := o.books.totals()
	live, again := 0, repeats{}
	for _, s := range o.streams {
		if s.alive() {
			live++
		}
		again.add(s.receiver.repeated())
	}
	fmt.Fprintf(o.cfg.Report, "%d cycles: %d starts, slowest ready after %d ms; %d events issued, %d acknowledged; %d streams; repeated: %d after lost answers, %d after kills (delivered at most %d ms before); %d findings\n",
		cycles, o.life(), o.slowest.Milliseconds(), issued, acked, live, again.unanswered, again.killed, again.reach/1000, o.findings.total())
}

// cycle is one life of the server that ends with a kill under load, with some
// shorter lives before it.
func (o *oracle) cycle(ctx context.Context, cycle int) error {
	o.shuffle()
	o.plan(cycle)
	if cycle > 0 && o.rng.IntN(4) == 0 {
		if err := o.killEarly(ctx); err != nil {
			return err
		}
	}
	if o.cfg.Death != nil {
		o.server.death = o.cfg.Death(cycle)
	}
	defer func() { o.server.death = "" }()
	err := o.start(ctx)
	if errors.Is(err, errDied) {
		o.deaths, o.server.death = o.deaths+1, ""
		err = errors.Join(o.quiet(ctx), o.start(ctx))
	}
	if err != nil {
		return err
	}
	if err := o.glance(ctx); err != nil && !o.dies(ctx, dying) {
		return err
	}
	return o.load(ctx)
}

// dying is how long a server may take to die that was to die, once it was to be
// killed.
const dying = 500 * time.Millisecond

// dies waits for the death of a server that is to die, and reports whether it came.
func (o *oracle) dies(ctx context.Context, patience time.Duration) bool {
	for begin := time.Now(); o.server.death != "" && ctx.Err() == nil && time.Since(begin) < patience; server.Pause(ctx, 5*time.Millisecond) {
		if o.server.dead() {
			return true
		}
	}
	return false
}

// await waits until so many events are acknowledged, or until the server has died
// where it was to die.
func (o *oracle) await(ctx context.Context, acked int) error {
	if o.server.death == "" {
		return o.books.await(ctx, acked, loadTimeout)
	}
	short, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		if o.dies(short, loadTimeout) {
			cancel()
		}
	})
	err := o.books.await(short, acked, loadTimeout)
	if o.server.dead() {
		return nil
	}
	return err
}

// load posts events and does the deeds that are planned, and kills the server in
// the middle of it.
func (o *oracle) load(ctx context.Context) error {
	_, before := o.books.totals()
	target := before + o.cfg.Acknowledged + o.rng.IntN(o.cfg.Acknowledged/4+1)
	linger := time.Duration(o.rng.IntN(300)) * time.Millisecond
	calm := o.rng.IntN(3) == 0 // the load ends before the kill
	fail := o.rng.IntN(3) == 0 // the disk fails before the kill
	aim := o.rng.IntN(3) == 0  // the kill comes right after an upload
	flip := o.rng.IntN(2) == 0
	left, killFull := int64(reserve)*int64(o.rng.IntN(2)), o.rng.IntN(2) == 0 // when the disk is to get full
	if o.cfg.Roomy {
		left = reserve
	}

	posting, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	for _, p := range o.producers {
		wg.Go(func() { p.run(posting, o.server) })
	}
	defer wg.Wait()
	defer stop()
	acting, abandon := context.WithCancel(ctx)
	defer abandon()
	if o.cfg.Disturb != nil {
		wg.Go(func() { o.cfg.Disturb(acting) })
	}
	if err := o.await(ctx, before+o.cfg.Acknowledged/2); err != nil {
		return errors.Join(err, o.server.kill())
	}
	list, told := o.watched(), o.streams[2]
	wg.Go(func() { o.watch(acting, list) })
	deeds := make(chan struct{})
	wg.Go(func() {
		defer close(deeds)
		if flip {
			o.flip()
		}
		o.act(acting)
	})
	if o.cfg.Space != nil {
		if err := o.fill(ctx, told, left, killFull); err != nil {
			return errors.Join(err, o.server.kill())
		}
	}
	if err := o.await(ctx, target); err != nil {
		return errors.Join(err, o.server.kill())
	}
	if calm {
		stop()
	}
	server.Pause(ctx, linger)
	if aim && !calm {
		o.bucket.awaitOpen(ctx)
	}
	at, err := o.strike(ctx, fail, linger)
	stop()
	abandon()
	<-deeds
	o.ended(at)
	return errors.Join(err, o.quiet(ctx))
}

// strike kills the server, a while after its disk has failed when that is to fail,
// and returns the instant when it began.
func (o *oracle) strike(ctx context.Context, fail bool, linger time.Duration) (at int64, err error) {
	at = o.books.now()
	if fail && o.cfg.Power != nil {
		o.failures++
		err = o.server.fail()
		server.Pause(ctx, linger)
	}
	if o.dies(ctx, dying) {
		o.deaths++
	}
	return at, errors.Join(err, o.server.kill())
}

func (o *oracle) result() Result {
	_, acked := o.books.totals()
	r := Result{Deaths: o.deaths, Cycles: o.cfg.Cycles, Restarts: o.life(), DiskFailures: o.failures, Acknowledged: acked, SlowestStart: o.slowest}
	var again repeats
	for _, s := range o.streams {
		again.add(s.receiver.repeated())
		r.Streams++
		r.Summary = append(r.Summary, s.summary())
	}
	r.Unanswered, r.Killed, r.Reach = again.unanswered, again.killed, time.Duration(again.reach)*time.Microsecond
	r.Rests, r.Searched, r.Objects = o.rests, o.searched, o.bucket.count()
	r.Fulls, r.Refused = o.fulls, int(o.server.refused.Load())
	r.Findings, r.Wrong = o.findings.list()
	return r
}

// maxFindings bounds what is told in words.
const maxFindings = 20

// findings are what is wrong. They may be added to at once.
type findings struct {
	stop  func() // called with each one; nil for nothing
	mu    sync.Mutex
	first []string
	count int
}

func (f *findings) add(format string, args ...any) {
	if f.stop != nil {
		f.stop()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count++; len(f.first) < maxFindings {
		f.first = append(f.first, fmt.Sprintf(format, args...))
	}
}

func (f *findings) total() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count
}

func (f *findings) list() ([]string, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.first...), f.count
}
