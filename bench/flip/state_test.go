package flip

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/deliver"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/secret"
	"github.com/sluicelog/sluice/segment"
	"github.com/sluicelog/sluice/sqlite"
	"github.com/sluicelog/sluice/store"
)

const segmentSize = 4 << 20 // bytes, as the server is told

// state is one of the two folders of data of a sample, with what is true of it.
// Nothing changes it: all is tried on copies.
type state struct {
	dir      string
	id       eventlog.LogID
	anchors  map[string]eventlog.Anchor
	floors   map[string]eventlog.Floor
	records  []store.Record // of control.db, its write-ahead log included
	older    [][]store.Record
	sealed   string // by the key file's current key
	parts    map[string]*part
	sound    *openLog // of a copy, for searches
	soundDir string   // and what begins with its name
}

// part is what a partition holds.
type part struct {
	places []place // the blocks, oldest first
	events []event // events[i] has the number i+1
	files  []string
	totals map[string]uint64
}

// place is where a block lies.
type place struct {
	file         string // name in the partition's folder
	offset, size int64
	directory    int64 // its size
	first, last  uint64
}

func (p *place) end() int64 { return p.offset + p.size }

// event is all that the log says about an event.
type event struct {
	payload                string
	source, kind, path, id string
	top                    string
	at, accepted           int64
}

func last(p *part) uint64 { return uint64(len(p.events)) }

// openState reads a folder of data that nobody has damaged.
func openState(ctx context.Context, dir string) (*state, error) {
	st := &state{dir: dir, soundDir: fmt.Sprintf("%s-sound-%d", dir, os.Getpid()), parts: map[string]*part{}}
	if err := os.RemoveAll(st.soundDir); err != nil {
		return nil, err
	}
	if err := copyAll(dir, st.soundDir); err != nil {
		return nil, err
	}
	if err := st.readControl(ctx); err != nil {
		return nil, err
	}
	ring, err := secret.OpenKeyFile(filepath.Join(st.soundDir, keyFile))
	if err != nil {
		return nil, err
	}
	st.sealed = ring.Seal([]byte(poison), keyFile)
	if err := st.readLog(ctx); err != nil {
		return nil, err
	}
	if st.sound, err = st.openLog(ctx, st.soundDir); err != nil {
		return nil, err
	}
	return st, errors.Join(st.readEvents(ctx), st.makeIndex(ctx), st.readOlder(ctx))
}

// close ends what openState began and removes its copies.
func (st *state) close() error {
	err := st.sound.close()
	for _, end := range []string{"", "-index", "-older"} {
		err = errors.Join(err, os.RemoveAll(st.soundDir+end))
	}
	return err
}

// Names in a folder of data.
const (
	keyFile     = "sluice.key"
	controlFile = "control.db"
)

// readControl reads what the server would, before it opens the log.
func (st *state) readControl(ctx context.Context) error {
	db, err := sqlite.OpenStore(filepath.Join(st.soundDir, controlFile), sqlite.Options{})
	if err != nil {
		return err
	}
	if st.records, err = list(ctx, db); err == nil {
		st.floors, err = deliver.Floors(ctx, db)
	}
	st.anchors = map[string]eventlog.Anchor{}
	for _, r := range st.records {
		if name, ok := strings.CutPrefix(r.Key, "anchor/"); ok {
			var a eventlog.Anchor
			err = errors.Join(err, json.Unmarshal(r.Value, &a))
			st.anchors[name] = a
		}
		if r.Key == "log" {
			var v struct {
				ID string `json:"id"`
			}
			err = errors.Join(err, json.Unmarshal(r.Value, &v))
			id, bad := hex.DecodeString(v.ID)
			err = errors.Join(err, bad)
			copy(st.id[:], id)
		}
	}
	if st.id == (eventlog.LogID{}) || len(st.anchors) == 0 {
		err = errors.Join(err, errors.New("the control state names no log, or no anchor"))
	}
	return errors.Join(err, db.Close())
}

// list returns all records of a store.
func list(ctx context.Context, db store.Store) (records []store.Record, err error) {
	for r, err := range db.List(ctx, "") {
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, nil
}

// readLog finds the blocks.
func (st *state) readLog(ctx context.Context) error {
	engine, err := segment.Open(filepath.Join(st.dir, "log"), segment.Options{Log: st.id, ReadOnly: true})
	if err != nil {
		return err
	}
	names, err := engine.Partitions(ctx)
	for _, name := range names {
		p, codecs := &part{totals: map[string]uint64{}}, map[eventlog.Codec]int{}
		st.parts[name] = p
		err = errors.Join(err, engine.Walk(ctx, name, func(piece segment.Piece) error {
			if piece.Damage != nil {
				return fmt.Errorf("the sample is damaged: %v", piece.Damage)
			}
			h := &piece.Header
			codecs[h.Codec]++
			p.places = append(p.places, place{piece.File, piece.Offset, piece.Size, int64(h.DirLen), h.First, h.Last()})
			if !slices.Contains(p.files, piece.File) {
				p.files = append(p.files, piece.File)
			}
			return nil
		}))
		if len(p.files) < 3 {
			err = errors.Join(err, fmt.Errorf("partition %s has %d files, want at least two closed ones and an open one", name, len(p.files)))
		}
		if codecs[eventlog.S2] == 0 || codecs[eventlog.Zstd] == 0 {
			err = errors.Join(err, fmt.Errorf("partition %s has blocks by codec %v, want some of S2 and of Zstandard", name, codecs))
		}
	}
	return errors.Join(err, engine.Close())
}

// readEvents reads all events.
func (st *state) readEvents(ctx context.Context) error {
	for name, p := range st.parts {
		err := st.sound.each(ctx, name, 1, math.MaxUint64, func(seq uint64, e event) error {
			if seq != last(p)+1 {
				return fmt.Errorf("event %d of %s follows event %d", seq, name, last(p))
			}
			p.events = append(p.events, e)
			return nil
		})
		if err != nil {
			return err
		}
		_, p.totals = st.sound.log.Totals(name)
	}
	return nil
}

// openLog is a log that runs.
type openLog struct {
	log  *eventlog.Log
	end  context.CancelFunc
	done chan error
}

// openLog opens the log in a copy of the data, as the server does.
func (st *state) openLog(ctx context.Context, dir string) (*openLog, error) {
	engine, err := segment.Open(filepath.Join(dir, "log"), segment.Options{SegmentSize: segmentSize, Log: st.id, FS: quick{segment.OS()}})
	if err != nil {
		return nil, err
	}
	log, err := eventlog.Open(ctx, engine, eventlog.Options{ID: st.id, Anchors: st.anchors, Floors: st.floors})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	o := &openLog{log: log, end: cancel, done: make(chan error, 1)}
	go func() { o.done <- log.Run(ctx) }()
	return o, nil
}

func (o *openLog) close() error {
	o.end()
	return errors.Join(<-o.done, o.log.Close())
}

// each reads the blocks of a partition that begin from one number on and before
// another.
func (o *openLog) each(ctx context.Context, partition string, from, to uint64, do func(seq uint64, e event) error) error {
	r := o.log.Reader(partition)
	for seq := from; seq < to; {
		b, err := r.Next(ctx, seq)
		if errors.Is(err, io.EOF) || err == nil && b.First >= to {
			return nil
		}
		if err == nil {
			err = r.Load(b)
		}
		if err != nil {
			return fmt.Errorf("read %s from %d on: %w", partition, seq, err)
		}
		for i := range b.Entries {
			payload, err := b.Payload(i)
			if err == nil {
				err = do(b.First+uint64(i), describe(&b.Header, b.Directory, i, payload))
			}
			if err != nil {
				return err
			}
		}
		seq = b.Last() + 1
	}
	return nil
}

// describe takes an event from a block.
func describe(h *eventlog.Header, d *eventlog.Directory, i int, payload []byte) event {
	e := &d.Entries[i]
	ns := d.Namespaces[e.Namespace]
	return event{
		payload: string(payload), source: d.Sources[e.Source], kind: d.Types[e.Type].Name, path: ns.Path, top: sluice.TopLevel(ns.Folded),
		id: string(payload[e.IDOffset : e.IDOffset+uint32(e.IDLen)]), at: e.Time, accepted: h.Accepted.UnixMicro(),
	}
}

// quick is a file system that does not sync: nothing loses power here.
type quick struct{ segment.FS }

func (q quick) Open(name string, write bool) (segment.File, error) {
	f, err := q.FS.Open(name, write)
	return quickFile{f}, err
}

func (q quick) Create(name string) (segment.File, error) {
	f, err := q.FS.Create(name)
	return quickFile{f}, err
}

func (q quick) SyncDir(string) error { return nil }

func (q quick) MkdirAll(dir string) error { return os.MkdirAll(dir, 0o700) }

type quickFile struct{ segment.File }

func (quickFile) Sync() error { return nil }
func (quickFile) Uncache()    {}

// copyOf makes dir a copy of some of the state's files: those whose names begin
// with one of the given. Segments that are closed are linked, unless they are the
// one that is changed: nobody may write to them.
func (st *state) copyOf(dir, changed string, beginnings ...string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return filepath.WalkDir(st.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(st.dir, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, name)
		wanted := slices.ContainsFunc(beginnings, func(b string) bool { return strings.HasPrefix(name, b) })
		switch {
		case d.IsDir():
			return os.MkdirAll(to, 0o700)
		case !wanted:
			return nil
		case name != changed && st.closed(name):
			return os.Link(path, to)
		}
		return copyFile(path, to)
	})
}

// closed reports whether a file is a segment behind which another begins.
func (st *state) closed(name string) bool {
	folder, file := filepath.Split(name)
	p := st.parts[filepath.Base(folder)]
	return strings.HasPrefix(name, "log/") && p != nil && slices.Contains(p.files, file) && file != p.files[len(p.files)-1]
}

func copyFile(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	w, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = io.Copy(w, r)
		err = errors.Join(err, w.Close())
	}
	return errors.Join(err, r.Close())
}
