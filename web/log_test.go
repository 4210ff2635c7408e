package web_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"html"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/index"
	"github.com/sluicelog/sluice/rest"
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

// send posts events; those without an id get one.
func (b *browser) send(events ...string) {
	b.t.Helper()
	for i, e := range events {
		if !strings.Contains(e, `id":`) {
			events[i] = fmt.Sprintf(`{"id":"n%d",`, b.sent.Add(1)) + e[1:]
		}
	}
	b.PostRaw(events...)
}

const acmeLog = "/-/groups/acme/audit-log"

// at is the address of a log with parameters by name and value in turn.
func at(pairs ...string) string { return acmeLog + "?" + values(pairs...).Encode() }

func TestLog(t *testing.T) {
	searching(t, web.Config{}, func(t *testing.T, b *browser) {
		b.signIn("jane")
		b.send(
			`{"id":"g1","event_type":"member_created","entity_path":"acme/web","entity_type":"Project","author_name":"Jörg Maier","ip_address":"192.0.2.7","target_details":"hubot","details":{"custom_message":"Added hubot as Developer"}}`,
			`{"_document_id":"h1","action":"repo.create","business":"acme","org":"shop","repo":"shop/ledger","actor":["nadia","copilot"],"actor_ip":"2001:db8::1","actor_location":{"country_code":"NG"},"@timestamp":1714979289123}`,
			`{"id":"p1","event_type":"git.push","entity_path":"acme/web","author_name":"mona"}`,
			`{"id":"u1","event_type":"git.push","entity_path":"umbra","author_name":"stranger"}`,
		)
		synctest.Wait()
		p := b.get(200, acmeLog, "Added hubot as Developer", "Jörg Maier", "hubot", "192.0.2.7", "acme/web", "member_created", "by way of token t0", "Repo create", "nadia", "2001:db8::1</span> (NG)",
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
		b.send(`{"id":"n1","event_type":"git.push","entity_path":"acme/web","author_name":"mona","size":12345678901234567890.10}`,
			`{"id":"n2","event_type":"git.push","entity_path":"Wayne","author_name":"bruce"}`)
		synctest.Wait()
		b.get(200, acmeLog+"/git-1", "mona: Pushed", `12345678901234567890.10`, "Git event 1 of the log", "127.0.0.1:8080/-/groups/acme/audit-log/git-1", "Around this time", "n1")
		p := b.get(200, acmeLog+"/git-1/download", `{"id":"n1","event_type":"git.push","entity_path":"acme/web","author_name":"mona","size":12345678901234567890.10}`)
		if got := p.Header().Get("Content-Disposition"); got != `attachment; filename="event-git-1.json"` {
			t.Errorf("download: got Content-Disposition %q", got)
		}
		if head := b.do("HEAD", acmeLog+"/git-1/download", nil); head.Body.Len() != 0 || head.Header().Get("Content-Length") != p.Header().Get("Content-Length") {
			t.Errorf("HEAD of a download: got %d bytes and %v", head.Body.Len(), head.Header())
		}
		for _, name := range []string{"git-2/download", "none/download", "git-2", "git-3", "git-01", "git-", "-1", "git", "nothing-1", "audit-99999999999999999999", "git-0", "git-18446744073709551615"} {
			absent := b.get(404, acmeLog+"/"+name, "There is no such page")
			b.lacks(absent, "bruce")
		}
	})
}

// A page of 50 events of 1 KB that cannot be compressed well has less than 100 KB.
func TestLogPageIsSmall(t *testing.T) {
	searching(t, web.Config{}, func(t *testing.T, b *browser) {
		b.signIn("jane")
		for i := range 50 {
			noise := make([]byte, 420)
			rand.Read(noise) // never fails, see its documentation
			b.send(fmt.Sprintf(`{"event_type":"x.type_%d","entity_path":"acme/repo-%d","author_name":"actor-%d","ip_address":"192.0.2.%d","noise":"%x"}`, i, i, i, i, noise))
		}
		synctest.Wait()
		p := b.do("GET", acmeLog, nil, "Accept-Encoding", "gzip")
		if n := p.Body.Len(); n > 100<<10 || !strings.Contains(p.html, "x.type_49") {
			t.Errorf("the page has %d bytes, want at most 100 KiB", n)
		}
	})
}

// What events hold is shown as text, and not more of it than a page can take.
func TestLogHostileEvents(t *testing.T) {
	searching(t, web.Config{}, func(t *testing.T, b *browser) {
		b.signIn("jane")
		deep := strings.Repeat("[", 90) + strings.Repeat("]", 90)
		b.send(
			`{"id":"\"><script>alert(1)</script>","event_type":"<img src=x onerror=alert(2)>","entity_path":"acme/web","author_name":"</code><script>alert(3)</script>","message":"a\u0000b\u202ec\ud83d\ude00","actor_ip":"javascript:x"}`,
			`{"id":"deep","event_type":"x.y","entity_path":"acme","deep":`+deep+`}`,
			`{"id":"huge","event_type":"x.huge","entity_path":"acme","author_name":"`+strings.Repeat("ä", 5000)+`","text":"`+strings.Repeat("ö\\n", 100_000)+`"}`,
			`{"id":17,"event_type":"x.odd","entity_path":"acme","author_name":{"a":[1]},"message":[["x"]],"target_details":[null,{}],"details":"text","ip_address":true,"actor_location":[1]}`,
			`{"id":"numbers","event_type":"x.numbers","entity_path":"acme","n":1e400,"m":-0.0,"k":12345678901234567890123,"empty":{},"list":[],"target_details":5}`,
		)
		synctest.Wait()
		p := b.get(200, acmeLog, "&lt;img src=x onerror=alert(2)&gt;", "&lt;/code&gt;&lt;script&gt;alert(3)", "a\uFFFDb\uFFFDc😀", `\u0000b\u202ec`,
			"1e400", "-0.0", "12345678901234567890123", "{}", "[]", "beginning of a large event", "ä…")
		b.lacks(p, "<script>alert", "<img src=x", "\u202e", "javascript:x\"")
		if n := len(p.html); n > 100<<10 {
			t.Errorf("the page has %d bytes", n)
		}
		for _, m := range regexp.MustCompile(`href="([^"]+/audit-[0-9]+)">Permalink`).FindAllStringSubmatch(p.html, 5) {
			p := b.get(200, m[1], "As it was accepted", "Download")
			if n := len(p.html); n > 150<<10 {
				t.Errorf("%s has %d bytes", m[1], n)
			}
		}
	})
}

// Fields that are folded on phones are open when they hold something.
func TestLogFields(t *testing.T) {
	searching(t, web.Config{}, func(t *testing.T, b *browser) {
		b.signIn("jane")
		for query, want := range map[string]string{
			"": "", "?phrase=x": "", "?order=asc": " open", "?author=x": " open", "?type=x": " open", "?class=git": " open", "?from=2026-01-01": " open", "?to=yesterday": " open",
		} {
			status := 200
			if query == "?to=yesterday" {
				status = 422
			}
			b.get(status, acmeLog+query, `<details class="log-more"`+want+`>`)
		}
	})
}

// What is wrong with a search is said beside its field, which keeps what was
// entered.
func TestLogMistakes(t *testing.T) {
	searching(t, web.Config{}, func(t *testing.T, b *browser) {
		b.signIn("jane")
		for _, c := range []struct {
			query url.Values
			texts []string
		}{
			{values("phrase", `actor:jane cretaed:2026-01-01 x`), []string{"Column 12.", "<mark>cretaed:2026-01-01</mark> x", "created:", `value="actor:jane cretaed:2026-01-01 x"`, `aria-invalid="true"`}},
			{values("phrase", `actor:`, "author", "jane"), []string{"Column 7.", "There is no value in &#34;actor:&#34;.", `value="jane"`}},
			{values("phrase", `x\`, "from", "2026-01-01"), []string{"Column "}},
			{values("phrase", `"open`, "type", "git.push"), []string{"Column ", `<option value="git.push" selected>`}},
			{values("phrase", "ü ä:<b>"), []string{"Column 3.", "<mark>ä:&lt;b&gt;</mark>"}},
			{values("phrase", "x NOT"), []string{"Column "}},
			{values("from", "2026-13-01"), []string{"The first day cannot be read."}},
			{values("to", "yesterday"), []string{"The last day cannot be read."}},
			{values("from", "2026-02-01", "to", "2026-01-01"), []string{"The last day comes before the first."}},
			{values("author", strings.Repeat("x", 5000)), []string{"too long"}},
			{values("class", "other"), []string{"Class must be"}},
			{values("order", "random"), []string{"Order must be"}},
			{values("after", "!"), []string{"its address was changed", `href="/-/groups/acme/audit-log">Go to the first page`}},
			{values("after", "a", "before", "b"), []string{"its address was changed"}},
		} {
			b.get(422, acmeLog+"?"+c.query.Encode(), c.texts...)
		}
	})
}

// Dates, authors, types and the phrase all narrow what is shown, counted and
// exported.
func TestLogNarrowed(t *testing.T) {
	searching(t, web.Config{}, func(t *testing.T, b *browser) {
		b.signIn("jane")
		today := time.Now().UTC()
		for i := range 3 {
			for range i + 1 {
				b.send(fmt.Sprintf(`{"event_type":"x.day%d","entity_path":"acme","author_name":"mo \"m\" na\\","created_at":%q}`, i, today.AddDate(0, 0, -i).Format(time.RFC3339)))
			}
		}
		synctest.Wait()
		p := b.get(200, at("author", `MO "m" na\`), "3 events", "2 events", "1 event", "6 in these days, 3 on the fullest", `<option value="x.day2">x.day2</option>`)
		day := today.AddDate(0, 0, -2).Format(time.DateOnly)
		address := at("author", `MO "m" na\`, "from", day, "to", day)
		if !strings.Contains(html.UnescapeString(p.html), address+`"`) {
			t.Errorf("no bar leads to %s", address)
		}
		p = b.get(200, address, "x.day2", "3 in these days")
		b.lacks(p, "X day1<", "X day0<", "90 days")
		p = b.get(200, at("days", "90", "type", "x.day1"), `<option value="x.day1" selected>x.day1 (2)</option>`, `x.day2 (3)`, `name="days" value="90"`)
		if bars := strings.Count(p.html, `class="bar-room"`); bars != 90 {
			t.Errorf("got %d bars, want 90", bars)
		}
		b.get(200, at("type", "x.other"), `<option value="x.other" selected>x.other (0)</option>`, "No event matches.")
		b.get(200, at("from", day, "author", `MO "m" na\`), "6 in these days")
		b.get(200, at("to", day, "phrase", "action:x.day2 OR action:x.day1"), "3 in these days")
		b.get(200, at("from", "1999-01-01", "author", `MO "m" na\`), "6 in these days", today.AddDate(0, 0, -89).Format("2 Jan 2006"))
		b.get(200, at("from", "2999-01-01"), "No event matches.")
	})
}

// A page waits for no count that takes long: it says what is being counted, can be
// used meanwhile, and has it with a later view.
func TestLogCountsLater(t *testing.T) {
	searching(t, web.Config{CountWait: -1}, func(t *testing.T, b *browser) {
		b.signIn("jane")
		b.send(`{"event_type":"x.y","entity_path":"acme","author_name":"mona"}`)
		synctest.Wait()
		address := at("author", "mona", "type", "x.y")
		later := []string{"x.y</code>", `id="chart" aria-labelledby="chart-title" data-counting`, `<select id="type" name="type" data-counting>`,
			`<option value="x.y" selected>x.y</option>`}
		for range 2 {
			p := b.get(200, address, later...)
			b.lacks(p, "in these days", ": 0 events")
			if bars := strings.Count(p.html, `class="bar-room"`); bars != 30 {
				t.Errorf("got %d bars that can be clicked, want 30", bars)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = b.site.Run(ctx) })
		synctest.Wait()
		p := b.get(200, address, "1 in these days, 1 on the fullest", "1 event<", `<option value="x.y" selected>x.y</option>`)
		b.lacks(p, "data-counting", "being counted")
		stop()
		wg.Wait()
	})
}

// Each preset finds what it is named for.
func TestLogPresets(t *testing.T) {
	searching(t, web.Config{}, func(t *testing.T, b *browser) {
		b.signIn("jane")
		b.send(`{"event_type":"member_created","entity_path":"acme"}`, `{"action":"org.add_member","business":"acme","org":"o"}`, `{"event_type":"git.push","entity_path":"acme"}`,
			`{"action":"user.failed_login","business":"acme"}`, `{"event_type":"login_failed_with_otp_authentication","entity_path":"acme"}`)
		synctest.Wait()
		p := b.get(200, acmeLog)
		_, list, _ := strings.Cut(p.html, `<nav class="presets"`)
		list, _, _ = strings.Cut(list, "</nav>")
		links := map[string]string{}
		for _, m := range regexp.MustCompile(`<a href="([^"]+)">([^<]+)</a>`).FindAllStringSubmatch(list, -1) {
			links[m[2]] = html.UnescapeString(m[1])
		}
		for label, want := range map[string][]string{
			"Members": {"member_created</code>", "org.add_member</code>", "member.create</code>"}, "Git events": {"git.push</code>"}, "Failed": {"user.failed_login</code>", "login_failed_with_otp"},
			"Streams changed": nil, "Sign-ins": nil, "Tokens and keys": nil, "Repositories": nil, "Protection": nil, "Exports": nil,
		} {
			found := b.get(200, links[label], append(want, fmt.Sprintf(`aria-current="true">%s</a>`, label))...)
			if label != "Git events" {
				b.lacks(found, "git.push</code>")
			}
		}
		if len(links) != 9 {
			t.Errorf("got %d presets, want 9", len(links))
		}
	})
}

// An export has what the page shows, and is recorded.
func TestLogExport(t *testing.T) {
	searching(t, web.Config{}, func(t *testing.T, b *browser) {
		b.signIn("jane")
		b.Post("acme/web", "git.push", 60)
		b.Post("acme/web", "repo.create", 3)
		synctest.Wait()
		p := b.get(200, at("phrase", "action:git action:repo"), "The export is recorded", `action="/api/v1/events/export"`)
		form := url.Values{}
		for _, m := range regexp.MustCompile(`<input type="hidden" name="(namespace|phrase)" value="([^"]*)">`).FindAllStringSubmatch(p.html, -1) {
			form.Set(m[1], html.UnescapeString(m[2]))
		}
		api := rest.New(rest.Config{Service: b.Service, Session: b.site.Session, Guard: b.site.Guard()})
		for _, c := range []struct {
			class, format string
			lines         int
		}{{"", "ndjson", 63}, {"git", "ndjson", 60}, {"audit", "csv", 4}} {
			form.Set("class", c.class)
			form.Set("format", c.format)
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/api/v1/events/export?"+form.Encode(), nil)
			r.Host = b.host
			for _, cookie := range b.cookies {
				r.AddCookie(cookie)
			}
			rec := httptest.NewRecorder()
			api.ServeHTTP(rec, r)
			if got := strings.Count(rec.Body.String(), "\n"); rec.Code != 200 || got != c.lines {
				t.Errorf("export %v: got status %d and %d lines, want %d", c, rec.Code, got, c.lines)
			}
		}
		synctest.Wait()
		b.get(200, at("phrase", "action:audit_log.export"), "Exported events", "by way of Sluice", "jane")
	})
}

// What was not sent yet is taught; the log of the server itself is no reason not to.
func TestLogFirstSteps(t *testing.T) {
	origin, err := web.ParseOrigin("https://sluice.example.com")
	if err != nil {
		t.Fatal(err)
	}
	searching(t, web.Config{External: origin}, func(t *testing.T, b *browser) {
		b.tls = true
		b.signIn("jane")
		b.get(200, acmeLog, "Nothing was sent here yet", "curl https://sluice.example.com/api/v1/events", `"entity_path":"acme/web"`, `href="/-/groups/acme/tokens"`,
			"sluice git install-hook", "<dd><code>sluice.example.com</code>", "<dd><code>443</code>", "https://sluice.example.com/api/v1/events</code>", "Gave a user a role")
		p := b.get(200, "/-/groups/umbra/audit-log", "Nothing was sent here yet", "which an owner makes")
		b.lacks(p, "Umbra/tokens")
		b.lacks(b.get(200, at("class", "git"), "No event matches.", `data-live="/api/v1/events/live?after=`, `&amp;class=git&amp;namespace=acme`), "Nothing was sent")
		b.Post("acme", "x", 1)
		synctest.Wait()
		b.lacks(b.get(200, acmeLog), "Nothing was sent")
	})
}

// Without an index there is nothing to look at, and the page says so.
func TestLogWithoutIndex(t *testing.T) {
	simulate(t, web.Config{}, func(t *testing.T, b *browser) {
		b.signIn("jane")
		b.get(200, acmeLog, "--index=false", "Log streaming")
		b.get(422, at("phrase", `"`), "Column ")
		b.get(501, acmeLog+"/audit-1", "does not offer it")
	})
}

func TestLogOfOthers(t *testing.T) {
	searching(t, web.Config{}, func(t *testing.T, b *browser) {
		b.send(`{"event_type":"x.mine","entity_path":"acme/a"}`, `{"event_type":"x.seen","entity_path":"umbra/b"}`, `{"event_type":"x.theirs","entity_path":"wayne/c"}`)
		synctest.Wait()
		b.follows(b.do("GET", acmeLog+"?class=git", nil), "/-/sign_in?next="+url.QueryEscape(acmeLog+"?class=git"))
		b.signIn("jane")
		b.lacks(b.get(200, acmeLog, "x.mine"), "x.seen", "x.theirs")
		b.lacks(b.get(200, "/-/groups/umbra/audit-log", "x.seen"), "x.mine", "x.theirs")
		for _, path := range []string{"/-/groups/wayne/audit-log", "/-/groups/nothing/audit-log", "/-/instance/audit-log", "/-/groups/wayne/audit-log/audit-1", "/-/instance/audit-log/audit-1"} {
			b.get(404, path, "There is no such page")
		}
		mona := b.another()
		mona.signIn("mona")
		mona.get(200, "/-/instance/audit-log", "x.mine", "x.seen", "x.theirs", "Signed in")
		mona.get(200, "/-/instance/audit-log/audit-1", "This installation")
		for _, path := range []string{acmeLog, acmeLog + "/audit-1"} {
			b.want(b.do("POST", path, url.Values{}), 405, "POST "+path)
			if head := b.do("HEAD", path, nil); head.Body.Len() != 0 {
				t.Errorf("HEAD %s has a body", path)
			}
		}
	})
}

// Sources are named for those who may see the token.
func TestLogSources(t *testing.T) {
	searching(t, web.Config{}, func(t *testing.T, b *browser) {
		for _, namespace := range []string{"acme", ""} {
			if _, err := b.Service.CreateToken(t.Context(), b.Admin, control.TokenSpec{Namespace: namespace, Name: "stream of <" + namespace + ">"}); err != nil {
				t.Fatal(err)
			}
		}
		for i, id := range []string{"t2", "t3"} {
			var scanner sluice.Scanner
			payload, env, _, err := scanner.Scan(nil, fmt.Appendf(nil, `{"id":"s%d","event_type":"x","entity_path":"acme"}`, i))
			if err != nil {
				t.Fatal(err)
			}
			batch := &eventlog.Batch{}
			batch.Add(payload, &env, id)
			if _, err := b.Service.Accept(t.Context(), &control.Producer{Source: id}, map[string]*eventlog.Batch{"audit": batch}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		b.signIn("jane")
		b.get(200, acmeLog, "by way of stream of &lt;acme&gt;", "by way of token t3")
	})
}
