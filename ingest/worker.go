package ingest

import (
	"context"
	"slices"
	"strconv"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
)

// workClasses say, by the size of a body, how many bytes of events a worker
// holds before they are appended, and so what it counts for. They are far apart
// and generous for usual events: only requests of more than 4 MiB, or of
// thousands of tiny events, are appended in pieces.
var workClasses = [3]struct{ body, memory int }{
	{body: 4 << 10, memory: 32 << 10},
	{body: 256 << 10, memory: 512 << 10},
	{body: maxInt, memory: 4 << 20},
}

const maxInt = int(^uint(0) >> 1)

// entryMemory is what a batch holds for an event beside its payload; it also
// bounds how many events, hence namespaces, a batch is given: 65,536.
const entryMemory = 64

// worker parses one request and holds its events. Workers are used again; those
// of a class hold no more than that class counts for.
type worker struct {
	scanner sluice.Scanner
	out     []byte                     // the event that was scanned last, then the answer
	batches [2]eventlog.Batch          // in the order of sluice.Classes
	byName  map[string]*eventlog.Batch // those that are not empty
	ids     idMaker
	source  string
	class   int
	share   *share
	limit   int // bytes of events and entries that the batches may hold

	body  []byte
	array bool // the body is a JSON array
	at    place
	full  bool // the batches are full, and the events from rest on are not in them
	rest  place
	used  int // bytes of events and entries in the batches
	bad   badEvents

	accepted, duplicates int
	last                 []lastSeq
}

// lastSeq is the highest number that a partition gave to events of the request.
type lastSeq struct {
	partition string
	seq       uint64
}

// hire gets a worker for a body of n bytes, and its part of the budget and of a
// tenant's share.
func (h *Handler) hire(ctx context.Context, of *share, n int) (*worker, error) {
	class := 0
	for n > workClasses[class].body {
		class++
	}
	if err := h.work.takeOf(ctx, of.work, workClasses[class].memory); err != nil {
		return nil, err
	}
	wk := h.workers[class].get()
	if wk.share = of; wk.byName == nil {
		wk.byName = make(map[string]*eventlog.Batch, len(wk.batches))
		wk.scanner.NewID = wk.ids.append
		wk.class, wk.limit = class, workClasses[class].memory
	}
	return wk, nil
}

// dismiss gives the worker and its share back.
func (h *Handler) dismiss(wk *worker) {
	wk.reset()
	wk.body, wk.array, wk.source, wk.bad, wk.last = nil, false, "", badEvents{}, wk.last[:0]
	wk.ids.key = wk.ids.key[:0]
	if cap(wk.out) > maxKeptEvent {
		wk.out = nil
	}
	of := wk.share
	wk.share = nil
	h.workers[wk.class].put(wk)
	h.work.giveOf(of.work, workClasses[wk.class].memory)
}

// maxKeptEvent is how large a worker's buffer for one event may be for keeps.
const maxKeptEvent = 64 << 10

// reset empties the batches.
func (wk *worker) reset() {
	for i := range wk.batches {
		wk.batches[i].Reset()
	}
	clear(wk.byName)
	wk.used, wk.full = 0, false
}

// begin makes the worker ready for a request.
func (wk *worker) begin(h *Handler, hd *head) {
	wk.scanner.MaxEvent, wk.scanner.TopLevel = h.opts.MaxEvent, hd.producer.Namespace
	wk.source = hd.producer.Source
	wk.accepted, wk.duplicates = 0, 0
	wk.ids.begin(h.ids, h.opts.Now, hd)
}

// keep adds an event to the batch of its class.
func (wk *worker) keep(env *sluice.Envelope) {
	i := 0
	if env.Class == sluice.Git {
		i = 1
	}
	wk.batches[i].Add(wk.out, env, wk.source)
	wk.used += len(wk.out) + entryMemory
	if wk.used >= wk.limit || wk.batches[i].Full() {
		wk.full = true
	}
}

// pending returns the batches that are not empty, by partition.
func (wk *worker) pending() map[string]*eventlog.Batch {
	for i, class := range [...]sluice.Class{sluice.Audit, sluice.Git} {
		if wk.batches[i].Len() > 0 {
			wk.byName[string(class)] = &wk.batches[i]
		}
	}
	return wk.byName
}

// add notes what became of the batches.
func (wk *worker) add(appended map[string]eventlog.Appended) {
	for partition, a := range appended {
		wk.accepted += a.Accepted
		wk.duplicates += a.Duplicates
		i := 0
		for i < len(wk.last) && wk.last[i].partition < partition {
			i++
		}
		if i == len(wk.last) || wk.last[i].partition != partition {
			wk.last = slices.Insert(wk.last, i, lastSeq{partition: partition})
		}
		wk.last[i].seq = max(wk.last[i].seq, a.Last)
	}
}

// answer returns the body of the answer. Names of partitions need no escapes.
func (wk *worker) answer() []byte {
	b := append(wk.out[:0], `{"accepted":`...)
	b = strconv.AppendInt(b, int64(wk.accepted), 10)
	b = append(b, `,"duplicates":`...)
	b = strconv.AppendInt(b, int64(wk.duplicates), 10)
	b = append(b, `,"last":{`...)
	for i, l := range wk.last {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), l.partition...), `":`...)
		b = strconv.AppendUint(b, l.seq, 10)
	}
	b = append(b, '}', '}', '\n')
	wk.out = b
	return b
}
