package main

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/segment"
)

// What a self-test does.
const (
	syncTries    = 1000            // syncs at most
	syncPatience = 5 * time.Second // that they may take together
	syncBytes    = 4 << 10         // written before each
	streamBytes  = 64 << 20        // written in a row
	engineBlocks = 200
	engineEvents = 100 // in each
	selftestRoom = 512 << 20
)

// tooFast is less than what a sync takes on a disk that writes before it answers:
// only one whose cache survives the loss of power may be that quick.
const tooFast = 50 * time.Microsecond

// slowSync makes producers wait.
const slowSync = 20 * time.Millisecond

// selfReport is what a self-test found.
type selfReport struct {
	Program    string    `json:"program"`
	System     string    `json:"system"`
	Processors int       `json:"processors"`
	At         time.Time `json:"at"`
	Data       string    `json:"data"`
	disk
	Free   uint64      `json:"free_bytes"`
	Sync   syncReport  `json:"sync"`
	Stream float64     `json:"stream_mb_per_s"`
	Engine engineCheck `json:"engine"`
	Hints  []string    `json:"hints"`
	OK     bool        `json:"ok"`
}

// syncReport is how long it takes until 4 KiB are on disk, in microseconds.
type syncReport struct {
	Count int   `json:"count"`
	P50   int64 `json:"p50_us"`
	P99   int64 `json:"p99_us"`
	Max   int64 `json:"max_us"`
}

// engineCheck is what was written through the real log, and read back after it was
// opened anew.
type engineCheck struct {
	Events    int     `json:"events"`
	PerSecond float64 `json:"events_per_s"`
	ReadBack  int     `json:"read_back"`
}

func selftestFlags(fs *flag.FlagSet, env *Env) action {
	var o struct {
		data   string
		json   bool
		write  bool
		verify uint64
	}
	fs.StringVar(&o.data, "data", "", "a `DIR` on the disk to be tested, such as the server's data folder; nothing in it is changed")
	fs.BoolVar(&o.json, "json", false, "print JSON")
	fs.BoolVar(&o.write, "write", false, "write numbered records, and show the number of each that is on disk, until the plug is pulled (or Ctrl-C)")
	fs.Uint64Var(&o.verify, "verify", 0, "after that, look whether the records are there up to this `NUMBER`, the last that was seen; then remove them")
	return func(ctx context.Context, _ []string) error {
		switch {
		case o.data == "":
			return usagef("--data is missing").withHint("For example: sluice selftest --data /var/lib/sluice")
		case o.write && o.verify > 0:
			return usagef("--write and --verify are two steps: the plug is pulled between them")
		case o.write:
			return writePlug(ctx, o.data, env.Stdout)
		case o.verify > 0:
			return verifyPlug(o.data, o.verify, env.Stdout)
		}
		r, err := selftest(ctx, o.data)
		if err != nil {
			return err
		}
		if o.json {
			err = writeJSON(env.Stdout, r)
		} else {
			err = r.print(env.Stdout)
		}
		if err == nil && !r.OK {
			err = errors.New("the self-test has failed: see above")
		}
		return err
	}
}

// selftest tests the disk that a folder is on, in a folder of its own, which it
// removes.
func selftest(ctx context.Context, data string) (*selfReport, error) {
	r := &selfReport{Program: version(), System: runtime.GOOS + "/" + runtime.GOARCH, Processors: runtime.NumCPU(), At: time.Now().UTC(), Data: data}
	var err error
	if r.Free, err = freeSpace(data); err != nil {
		return nil, fmt.Errorf("look at the free space of %s: %w", data, err)
	}
	if r.Free < selftestRoom {
		return nil, fmt.Errorf("%s has %s free, and the test needs %s", data, formatBytes(int64(r.Free)), formatBytes(selftestRoom))
	}
	r.disk = describeDisk(data)
	dir, err := os.MkdirTemp(data, "selftest-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left is of no use
	for _, step := range []func(context.Context, string) error{r.syncs, r.stream, r.engine} {
		if err := step(ctx, dir); err != nil {
			return nil, err
		}
	}
	r.judge()
	return r, nil
}

// syncs measures how long it takes until a few bytes are on disk, as the log
// writes them: over space that was written before.
func (r *selfReport) syncs(ctx context.Context, dir string) error {
	f, err := segment.OS().Create(filepath.Join(dir, "sync"))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it is removed
	if _, err := f.WriteAt(make([]byte, syncTries*syncBytes), 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	b := make([]byte, syncBytes)
	for i := range b {
		b[i] = byte(i)
	}
	var took []time.Duration
	for begin := time.Now(); len(took) < syncTries && time.Since(begin) < syncPatience && ctx.Err() == nil; {
		at := time.Now()
		if _, err := f.WriteAt(b, int64(len(took))*syncBytes); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		took = append(took, time.Since(at))
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	slices.Sort(took)
	at := func(share float64) int64 { return took[int(share*float64(len(took)-1))].Microseconds() }
	r.Sync = syncReport{Count: len(took), P50: at(0.5), P99: at(0.99), Max: at(1)}
	return nil
}

// stream measures how quickly many bytes get to disk.
func (r *selfReport) stream(_ context.Context, dir string) error {
	f, err := segment.OS().Create(filepath.Join(dir, "stream"))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it is removed
	b := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // it never fails
	begin := time.Now()
	for at := int64(0); at < streamBytes; at += int64(len(b)) {
		if _, err := f.WriteAt(b, at); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	r.Stream = streamBytes / 1e6 / time.Since(begin).Seconds()
	return nil
}

// engine writes events through the log, opens it anew and compares every byte.
func (r *selfReport) engine(ctx context.Context, dir string) error {
	id, path := newLogID(), filepath.Join(dir, logFolder)
	begin := time.Now()
	err := withLog(ctx, path, id, func(ctx context.Context, l *eventlog.Log) error {
		for block := range engineBlocks {
			batch := &eventlog.Batch{}
			for n := range engineEvents {
				payload, env := selftestEvent(block*engineEvents + n)
				batch.Add(payload, env, sluice.SourceSluice)
			}
			if _, err := l.Append(ctx, map[string]*eventlog.Batch{string(sluice.Audit): batch}); err != nil {
				return err
			}
			r.Engine.Events += engineEvents
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write through the log: %w", err)
	}
	r.Engine.PerSecond = float64(r.Engine.Events) / time.Since(begin).Seconds()
	err = withLog(ctx, path, id, func(ctx context.Context, l *eventlog.Log) error {
		for n := range r.Engine.Events {
			b, err := l.Block(ctx, string(sluice.Audit), uint64(n)+1)
			if err != nil {
				return err
			}
			got, err := b.Payload(int(uint64(n) + 1 - b.First))
			if err != nil {
				return err
			}
			if want, _ := selftestEvent(n); string(got) == string(want) {
				r.Engine.ReadBack++
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the log back: %w", err)
	}
	return nil
}

// withLog runs do with a log in a folder.
func withLog(ctx context.Context, path string, id eventlog.LogID, do func(context.Context, *eventlog.Log) error) error {
	e, err := segment.Open(path, segment.Options{Log: id})
	if err != nil {
		return err
	}
	l, err := eventlog.Open(ctx, e, eventlog.Options{ID: id, Partitions: []string{string(sluice.Audit)}})
	if err != nil {
		return err
	}
	run, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- l.Run(run) }()
	err = do(ctx, l)
	stop()
	return errors.Join(err, <-done, l.Close())
}

// selftestEvent makes the nth event, of about a kilobyte.
func selftestEvent(n int) ([]byte, *sluice.Envelope) {
	var body [450]byte
	_, _ = rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)}).Read(body[:]) // it never fails
	id := fmt.Sprintf("selftest-%d", n)
	payload := fmt.Appendf(nil, `{"id":%q,"event_type":"selftest","entity_path":"selftest","body":%q}`, id, hex.EncodeToString(body[:]))
	return payload, &sluice.Envelope{ID: []byte(id), IDOffset: len(`{"id":"`), Type: []byte("selftest"), Namespace: []byte("selftest"), Class: sluice.Audit}
}

// judge says what to make of the figures.
func (r *selfReport) judge() {
	r.OK = r.Engine.ReadBack == r.Engine.Events
	if !r.OK {
		r.Hints = append(r.Hints, fmt.Sprintf("%d of %d events were not read back as they were written: do not use this disk.", r.Engine.Events-r.Engine.ReadBack, r.Engine.Events))
	}
	if slices.Contains([]string{"tmpfs", "ramfs"}, r.Files) {
		r.OK = false
		r.Hints = append(r.Hints, "This file system is in memory: nothing in it survives a restart of the machine.")
	}
	if slices.Contains([]string{"nfs", "smb", "fuse", "9p"}, r.Files) {
		r.Hints = append(r.Hints, "This file system may be on another machine: locks and syncs are as good as that machine makes them. Use a local disk.")
	}
	p50 := time.Duration(r.Sync.P50) * time.Microsecond
	if doubt := r.doubt(p50); doubt != "" && r.OK {
		r.Hints = append(r.Hints, doubt)
	}
	if p50 > slowSync {
		r.Hints = append(r.Hints, fmt.Sprintf("A sync takes %v: each producer that posts single events waits that long for an answer.", p50))
	}
}

// print writes the report for people, to be attached to a ticket.
func (r *selfReport) print(w io.Writer) error {
	_, err := fmt.Fprintf(w, `Sluice %s, %s, %d processors, %s
Folder         %s
File system    %s, %s free
Sync of 4 KiB  p50 %d µs, p99 %d µs, longest %d µs (%d syncs)
In a row       %.0f MB/s
Log            %d events written (%.0f/s, one producer), %d read back unchanged
`, r.Program, r.System, r.Processors, r.At.Format(time.RFC3339), r.Data, r.words(), formatBytes(int64(r.Free)),
		r.Sync.P50, r.Sync.P99, r.Sync.Max, r.Sync.Count, r.Stream, r.Engine.Events, r.Engine.PerSecond, r.Engine.ReadBack)
	for _, h := range r.Hints {
		if err == nil {
			_, err = fmt.Fprintf(w, "\n%s\n", h)
		}
	}
	if err == nil && len(r.Hints) == 0 {
		_, err = fmt.Fprintln(w, "\nNothing found that speaks against this disk.")
	}
	return err
}
