//go:build linux

package powercut_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/bench/fault"
	"github.com/sluicelog/sluice/bench/mutant"
	"github.com/sluicelog/sluice/bench/oracle"
	"github.com/sluicelog/sluice/bench/powercut"
	"github.com/sluicelog/sluice/bench/server"
	"github.com/sluicelog/sluice/client"
)

var (
	retentionFlag = flag.Bool("retention", false, "when the log has filled the disk, wait until retention gives space back, some two minutes")
	grownFlag     = flag.String("grown", "", "the server whose log fills the disk; built when it is not given")
)

const smallDisk = 128 << 20 // bytes: some 40 MiB of log above the floor

// TestLogFillsDisk lets the log itself fill the disk, which retention may not empty
// since a stream is paused. When that goes on, retention gives the space back, and
// events are accepted again, without a restart.
func TestLogFillsDisk(t *testing.T) {
	t.Parallel()
	record := fault.Record{
		Drill:   "Log fills disk",
		What:    "The log grows until the disk is full, and retention may not remove anything since a stream is paused. Posts are refused with 507 at the floor of free space, not before and not long after, and nearly all of it stays free; all else goes on, also after a kill, and what was delivered before that does not come again. When the stream is resumed it gets everything, and in a long run retention gives the space back then and events are accepted again.",
		Command: "go test ./bench/powercut -run 'TestLogFillsDisk$' -args -retention",
	}
	fault.Keep(t, func() fault.Record { return record })
	if err := powercut.Allowed(); err != nil {
		record.Skipped = err.Error()
		t.Skip(err)
	}
	dir := t.TempDir()
	d, err := powercut.New(t.Context(), dir, smallDisk)
	if err != nil {
		t.Fatal(err)
	}
	binary := *grownFlag
	if binary == "" {
		binary = mutant.Test(t, nil)
	}
	g := newGrowth(t, d, server.Config{Binary: binary, Data: filepath.Join(d.Path(), "data"), Log: filepath.Join(dir, "server.log"), Args: []string{"--retention-bytes-audit", "12MiB"}})
	err = errors.Join(g.play(t.Context()), g.Kill(), d.Close())
	if err != nil {
		words := g.Log()
		t.Errorf("%v\nthe server's last words: %s", err, words[max(0, len(words)-3000):])
		record.Findings = []string{err.Error()}
	}
	record.Faults = []fault.Count{{Name: "full disks", Count: 1}, {Name: "kills", Count: 1}}
	record.Judged = []fault.Count{{Name: "posts refused", Count: int64(g.refused)}, {Name: "acknowledged events", Count: int64(len(g.acked))}, {Name: "streams", Count: 2}}
}

// growth is the server with its two streams, and what is known of events.
type growth struct {
	*server.Server
	disk         *powercut.Disk
	receiver     *httptest.Server
	paused, busy sluice.StreamID

	made, refused int
	acked         map[string]bool
	never         map[string]bool // ids of posts that were refused

	mu  sync.Mutex
	got map[string]map[string]bool // ids, types and their targets by path
	// again counts what came to a path more than once.
	again map[string]int
}

func newGrowth(t *testing.T, d *powercut.Disk, c server.Config) *growth {
	t.Helper()
	g := &growth{disk: d, again: map[string]int{}, acked: map[string]bool{}, never: map[string]bool{}, got: map[string]map[string]bool{"/busy": {}, "/paused": {}}}
	var err error
	if g.Server, err = server.New(c); err != nil {
		t.Fatal(err)
	}
	g.receiver = httptest.NewServer(http.HandlerFunc(g.receive))
	t.Cleanup(func() {
		g.receiver.Close()
		_ = g.Close() // it is over
	})
	return g
}

func (g *growth) receive(_ http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // what is cut off comes again
	g.mu.Lock()
	defer g.mu.Unlock()
	for line := range strings.Lines(string(body)) {
		var e struct {
			ID     string `json:"id"`
			Type   string `json:"event_type"`
			Target any    `json:"target_id"`
		}
		if json.Unmarshal([]byte(line), &e) == nil {
			if g.got[r.URL.Path][e.ID] {
				g.again[r.URL.Path]++
			}
			g.got[r.URL.Path][e.ID] = true
			g.got[r.URL.Path][e.Type] = true
			g.got[r.URL.Path][fmt.Sprintf("%s %v", e.Type, e.Target)] = true
		}
	}
}

func (g *growth) has(path, id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.got[path][id]
}

// start starts the server and waits until it answers: it is not ready on a full disk.
func (g *growth) start(ctx context.Context) error {
	if err := g.Launch(ctx); err != nil {
		return err
	}
	return await(ctx, "the server to answer", func(ctx context.Context) error {
		_, err := g.Admin.Streams(ctx, nil)
		return err
	})
}

// await tries again until try returns nil, for long: retention looks each minute.
func await(ctx context.Context, what string, try func(context.Context) error) error {
	return server.Await(ctx, 200*time.Second, what, try)
}

// post posts so many events that no compression makes smaller. It reports whether
// they were refused for want of space.
func (g *growth) post(ctx context.Context, events int) (full bool, err error) {
	var ids []string
	var body strings.Builder
	noise := make([]byte, 4<<10)
	for range events {
		g.made++
		for i := range noise {
			noise[i] = byte(rand.Uint32())
		}
		ids = append(ids, fmt.Sprintf("g%d", g.made))
		fmt.Fprintf(&body, `{"id":"g%d","event_type":"user.add","entity_path":"acme/web","noise":"%s"}`+"\n", g.made, hex.EncodeToString(noise))
	}
	_, err = g.Admin.PostEvents(ctx, []byte(body.String()), "")
	fate := g.acked
	if e, ok := errors.AsType[*client.Error](err); ok && e.Status == http.StatusInsufficientStorage {
		fate, full, err = g.never, true, nil
		g.refused++
	}
	for _, id := range ids {
		fate[id] = true
	}
	return full, err
}

func (g *growth) play(ctx context.Context) error {
	if err := errors.Join(g.start(ctx), g.streams(ctx)); err != nil {
		return err
	}
	if err := g.whileFull(ctx, "before"); err != nil {
		return err
	}
	server.Pause(ctx, 2*time.Second) // until the cursor is stored
	if err := errors.Join(g.Kill(), g.start(ctx)); err != nil {
		return err
	}
	if err := g.whileFull(ctx, "after"); err != nil {
		return fmt.Errorf("after a kill: %w", err)
	}
	if err := g.remembered(); err != nil {
		return err
	}
	if err := g.Admin.ResumeStream(ctx, g.paused); err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	if *retentionFlag {
		if err := await(ctx, "events to be accepted again", func(ctx context.Context) error {
			full, err := g.post(ctx, batch)
			if full {
				err = errors.New("507")
			}
			return err
		}); err != nil {
			return err
		}
	}
	return g.judge(ctx)
}

func (g *growth) streams(ctx context.Context) error {
	for path, id := range map[string]*sluice.StreamID{"/busy": &g.busy, "/paused": &g.paused} {
		active := path == "/busy"
		config := fmt.Sprintf(`{"url":"%s%s","format":"ndjson"}`, g.receiver.URL, path)
		v, err := g.Admin.CreateStream(ctx, client.StreamSpec{Name: path[1:], Kind: "http", Config: json.RawMessage(config), Start: "earliest", Active: &active})
		if err != nil {
			return err
		}
		*id = v.ID
	}
	return nil
}

// delivered holds that a stream has delivered everything.
func (g *growth) delivered(ctx context.Context, id sluice.StreamID, path string) error {
	v, err := g.Admin.Stream(ctx, id)
	if err != nil {
		return err
	}
	if l := v.Ledger; l.Pending > 0 || l.Expired > 0 || l.Accepted != l.Delivered || int(l.Accepted) < len(g.acked) {
		return fmt.Errorf("%s: %+v, with %d events acknowledged", v.Name, l, len(g.acked))
	}
	for id := range g.acked {
		if !g.has(path, id) {
			return fmt.Errorf("%s: event %s did not arrive", v.Name, id)
		}
	}
	return nil
}

func (g *growth) judge(ctx context.Context) error {
	for path, id := range map[string]sluice.StreamID{"/busy": g.busy, "/paused": g.paused} {
		if err := await(ctx, "deliveries", func(ctx context.Context) error { return g.delivered(ctx, id, path) }); err != nil {
			return err
		}
		for id := range g.never {
			if g.has(path, id) {
				return fmt.Errorf("event %s arrived, and its post was refused for want of space", id)
			}
		}
		if err := await(ctx, "the log to tell of the resumption", func(ctx context.Context) error {
			if !g.has(path, "stream.resume") {
				return errors.New("it has not come to " + path)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	if *retentionFlag {
		return nil // which took some of the events that were accepted
	}
	return await(ctx, "the search", g.searched)
}

// searched holds that the search finds every event that was accepted, once.
func (g *growth) searched(ctx context.Context) error {
	times := map[string]int{}
	wrong := oracle.Found(ctx, g.Admin, "-action:stream", func(e *client.FoundEvent) {
		var event struct {
			ID string `json:"id"`
		}
		_ = json.Unmarshal(e.Event, &event) // what has no id is found by nobody below
		times[event.ID]++
	})
	for id := range g.acked {
		if times[id] != 1 {
			wrong = append(wrong, fmt.Sprintf("event %s is found %d times", id, times[id]))
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d findings, the first: %s", len(wrong), wrong[0])
	}
	return nil
}
