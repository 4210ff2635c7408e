package deliver

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// bucket is a destination in memory that keeps objects. Its receiver's rules
// decide about a Put (with no events) as they do about a Send.
type bucket struct {
	*receiver
	t       *testing.T
	limits  destination.ObjectLimits
	objects map[string][]string // ids by key; guarded by the receiver's lock
	held    map[string]bool     // ids
	missing map[string]bool     // ids that an object had and had no more when it was tried again
	puts    int
	encode  time.Duration // that an event takes
	hooks   map[string]func(ctx context.Context)
	prefix  string // of keys
	deny    string // keys that begin with it are refused; "" for none
	lies    bool   // what is refused is stored nevertheless
}

var _ destination.ObjectStore = (*bucket)(nil)

func (b *bucket) ObjectLimits() destination.ObjectLimits {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.limits
}

func (b *bucket) cutBy(l destination.ObjectLimits) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limits = l
}

func (b *bucket) Version() int { return 1 }

func (b *bucket) Encoder(version int, w io.Writer) (destination.ObjectEncoder, error) {
	if version != 1 {
		return nil, fmt.Errorf("version %d is not known", version)
	}
	return &lines{w: w, each: b.encode}, nil
}

func (b *bucket) Key(n destination.ObjectName) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.prefix + fmt.Sprintf("%s/%s-%d-%s-%06d-%06d%s", n.Accepted.UTC().Format("15:04"), n.Log[:4], n.Stream, n.Partition, n.First, n.Last, n.Variant)
}

func (b *bucket) Put(ctx context.Context, o *destination.Object) (existed bool, err *destination.Error) {
	b.call(ctx, "before")
	ids := b.read(o)
	if wait, late := b.pace(); late > 0 && interrupted(ctx, wait) {
		time.AfterFunc(late, func() { b.store(o.Key, ids) })
		return false, &destination.Error{Class: destination.Unavailable, Message: "interrupted"}
	}
	existed, err = b.store(o.Key, ids)
	if err == nil {
		b.call(ctx, "after")
	}
	if ctx.Err() != nil {
		return false, &destination.Error{Class: destination.Unavailable, Message: "interrupted"}
	}
	return existed, err
}

// hook sets what is called "before" or "after" an object is stored.
func (b *bucket) hook(at string, f func(ctx context.Context)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hooks = map[string]func(ctx context.Context){at: f}
}

func (b *bucket) call(ctx context.Context, at string) {
	b.mu.Lock()
	f := b.hooks[at]
	b.mu.Unlock()
	if f != nil {
		f(ctx)
	}
}

// pace returns how long a Put takes, and how long after one that was cut off its
// object is stored all the same.
func (b *bucket) pace() (wait, late time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.delay, b.late
}

func (b *bucket) store(key string, ids []string) (existed bool, err *destination.Error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.puts++
	if b.deny != "" && strings.HasPrefix(key, b.deny) {
		if b.lies && b.objects[key] == nil {
			b.keep(key, ids)
		}
		return false, &destination.Error{Class: destination.Misconfigured, Status: 403, Message: "not allowed", NothingStored: true}
	}
	glitch := b.glitches > 0
	b.glitches = max(0, b.glitches-1)
	if b.refuse != nil {
		if err := b.refuse(nil); err != nil {
			return false, err
		}
	}
	old, existed := b.objects[key]
	if !existed {
		b.keep(key, ids)
	} else {
		b.compare(key, ids, old)
	}
	if glitch {
		return false, &destination.Error{Class: destination.Unavailable, Message: "connection lost"}
	}
	return existed, nil
}

// compare holds that an object that is tried again is as before, but for events that
// may have gone from the log. It is locked.
func (b *bucket) compare(key string, ids, old []string) {
	rest := ids
	for _, id := range old {
		if len(rest) > 0 && rest[0] == id {
			rest = rest[1:]
		} else {
			b.missing[id] = true
		}
	}
	if len(rest) > 0 {
		b.t.Errorf("object %s: got %q, want %q as before", key, ids, old)
	}
}

// keep is locked.
func (b *bucket) keep(key string, ids []string) {
	b.objects[key] = ids
	b.got = append(b.got, ids...)
	for _, id := range ids {
		b.held[id] = true
	}
}

// read returns the ids in an object, and looks at what it says about itself.
func (b *bucket) read(o *destination.Object) []string {
	content := make([]byte, o.Size)
	if _, err := io.ReadFull(io.NewSectionReader(o.Content, 0, o.Size), content); err != nil {
		b.t.Errorf("content of %s: got %v, want %d bytes", o.Key, err, o.Size)
	}
	if sha256.Sum256(content) != o.SHA256 {
		b.t.Errorf("content of %s: got another sum than announced", o.Key)
	}
	var ids []string
	for s := bufio.NewScanner(bytes.NewReader(content)); s.Scan(); {
		var e struct{ ID string }
		if err := json.Unmarshal(s.Bytes(), &e); err != nil {
			b.t.Errorf("line of %s: got %q, want JSON", o.Key, s.Text())
		}
		ids = append(ids, e.ID)
	}
	if len(ids) == 0 || len(ids) != o.Count || ids[0] != o.FirstID || ids[len(ids)-1] != o.LastID {
		b.t.Errorf("%s: got %d events %q, want %d from %s to %s", o.Key, len(ids), ids, o.Count, o.FirstID, o.LastID)
	}
	return ids
}

// sizes returns how many events the objects hold, in the order of their keys.
func (b *bucket) sizes() []int {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []int
	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		out = append(out, len(b.objects[key]))
	}
	return out
}

// once fails the test when an event lies in the bucket twice.
func (b *bucket) once() {
	b.t.Helper()
	got := b.received()
	slices.Sort(got)
	if n := len(slices.Compact(slices.Clone(got))); n != len(got) {
		b.t.Errorf("bucket: got %d events, %d different ones, want each once", len(got), n)
	}
}

func (b *bucket) expect(sizes ...int) {
	b.t.Helper()
	if got := b.sizes(); !slices.Equal(got, sizes) {
		b.t.Errorf("events in objects: got %v, want %v", got, sizes)
	}
	b.once()
}

// lines is an encoder of plain lines.
type lines struct {
	w    io.Writer
	n    int64
	each time.Duration
}

func (l *lines) Add(e *destination.Event) error {
	if l.each > 0 {
		time.Sleep(l.each) // simulated
	}
	n, err := l.w.Write(append(slices.Clone(e.Payload), '\n'))
	l.n += int64(n)
	return err
}

func (l *lines) Written() int64 { return l.n }
func (l *lines) Close() error   { return nil }

// bucket adds a stream to a bucket that starts now.
func (w *world) bucket(id sluice.StreamID, namespace string, change ...func(*Stream)) *bucket {
	w.t.Helper()
	return w.bucketBy(id, namespace, w.emptyBucket().limits, change...)
}

// bucketBy is bucket with other limits of objects, from the beginning on.
func (w *world) bucketBy(id sluice.StreamID, namespace string, limits destination.ObjectLimits, change ...func(*Stream)) *bucket {
	w.t.Helper()
	b := w.emptyBucket()
	b.limits = limits
	w.stream(id, namespace, append(change, func(s *Stream) {
		b.receiver = w.dests[id]
		s.Open = func() (destination.Destination, error) { return b, nil }
	})...)
	return b
}

// emptyBucket returns a bucket without a stream: its receiver has to be set.
func (w *world) emptyBucket() *bucket {
	return &bucket{t: w.t, objects: map[string][]string{}, held: map[string]bool{}, missing: map[string]bool{},
		limits: destination.ObjectLimits{Bytes: 1 << 20, Events: 100, Age: time.Minute}}
}

// killer ends the process at a moment that a hook finds.
type killer struct {
	w    *world
	once sync.Once
	hit  chan struct{}
}

func (w *world) killer() *killer { return &killer{w: w, hit: make(chan struct{})} }

// hook makes this moment the last one of which anything is durable, and blocks
// until the process has ended.
func (k *killer) hook(ctx context.Context) {
	k.once.Do(func() {
		k.w.full.Store(true)
		close(k.hit)
	})
	<-ctx.Done()
}

// finish ends the process and starts it again.
func (k *killer) finish() {
	kept := k.w.store.Snapshot()
	k.w.stop()
	k.w.full.Store(false)
	k.w.use(kept)
	k.w.start()
}
