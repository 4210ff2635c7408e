package web_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/index"
	"github.com/sluicelog/sluice/search"
	"github.com/sluicelog/sluice/web"
)

// BenchmarkLogPage measures how long the server makes a page of the log of an
// enterprise with 200,000 events of about 1 KB, and how large it is.
func BenchmarkLogPage(b *testing.B) {
	var finder *search.Service
	w := controltest.New(b, func(c *control.Config) {
		finder = search.New(search.Config{Log: c.Log, Engine: index.NewMemory()})
		c.Search = finder
	})
	defer w.Stop()
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = finder.Run(ctx) })
	defer func() { stop(); wg.Wait() }()
	postMany(w, 200_000)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for finder.Lag(ctx) > 0 {
		<-tick.C
	}
	if _, err := w.Service.CreateUser(ctx, w.Admin, control.UserSpec{Name: "mona", Password: password, Administrator: true}); err != nil {
		b.Fatal(err)
	}
	in, err := w.Service.SignIn(ctx, "mona", password, netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct{ name, query string }{{"newest", ""}, {"days", "days=90"}, {"author", "author=actor-7"}, {"words", "phrase=settings"}} {
		b.Run(c.name, func(b *testing.B) {
			site := web.New(web.Config{Service: w.Service})
			for b.Loop() {
				r := httptest.NewRequestWithContext(ctx, "GET", acmeLog+"?"+c.query, nil)
				r.AddCookie(&http.Cookie{Name: "sluice", Value: string(in.Cookie)})
				r.Header.Set("Accept-Encoding", "gzip")
				rec := httptest.NewRecorder()
				site.ServeHTTP(rec, r)
				if rec.Code != http.StatusOK {
					b.Fatalf("got status %d", rec.Code)
				}
				b.ReportMetric(float64(rec.Body.Len()), "bytes")
			}
		})
	}
}

// postMany posts events of 5,000 actors, 100 types and the last 90 days, in the
// order in which they happened.
func postMany(w *controltest.World, n int) {
	rnd := rand.New(rand.NewPCG(1, 2))
	began := time.Now().AddDate(0, 0, -90)
	var batch []string
	for i := range n {
		at := began.Add(90 * 24 * time.Hour * time.Duration(i) / time.Duration(n))
		batch = append(batch, fmt.Sprintf(
			`{"id":"%032x","action":"repo.action_%d","actor":"actor-%d","entity_path":"acme/repo-%d","created_at":%d,"actor_ip":"10.0.%d.%d","user_agent":"%0600d","message":"changed the settings of a repository %d times"}`,
			i, rnd.IntN(100), rnd.IntN(5000), rnd.IntN(2000), at.UnixMilli(), rnd.IntN(256), rnd.IntN(256), rnd.Uint64(), rnd.IntN(1000)))
		if len(batch) == 500 {
			w.PostRaw(batch...)
			batch = nil
		}
	}
}
