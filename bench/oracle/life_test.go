package oracle

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluicelog/sluice/bench/server"
)

// withServer is an oracle with its first streams, and a server without a process that
// makes and deletes every stream.
func withServer(t *testing.T) *oracle {
	t.Helper()
	dir := t.TempDir()
	s, err := server.New(server.Config{Data: dir, Log: filepath.Join(dir, "server.log")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // it had no process
	listener, err := net.Listen("tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	var made atomic.Int64
	answers := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet:
			fmt.Fprint(w, `{"streams":[]}`)
		case http.MethodPost:
			fmt.Fprintf(w, `{"id":%d}`, made.Add(1))
		}
	})}}
	answers.Start()
	t.Cleanup(answers.Close)
	tr, err := openTrace(filepath.Join(dir, "requests"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.close)
	o := &oracle{rng: rand.New(rand.NewPCG(1, 0)), books: newBooks(1), findings: &findings{}, bucket: newBucket(), trace: tr,
		server: &subject{Server: s, client: newClient()}}
	for _, sp := range firstSpecs() {
		o.newStream(sp)
	}
	t.Cleanup(func() {
		for _, s := range o.streams {
			s.receiver.close()
		}
	})
	return o
}

// Where the disk gets full, the server dies and starts while streams are created and
// deleted: every receiver, a new one too, knows in which life of the server it is.
func TestStreamsComeWhileTheServerDies(t *testing.T) {
	const episodes = 3
	o := withServer(t)
	for episode := range episodes {
		o.planEpisode()
		for _, sp := range o.episodeSpecs(episode) {
			o.due("delete", func(ctx context.Context) error { return o.remove(ctx, o.named(sp.Name)) })
		}
	}
	done := make(chan struct{})
	var deeds sync.WaitGroup
	deeds.Go(func() {
		defer close(done)
		o.flip()
		o.act(t.Context())
	})
	for alive := true; alive; {
		o.begin()
		if err := o.kill(t.Context()); err != nil {
			t.Error(err)
		}
		select {
		case <-done:
			alive = false
		default:
		}
	}
	deeds.Wait()
	made := episodes * len(o.episodeSpecs(0))
	if got, want := len(o.streams), len(firstSpecs())+made; got != want {
		t.Errorf("streams: got %d, want %d", got, want)
	}
	deleted := 0
	for _, s := range o.streams {
		if s.deleted {
			deleted++
		}
		if got := s.receiver.life; got != o.restarts {
			t.Errorf("%s: got life %d of the server, want %d", s.spec.Name, got, o.restarts)
		}
	}
	if deleted != made {
		t.Errorf("deleted: got %d streams, want %d", deleted, made)
	}
	if list, _ := o.findings.list(); len(list) > 0 {
		t.Errorf("findings: got %q, want none", list)
	}
}
