package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/segment"
	"github.com/sluicelog/sluice/sqlite"
)

// storedLog is a log opened for reading beside the server that may write it.
type storedLog struct {
	dir     string
	engine  *segment.Engine
	id      eventlog.LogID
	earlier []eventlog.LogID
	anchors map[string]eventlog.Anchor
	notes   []string // what could not be had
	rereads int      // of blocks that did not verify
}

// A block that does not verify is read again, so often in all: it may be the newest,
// which the server beside is just writing.
const (
	maxRereads  = 10
	rereadPause = 10 * time.Millisecond
	// endTries is how often a partition is walked again for what is wrong at its end.
	endTries = 3
)

// block reads and verifies a block. What cannot be read for good is damage; err is
// another one.
func (l *storedLog) block(p *segment.Piece) (raw []byte, b *eventlog.Block, damage, err error) {
	for ; ; l.rereads++ {
		raw = make([]byte, p.Header.Size())
		if _, damage = p.ReadAt(raw, 0); damage == nil || errors.Is(damage, io.EOF) {
			if b, damage = eventlog.ParseBlock(raw); damage == nil {
				damage = eventlog.VerifyBlock(raw)
			}
		} else if !errors.Is(damage, eventlog.ErrDamaged) {
			return nil, nil, nil, damage
		}
		if damage == nil || l.rereads >= maxRereads {
			return raw, b, damage, nil
		}
		time.Sleep(rereadPause)
	}
}

// openStoredLog opens the log in a data folder for reading only. Without the
// control state there are no anchors, and the log's identity is taken from its
// first block.
func openStoredLog(ctx context.Context, data string) (*storedLog, error) {
	l, err := findLog(data)
	if err != nil {
		return nil, err
	}
	if err := l.readControl(ctx, filepath.Join(data, controlFile)); err != nil {
		l.notes = append(l.notes, fmt.Sprintf("no anchors: %v", err))
		if err := l.guessIdentity(); err != nil {
			return nil, err
		}
	}
	return l, l.open()
}

// openLogOf is openStoredLog for who has a copy of the control state.
func openLogOf(ctx context.Context, data, control string) (*storedLog, error) {
	l, err := findLog(data)
	if err != nil {
		return nil, err
	}
	if err := l.readControl(ctx, control); err != nil {
		return nil, err
	}
	return l, l.open()
}

func findLog(data string) (*storedLog, error) {
	l := &storedLog{dir: filepath.Join(data, logFolder), anchors: map[string]eventlog.Anchor{}}
	if _, err := os.Stat(l.dir); err != nil {
		return nil, fmt.Errorf("there is no log in %s: %w", data, err)
	}
	return l, nil
}

// open opens the log by the identities that are known.
func (l *storedLog) open() (err error) {
	l.engine, err = segment.Open(l.dir, segment.Options{Log: l.id, Earlier: l.earlier, ReadOnly: true})
	return err
}

func (l *storedLog) readControl(ctx context.Context, path string) error {
	recs, err := sqlite.Peek(ctx, path, identityKey)
	if err != nil {
		return err
	}
	for _, r := range recs {
		if r.Key == identityKey {
			var v identity
			if err := json.Unmarshal(r.Value, &v); err != nil {
				return err
			}
			if l.id, l.earlier, err = v.ids(); err != nil {
				return err
			}
		}
	}
	if l.id == (eventlog.LogID{}) {
		return errors.New("the control state names no log")
	}
	recs, err = sqlite.Peek(ctx, path, anchorPrefix)
	if err != nil {
		return err
	}
	for _, r := range recs {
		var a eventlog.Anchor
		if err := json.Unmarshal(r.Value, &a); err != nil {
			return fmt.Errorf("read %s: %w", r.Key, err)
		}
		l.anchors[strings.TrimPrefix(r.Key, anchorPrefix)] = a
	}
	return nil
}

// guessIdentity takes the log's identities from the first blocks of its files.
func (l *storedLog) guessIdentity() error {
	err := filepath.WalkDir(l.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		head := make([]byte, eventlog.HeaderSize)
		_, err = io.ReadFull(f, head)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil //nolint:nilerr // too short to hold a block
		}
		h, err := eventlog.ParseHeader(head)
		if err == nil && h.Log != l.id && !slices.Contains(l.earlier, h.Log) {
			l.earlier = append(l.earlier, h.Log)
			l.id = h.Log
		}
		return nil
	})
	if err == nil && l.id == (eventlog.LogID{}) {
		err = errors.New("the log's identity cannot be told: neither control state nor a readable block")
	}
	return err
}

// partitions returns those that the options name.
func (l *storedLog) partitions(ctx context.Context, o *logOptions) ([]string, error) {
	if o.Partition != "" {
		return []string{o.Partition}, nil
	}
	return l.engine.Partitions(ctx)
}

// verdict is what log verify found in one partition.
type verdict struct {
	Partition string          `json:"partition"`
	Blocks    int             `json:"blocks"`
	Events    uint64          `json:"events"`
	First     uint64          `json:"first_seq"`
	Last      uint64          `json:"last_seq"`
	Bytes     int64           `json:"bytes"`
	Damage    []finding       `json:"damage"`
	Gaps      []finding       `json:"recorded_gaps"` // skipped numbers that the log itself names
	Anchor    string          `json:"anchor"`        // "holds", "none", or what is wrong
	OK        bool            `json:"ok"`
	anchor    eventlog.Anchor // what is looked for
}

type finding struct {
	First uint64 `json:"first_seq"`
	Last  uint64 `json:"last_seq"`
	Where string `json:"where,omitempty"`
	Cause string `json:"cause"`
}

// logVerify checks checksums, order, chain and anchor of the stored log.
func logVerify(ctx context.Context, o logOptions, env *Env) error {
	l, err := openStoredLog(ctx, o.Data)
	if err != nil {
		return err
	}
	defer func() { _ = l.engine.Close() }() // opened for reading only
	names, err := l.partitions(ctx, &o)
	if err != nil {
		return err
	}
	var all []verdict
	ok := true
	for _, name := range names {
		v, err := l.settled(ctx, name, env)
		if err != nil {
			return err
		}
		ok = ok && v.OK
		all = append(all, v)
	}
	if o.JSON {
		err = writeJSON(env.Stdout, map[string]any{"ok": ok, "notes": l.notes, "partitions": all})
	} else {
		err = printVerdicts(env.Stdout, l.notes, all)
	}
	if err == nil && !ok {
		err = errors.New("the log is damaged; what is named above cannot be read, everything else can")
	}
	return err
}

func printVerdicts(w io.Writer, notes []string, all []verdict) error {
	var b strings.Builder
	for _, n := range notes {
		fmt.Fprintln(&b, "note:", n)
	}
	for _, v := range all {
		fmt.Fprintf(&b, "%s: %d events in %d blocks, %d to %d, %s; anchor: %s\n",
			v.Partition, v.Events, v.Blocks, v.First, v.Last, formatBytes(v.Bytes), v.Anchor)
		for _, g := range v.Gaps {
			fmt.Fprintf(&b, "  recorded gap: events %d to %d: %s\n", g.First, g.Last, g.Cause)
		}
		for _, d := range v.Damage {
			fmt.Fprintf(&b, "  DAMAGE: events %d to %d: %s (%s)\n", d.First, d.Last, d.Cause, d.Where)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// settled verifies a partition, and again when all that is wrong lies at its end: beside
// a server that is what was written while it was read.
func (l *storedLog) settled(ctx context.Context, name string, env *Env) (v verdict, err error) {
	for try := 0; ; try++ {
		v = verdict{Partition: name, Damage: []finding{}, Gaps: []finding{}, Anchor: "none", anchor: l.anchors[name]}
		err = l.verify(ctx, &v, env)
		if err != nil || v.OK || try == endTries || !v.atEnd() {
			return v, err
		}
		time.Sleep(rereadPause)
	}
}

// atEnd reports whether all damage lies behind the last good block.
func (v *verdict) atEnd() bool {
	return !slices.ContainsFunc(v.Damage, func(d finding) bool { return d.First != 0 && d.First <= v.Last })
}

// verify walks one partition.
func (l *storedLog) verify(ctx context.Context, v *verdict, env *Env) error {
	var prev *eventlog.Header // the block before, nil after damage
	var last eventlog.Header
	next := time.Now()
	err := l.engine.Walk(ctx, v.Partition, func(p segment.Piece) error {
		if env.Terminal && time.Now().After(next) {
			next = time.Now().Add(200 * time.Millisecond)
			_, _ = fmt.Fprintf(env.Stderr, "\r%s: %d events verified", v.Partition, v.Events)
		}
		where := fmt.Sprintf("%s at byte %d", p.File, p.Offset)
		if p.Damage != nil {
			v.Damage = append(v.Damage, finding{p.Damage.First, p.Damage.Last, p.Damage.Where, p.Damage.Cause})
			prev = nil
			return nil
		}
		h := p.Header
		block, b, damage, err := l.block(&p)
		if err != nil {
			return err
		}
		switch {
		case damage != nil:
			v.Damage = append(v.Damage, finding{h.First, h.Last(), where, damage.Error()})
			prev = nil
			return nil
		case prev != nil && !eventlog.VerifyChain(prev.Chain, block):
			v.Damage = append(v.Damage, finding{h.First, h.Last(), where, "the chain is broken: a block before it was removed or replaced"})
		}
		v.count(&h, b, last.Last(), last.Count > 0)
		if v.anchor.Seq == h.Last() && string(h.Chain[:]) != string(v.anchor.Chain) {
			v.Anchor = "differs: the log was replaced or changed"
		} else if v.anchor.Seq == h.Last() {
			v.Anchor = "holds"
		}
		prev, last = &h, h
		return nil
	})
	if env.Terminal {
		_, _ = fmt.Fprint(env.Stderr, "\r\x1b[K")
	}
	v.judge()
	return err
}

// count adds a good block.
func (v *verdict) count(h *eventlog.Header, b *eventlog.Block, before uint64, follows bool) {
	if v.First == 0 {
		v.First = h.First
	}
	v.Blocks++
	v.Events += uint64(h.Count)
	v.Bytes += int64(h.Size())
	v.Last = h.Last()
	if m := b.Missing; m != nil {
		v.Gaps = append(v.Gaps, finding{First: m.First, Last: m.Last, Cause: m.Cause})
		return
	}
	if follows && h.First != before+1 && len(v.Damage) == 0 {
		v.Damage = append(v.Damage, finding{before + 1, h.First - 1, "", "numbers are missing and nothing says why"})
	}
}

// judge compares the end with the anchor.
func (v *verdict) judge() {
	if v.anchor.Seq > v.Last {
		v.Anchor = fmt.Sprintf("the log ends at %d, the anchor at %d", v.Last, v.anchor.Seq)
		v.Damage = append(v.Damage, finding{v.Last + 1, v.anchor.Seq, "", "the end of the log is missing"})
	} else if v.anchor.Seq > 0 && v.Anchor == "none" {
		v.Anchor = fmt.Sprintf("block that ends with event %d is not there", v.anchor.Seq)
		if v.anchor.Seq < v.First {
			v.Anchor = "older than the oldest block"
		}
	}
	v.OK = len(v.Damage) == 0 && (v.Anchor == "holds" || v.Anchor == "none" || v.anchor.Seq < v.First)
}

// catLine is an event as log cat --json prints it.
type catLine struct {
	Partition string          `json:"partition"`
	Seq       uint64          `json:"seq"`
	Accepted  time.Time       `json:"accepted_at"`
	Source    string          `json:"source"`
	Event     json.RawMessage `json:"event"`
}

// logCat prints stored events, one a line.
func logCat(ctx context.Context, o logOptions, env *Env) error {
	l, err := openStoredLog(ctx, o.Data)
	if err != nil {
		return err
	}
	defer func() { _ = l.engine.Close() }() // opened for reading only
	names, err := l.partitions(ctx, &o)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(env.Stdout, 1<<16)
	lost := 0
	for _, name := range names {
		n, err := l.cat(ctx, name, &o, out, env)
		if err != nil {
			return errors.Join(err, out.Flush())
		}
		lost += n
	}
	err = out.Flush()
	if err == nil && lost > 0 {
		err = fmt.Errorf("%d ranges of events cannot be read: see above", lost)
	}
	return err
}

// cat prints the events of a partition, and on standard error which cannot be read. It
// returns how many ranges of these there are. What is wrong at the end is looked at
// again, as by settled.
func (l *storedLog) cat(ctx context.Context, name string, o *logOptions, out *bufio.Writer, env *Env) (lost int, err error) {
	c := catting{storedLog: l, name: name, options: o, out: out, stderr: env.Stderr}
	for try := 0; ; try++ {
		c.end = nil
		if err := l.engine.Walk(ctx, name, c.piece); err != nil {
			return c.lost, err
		}
		if len(c.end) == 0 || try == endTries {
			return c.lost, c.tell()
		}
		time.Sleep(rereadPause)
	}
}

// catting is the state of cat in a partition.
type catting struct {
	*storedLog
	name    string
	options *logOptions
	out     *bufio.Writer
	stderr  io.Writer
	last    uint64            // number that was passed
	end     []eventlog.Damage // behind it
	lost    int               // ranges that were told
}

// tell says what cannot be read, of what lies behind the last good block.
func (c *catting) tell() error {
	for _, d := range c.end {
		c.lost++
		if _, err := fmt.Fprintf(c.stderr, "%s: %s\n", c.name, d); err != nil {
			return err
		}
	}
	c.end = nil
	return nil
}

func (c *catting) piece(p segment.Piece) error {
	h, o := p.Header, c.options
	if d := p.Damage; d != nil {
		if d.Last > c.last && o.wants(d.First, d.Last) {
			c.end = append(c.end, *d)
		}
		return nil
	}
	if h.Last() <= c.last {
		return nil // in another walk
	}
	if !o.wants(h.First, h.Last()) || h.Accepted.Before(o.From.Time) || !o.To.Time.IsZero() && h.Accepted.After(o.To.Time) {
		return nil
	}
	_, b, damage, err := c.block(&p)
	if err != nil {
		return err
	}
	if damage == nil {
		damage = b.Load()
	}
	if damage != nil {
		c.end = append(c.end, eventlog.Damage{First: h.First, Last: h.Last(), Where: fmt.Sprintf("%s at byte %d", p.File, p.Offset), Cause: damage.Error()})
		return nil
	}
	if err := c.tell(); err != nil {
		return err
	}
	c.last = h.Last()
	return catBlock(c.name, b, o, c.out)
}

func catBlock(name string, b *eventlog.Block, o *logOptions, out *bufio.Writer) error {
	for i := range b.Entries {
		seq := b.First + uint64(i)
		if seq < o.From.Seq || o.To.Seq != 0 && seq > o.To.Seq {
			continue
		}
		payload, err := b.Payload(i)
		if err != nil {
			return err
		}
		line := payload
		if o.JSON {
			line, err = json.Marshal(catLine{name, seq, b.Accepted, b.Sources[b.Entries[i].Source], json.RawMessage(payload)})
			if err != nil {
				return err
			}
		}
		if _, err := out.Write(append(line[:len(line):len(line)], '\n')); err != nil {
			return err
		}
	}
	return nil
}
