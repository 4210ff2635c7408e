package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/deliver"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/webhook"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/secret"
	"github.com/sluicelog/sluice/sqlite"
	"github.com/sluicelog/sluice/store"
	"github.com/sluicelog/sluice/web"
)

// benchStreams is how many streams an enterprise has at the most.
const benchStreams = 200

// benchSite is a site over a store on disk, with all that runs below it.
type benchSite struct {
	b       *testing.B
	store   store.Store
	engine  *eventlog.Memory
	ring    *secret.Ring
	log     *eventlog.Log
	service *control.Service
	admin   control.Principal
	site    *web.Site
	stop    func()
}

func newBenchSite(b *testing.B) *benchSite {
	st, err := sqlite.OpenStore(filepath.Join(b.TempDir(), "control.db"), sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = st.Close() })
	s := &benchSite{b: b, store: st, engine: eventlog.NewMemory(eventlog.MemoryOptions{Log: eventlog.LogID{1}}), ring: secret.NewRing()}
	s.start()
	b.Cleanup(func() { s.stop() })
	return s
}

func (s *benchSite) start() {
	ctx, cancel := context.WithCancel(context.Background())
	floors, err := deliver.Floors(ctx, s.store)
	s.must(err)
	s.engine = s.engine.Restart(eventlog.MemoryOptions{Log: eventlog.LogID{1}})
	s.log, err = eventlog.Open(ctx, s.engine, eventlog.Options{ID: eventlog.LogID{1}, Floors: floors})
	s.must(err)
	d := deliver.New(s.log, s.store, deliver.Options{Emit: func(ctx context.Context, n deliver.Notice) error { return s.service.Emit(ctx, n) }})
	s.must(d.Load(ctx))
	s.service = control.New(control.Config{
		Log: s.log, Store: s.store, Deliver: d, Kinds: []destination.Kind{sunk{webhook.Kind{}, &controltest.Kind{}}}, Ring: s.ring,
		PasswordMemory: 64, StreamLimit: 2 * benchStreams,
	})
	s.must(s.service.Open(ctx))
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{s.log.Run, d.Run, s.service.Run} {
		wg.Go(func() { _ = run(ctx) })
	}
	s.stop = func() {
		cancel()
		wg.Wait()
		s.must(s.log.Close())
	}
	_, err = s.service.EnsureAdmin(ctx, "an-administrator-s-token")
	s.must(err)
	s.admin, err = s.service.Authenticate(ctx, "an-administrator-s-token")
	s.must(err)
	s.site = web.New(web.Config{Service: s.service})
}

func (s *benchSite) must(err error) {
	s.b.Helper()
	if err != nil {
		s.b.Fatal(err)
	}
}

// fill makes the streams, of which each tenth has a filter, and has them deliver.
func (s *benchSite) fill() {
	ctx := s.b.Context()
	_, err := s.service.CreateUser(ctx, s.admin, control.UserSpec{Name: "jane", Password: password})
	s.must(err)
	_, err = s.service.SetMember(ctx, s.admin, control.MemberSpec{Namespace: "acme", User: "jane", Role: control.Owner})
	s.must(err)
	for i := range benchStreams {
		spec := control.StreamSpec{Namespace: "acme", Kind: "http", Name: fmt.Sprint("To the receiver ", i), Config: fmt.Appendf(nil, `{"url":"https://siem-%d.example.com/events"}`, i)}
		if i%10 == 0 {
			spec.Filter.EventTypes = []string{"user.add"}
		}
		_, err := s.service.CreateStream(ctx, s.admin, spec)
		s.must(err)
	}
	batch := &eventlog.Batch{}
	var scanner sluice.Scanner
	for i := range 2000 {
		payload, env, _, err := scanner.Scan(nil, fmt.Appendf(nil, `{"id":"e%d","event_type":"type.%d","entity_path":"acme/project-%d"}`, i, i%100, i%150))
		s.must(err)
		batch.Add(payload, &env, "t0")
	}
	_, err = s.service.Accept(ctx, &control.Producer{Source: "t0"}, map[string]*eventlog.Batch{"audit": batch})
	s.must(err)
	s.settle()
}

// settle waits until everything is delivered.
func (s *benchSite) settle() {
	name := "acme"
	for pending := true; pending; {
		list, err := s.service.Streams(s.b.Context(), s.admin, &name)
		s.must(err)
		pending = false
		for i := range list {
			pending = pending || list[i].Ledger.Pending > 0
		}
		if s.b.Context().Err() != nil {
			return
		}
		time.Sleep(10 * time.Millisecond) // of a benchmark, which runs by itself
	}
}

// visitor returns what gets a page as jane.
func (s *benchSite) visitor() func(path string) *httptest.ResponseRecorder {
	do := func(method, path, cookie string, form url.Values) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(s.b.Context(), method, path, strings.NewReader(form.Encode()))
		r.Host = "127.0.0.1:8080"
		r.Header.Set("Accept-Encoding", "gzip")
		if form != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if cookie != "" {
			r.Header.Set("Cookie", cookie)
		}
		w := httptest.NewRecorder()
		s.site.ServeHTTP(w, r)
		return w
	}
	in := do("POST", "/-/sign_in", "", values("name", "jane", "password", password))
	cookie := in.Result().Cookies()[0]
	return func(path string) *httptest.ResponseRecorder {
		w := do("GET", path, cookie.Name+"="+cookie.Value, nil)
		if w.Code != http.StatusOK {
			s.b.Fatalf("%s: got status %d", path, w.Code)
		}
		return w
	}
}

// BenchmarkStreamsPage measures the tab with 200 streams, with one of them
// unfolded, and after a start, when nothing is in memory: server time, and bytes
// over the wire.
func BenchmarkStreamsPage(b *testing.B) {
	s := newBenchSite(b)
	s.fill()
	run := func(name, path string) {
		b.Run(name, func(b *testing.B) {
			get, size := s.visitor(), 0
			for b.Loop() {
				size = get(path).Body.Len()
			}
			b.ReportMetric(float64(size), "bytes/page")
		})
	}
	run("list", tabPath)
	run("unfolded", tabPath+"/1")
	s.stop()
	s.start()
	s.settle()
	run("list-after-start", tabPath)
}
