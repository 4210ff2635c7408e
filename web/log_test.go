package web_test

import (
	"context"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/index"
	"github.com/sluicelog/sluice/search"
	"github.com/sluicelog/sluice/web"
)

// searching is simulate with a search index.
func searching(t *testing.T, cfg web.Config, f func(t *testing.T, b *browser)) {
	t.Helper()
	var s *search.Service
	configure := func(c *control.Config) {
		s = search.New(search.Config{Log: c.Log, Engine: index.NewMemory()})
		c.Search = s
	}
	simulateWith(t, cfg, configure, func(t *testing.T, b *browser) {
		ctx, stop := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Run(ctx) })
		synctest.Wait() // Sluice's own events of the start are in the log
		f(t, b)
		stop()
		wg.Wait()
	})
}

const acmeLog = "/-/groups/acme/audit-log"

// at is the address of a log with parameters by name and value in turn.
func at(pairs ...string) string { return acmeLog + "?" + values(pairs...).Encode() }

func TestLog(t *testing.T) {
	searching(t, web.Config{}, func(t *testing.T, b *browser) {
		b.signIn("jane")
		b.PostRaw(
			`{"id":"g1","event_type":"member_created","entity_path":"acme/web","entity_type":"Project","author_name":"Jörg Maier","ip_address":"192.0.2.7","target_details":"hubot","details":{"custom_message":"Added hubot as Developer"}}`,
			`{"_document_id":"h1","action":"repo.create","business":"acme","org":"shop","repo":"shop/ledger","actor":["nadia","copilot"],"actor_ip":"2001:db8::1","actor_location":{"country_code":"NG"},"@timestamp":1714979289123}`,
			`{"id":"p1","event_type":"git.push","entity_path":"acme/web","author_name":"mona"}`,
			`{"id":"u1","event_type":"git.push","entity_path":"umbra","author_name":"stranger"}`,
		)
		synctest.Wait()
		p := b.get(200, acmeLog, "Added hubot as Developer", "Jörg Maier", "hubot", "192.0.2.7", "acme/web", "member_created", "by way of t0", "Repo create", "nadia", "2001:db8::1</span> (NG)",
			"acme/shop/ledger", "Pushed", "6 May 2024, 07:08 UTC", "/-/assets/", "log.js", "Streams changed", "git.push (1)", "Events per day")
		b.lacks(p, "stranger", "copilot</strong>", "Older", "Newer")
		b.get(200, at("class", "git"), "Pushed")
		b.lacks(b.get(200, at("author", "MONA")), "Jörg")
		b.get(200, at("author", `x" OR y`), "No event matches.")
	})
}

var pagerLink = regexp.MustCompile(`rel="(next|prev)" href="([^"]+)">(Newer|Older)<`)

// neighbours returns the addresses of the pages before and after, by their label.
func neighbours(p page) map[string]string {
	out := map[string]string{}
	for _, m := range pagerLink.FindAllStringSubmatch(p.html, -1) {
		out[m[3]] = html.UnescapeString(m[2])
	}
	return out
}

func TestLogPages(t *testing.T) {
	searching(t, web.Config{}, func(t *testing.T, b *browser) {
		b.signIn("jane")
		b.Post("acme/web", "git.push", 120)
		synctest.Wait()
		for _, order := range []string{"", "asc"} {
			on, back := "Older", "Newer"
			if order == "asc" {
				on, back = back, on
			}
			var counts []int
			var last page
			for next := at("class", "git", "order", order); next != ""; {
				last = b.get(200, next)
				counts = append(counts, strings.Count(last.html, `<details class="event"`)-strings.Count(last.html, `id="event-new"`))
				next = neighbours(last)[on]
			}
			if fmt.Sprint(counts) != "[50 50 20]" {
				t.Errorf("order %q: got pages of %v events", order, counts)
			}
			middle := b.get(200, neighbours(last)[back])
			if n := neighbours(middle); n[on] == "" || n[back] == "" {
				t.Errorf("order %q: the page in the middle has the neighbours %v", order, n)
			}
			first := b.do("GET", neighbours(middle)[back], nil)
			if first.Code == 200 {
				first = b.do("GET", neighbours(first)[back], nil)
			}
			if got, err := url.QueryUnescape(first.Header().Get("Location")); first.Code != 303 || err != nil || strings.Contains(got, "before") {
				t.Errorf("order %q: before the first page: got status %d to %q", order, first.Code, got)
			}
		}
		b.get(422, at("after", "AAAA"), "its address was changed", "Go to the first page")
		other := neighbours(b.get(200, at("class", "git")))["Older"]
		b.get(422, other+"&phrase=actor:x", "belongs to another search")
	})
}

func TestLogEvent(t *testing.T) {
	searching(t, web.Config{}, func(t *testing.T, b *browser) {
		b.signIn("jane")
		b.PostRaw(`{"id":"n1","event_type":"git.push","entity_path":"acme/web","author_name":"mona","size":12345678901234567890.10}`,
			`{"id":"n2","event_type":"git.push","entity_path":"Wayne","author_name":"bruce"}`)
		synctest.Wait()
		b.get(200, acmeLog+"/git-1", "mona: Pushed", `12345678901234567890.10`, "Git event 1 of the log", "127.0.0.1:8080/-/groups/acme/audit-log/git-1", "Around this time", "n1")
		for _, name := range []string{"git-2", "git-3", "git-01", "git-", "-1", "git", "nothing-1", "audit-99999999999999999999", "git-0", "git-18446744073709551615"} {
			absent := b.get(404, acmeLog+"/"+name, "There is no such page")
			b.lacks(absent, "bruce")
		}
	})
}
