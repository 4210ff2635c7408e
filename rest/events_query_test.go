package rest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/index"
	"github.com/sluicelog/sluice/search"
)

// searching is simulate with a search index.
func searching(t *testing.T, f func(t *testing.T, c *client)) {
	t.Helper()
	searchingWith(t, func(*control.Config) {}, f)
}

func searchingWith(t *testing.T, more func(*control.Config), f func(t *testing.T, c *client)) {
	t.Helper()
	var s *search.Service
	configure := func(c *control.Config) {
		s = search.New(search.Config{Log: c.Log, Engine: index.NewMemory()})
		c.Search = s
		more(c)
	}
	simulate(t, configure, func(t *testing.T, c *client) {
		ctx, stop := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Run(ctx) })
		synctest.Wait() // Sluice's own events of the start are in the log
		f(t, c)
		stop()
		wg.Wait()
	})
}

var linkTo = regexp.MustCompile(`<(/api/v1/events\?[^>]*)>; rel="(next|prev)"`)

// links returns the addresses of an answer's neighbours.
func (c *client) links(path string) (events int, next, prev string) {
	c.t.Helper()
	rec := c.do("GET", path, "")
	var page struct{ Events []json.RawMessage }
	if err := json.Unmarshal(rec.Body.Bytes(), &page); err != nil || rec.Code != 200 {
		c.t.Fatalf("%s: got status %d with %s", path, rec.Code, rec.Body)
	}
	for _, l := range rec.Header().Values("Link") {
		m := linkTo.FindStringSubmatch(l)
		if m == nil {
			c.t.Fatalf("not a link: %s", l)
		}
		if m[2] == "next" {
			next = m[1]
		} else {
			prev = m[1]
		}
	}
	return len(page.Events), next, prev
}

func TestEventQueries(t *testing.T) {
	searching(t, func(t *testing.T, c *client) {
		c.Post("acme/web", "git.push", 5)
		c.Post("umbra", "git.push", 2)
		synctest.Wait()
		c.wantProblem(400, "invalid", "GET", "/api/v1/events?page=2", "")
		c.wantProblem(400, "invalid", "GET", "/api/v1/events?limit=lots", "")
		e := c.wantProblem(400, "invalid", "GET", "/api/v1/events?phrase="+url.QueryEscape(`type:git.push actor:"`), "")
		if !strings.Contains(fmt.Sprint(e["message"]), "column") {
			t.Errorf("a broken phrase: got %v, want its column", e)
		}
		path := "/api/v1/events?limit=2&namespace=acme&phrase=type%3Agit.push"
		var counts []int
		back := ""
		for next := path; next != ""; {
			var n int
			n, next, back = c.links(next)
			counts = append(counts, n)
		}
		if fmt.Sprint(counts) != "[2 2 1]" {
			t.Errorf("pages: got %v events", counts)
		}
		if n, next, prev := c.links(back); n != 2 || next == "" || prev == "" {
			t.Errorf("back: got %d events and links %q and %q", n, next, prev)
		}
		got := c.want(200, "GET", "/api/v1/events?namespace=umbra&order=asc", "")
		row := got["events"].([]any)[0].(map[string]any)
		for _, name := range []string{"event", "partition", "seq", "accepted_at", "source", "namespace"} {
			if row[name] == nil {
				t.Errorf("an event lacks %q: %v", name, row)
			}
		}
		if n := c.want(200, "GET", "/api/v1/events/counts?by=type&namespace=acme", "")["events"]; n != 5.0 {
			t.Errorf("count: got %v, want 5", n)
		}
		preview := c.want(200, "POST", "/api/v1/streams/preview", stream)
		if preview["delivered"] != 5.0 || len(preview["days"].([]any)) != 7 {
			t.Errorf("preview: got %v, want the 5 pushes of acme", preview)
		}
		if list := c.want(200, "GET", "/api/v1/events/index", "")["partitions"].([]any); len(list) != 2 {
			t.Errorf("index: got %v", list)
		}
		metrics := c.do("GET", "/metrics", "").Body.String()
		if !strings.Contains(metrics, `sluice_index_lag_events{partition="git"} 0`) {
			t.Error("the metrics lack the lag of the index")
		}
		c.token = "nobody"
		c.wantProblem(401, "unauthorized", "GET", "/api/v1/events", "")
	})
}

// The manual of searching names the paths, and its examples are JSON.
func TestSearchManual(t *testing.T) {
	manual, err := os.ReadFile("../docs/api/search.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/v1/events", "/api/v1/events/counts", "/api/v1/events/export", "/api/v1/events/live", "/api/v1/events/index"} {
		if !strings.Contains(string(manual), "`GET "+path+"`") {
			t.Errorf("the manual does not name %s", path)
		}
	}
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(manual, -1)
	for _, b := range blocks {
		if !json.Valid(b[1]) {
			t.Errorf("an example is not JSON: %s", b[1])
		}
	}
	if len(blocks) < 3 {
		t.Errorf("the manual has %d examples, want at least 3", len(blocks))
	}
}
