package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/segment"
	"github.com/sluicelog/sluice/segment/segmenttest"
)

var diskLog = eventlog.LogID{7}

// onDisk runs f against a server whose log is in segment files on the disk. It
// returns what ended the log.
func onDisk(t *testing.T, disk *segmenttest.Disk, f func(url string)) error {
	t.Helper()
	engine, err := segment.Open("log", segment.Options{SegmentSize: segment.MinSegmentSize, Log: diskLog, FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.Open(t.Context(), engine, eventlog.Options{ID: diskLog})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	server := httptest.NewServer(New(&memoryDoor{log: log}, Options{}))
	f(server.URL)
	server.Close()
	stop()
	err = <-done
	_ = log.Close() // the disk may be off
	return err
}

// postTo posts one event over a connection and returns the status.
func postTo(t *testing.T, url, id string) int {
	t.Helper()
	body := fmt.Sprintf(`{"id":%q,"event_type":"project_created","entity_path":"acme/web"}`, id)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+acmeToken)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // the status is what counts
	return resp.StatusCode
}

// answersAfterSync posts one event and reports whether the answer left only when
// a sync of the block had returned.
func answersAfterSync(t *testing.T, disk *segmenttest.Disk) bool {
	t.Helper()
	var writes, syncs atomic.Int64
	after := false
	err := onDisk(t, disk, func(url string) {
		postTo(t, url, "first") // makes the file
		disk.SetFault(func(op segmenttest.Op, _ string) error {
			switch op {
			case segmenttest.Write:
				writes.Add(1)
			case segmenttest.Sync:
				syncs.Store(writes.Load()) // it covers what was written before
			}
			return nil
		})
		if got := postTo(t, url, "second"); got != http.StatusOK {
			t.Errorf("status: got %d, want 200", got)
		}
		after = writes.Load() > 0 && syncs.Load() == writes.Load()
		disk.SetFault(nil)
	})
	if err != nil {
		t.Errorf("log: got %v, want nil", err)
	}
	return after
}

// survivors posts events until the power fails in the middle of one, and returns
// which of the acknowledged ones are there afterwards.
func survivors(t *testing.T, disk *segmenttest.Disk, cut int) (acknowledged, kept int) {
	t.Helper()
	var ids []string
	disk.StopAfter(cut)
	_ = onDisk(t, disk, func(url string) { // the log fails when the power does
		for i := range 40 {
			id := fmt.Sprintf("event-%d", i)
			if postTo(t, url, id) == http.StatusOK {
				ids = append(ids, id)
			}
		}
	})
	left := disk.Restart(segmenttest.Lose)
	engine, err := segment.Open("log", segment.Options{SegmentSize: segment.MinSegmentSize, Log: diskLog, FS: left})
	if err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.Open(t.Context(), engine, eventlog.Options{ID: diskLog})
	if err != nil {
		t.Fatal(err)
	}
	door := &memoryDoor{log: log}
	stored := strings.Join(door.stored(t, "audit"), "\n")
	for _, id := range ids {
		if strings.Contains(stored, `"`+id+`"`) {
			kept++
		}
	}
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	return len(ids), kept
}

func TestNoAnswerBeforeSync(t *testing.T) {
	if !answersAfterSync(t, segmenttest.NewDisk(1)) {
		t.Error("a 2xx left before the sync of its block returned")
	}
	total := 0
	for cut := 4; cut < 60; cut += 3 {
		acknowledged, kept := survivors(t, segmenttest.NewDisk(uint64(cut)), cut)
		if kept != acknowledged {
			t.Errorf("power cut after %d operations: %d of %d acknowledged events are left", cut, kept, acknowledged)
		}
		total += acknowledged
	}
	if total < 100 {
		t.Errorf("only %d events were acknowledged before the cuts: the test shows nothing", total)
	}
}

// The test above can fail: on a disk whose sync does nothing, it does.
func TestNoAnswerBeforeSyncSeesAMissingSync(t *testing.T) {
	disk := segmenttest.NewDisk(1)
	disk.Ignore(segmenttest.Sync)
	acknowledged, kept := survivors(t, disk, 50)
	if acknowledged == 0 || kept == acknowledged {
		t.Errorf("without syncs %d of %d acknowledged events survived a power cut, want a loss", kept, acknowledged)
	}
}

func TestFailedSyncEndsTheLog(t *testing.T) {
	disk := segmenttest.NewDisk(1)
	broken := errors.New("input/output error")
	var tries atomic.Int64
	err := onDisk(t, disk, func(url string) {
		postTo(t, url, "first")
		disk.SetFault(func(op segmenttest.Op, _ string) error {
			if op == segmenttest.Sync {
				tries.Add(1)
				return broken
			}
			return nil
		})
		for i := range 3 {
			if got := postTo(t, url, fmt.Sprintf("lost-%d", i)); got < 500 {
				t.Errorf("post %d after a failed sync: got %d, want 5xx", i, got)
			}
		}
	})
	if !errors.Is(err, eventlog.ErrFailed) || !strings.Contains(err.Error(), broken.Error()) {
		t.Errorf("log: got %v, want that the disk failed, and why", err)
	}
	if got := tries.Load(); got != 1 {
		t.Errorf("the sync was tried %d times, want once", got)
	}
}
