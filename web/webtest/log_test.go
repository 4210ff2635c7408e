package webtest_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice/web/webtest"
)

// goTo finds an enterprise or group and its audit log, as the first steps of all
// instructions say.
func (p *person) goTo(name string) {
	p.t.Helper()
	p.Follow("link", p.words.SearchOrGoTo)
	p.Fill("Name of an enterprise or group", name)
	p.Follow("button", "Search")
	p.In("main li", name).Follow("link", name)
	p.side().Follow("link", p.words.AuditLog)
	p.WantPath("/-/groups/" + name + "/audit-log")
}

// side is the navigation of an enterprise or group.
func (p *person) side() *webtest.Part { return p.In("nav.side", "") }

// tabs are those of the audit log's page.
func (p *person) tabs() *webtest.Part { return p.In("nav.tabs", "") }

func auditLog(t *testing.T, w *world) {
	p := w.signedIn(t, "joe")
	p.goTo("acme")
	p.until("the events to be found", func() bool {
		p.Open("/-/groups/acme/audit-log")
		return strings.Contains(p.Text(), "git.clone") && strings.Contains(p.Text(), "member_created")
	})
	p.WantNot("raccoon", "member_destroyed")

	// One event, its JSON, its own page.
	event := p.In("details", "member_created")
	event.Open()
	event.Want(`"192.0.2.7"`, "7001")
	event.Follow("link", "Permalink")
	p.Want("Id", "7001", "member_created", "jane")
	p.Follow("link", "All events")

	p.search("actor:octo action:git.clone")
	p.Want("git.clone")
	p.In("#events", "").WantNot("member_created")
	p.Fill("Search", "created:>=someday")
	p.FollowStatus("button", "Search", http.StatusUnprocessableEntity)
	p.Want("Column")
	p.Open("/-/groups/acme/audit-log")
	p.Fill("Author", "jane")
	p.Follow("button", "Search")
	p.Want("project_visibility_updated")
	p.In("#events", "").WantNot("git.clone", "repo.create")
	p.search("actor:nobody")
	p.Want("No event matches.")
}

func (p *person) search(phrase string) {
	p.t.Helper()
	p.Fill("Search", phrase)
	p.In("form", "Search").Follow("button", "Search")
}

// exports downloads what a search finds in each format, and compares the files with
// what the API sends. An event can be downloaded, too.
func exports(t *testing.T, w *world) {
	p := w.signedIn(t, "jane")
	p.Open("/-/groups/acme/audit-log")
	p.search("actor:octo")
	for i, format := range []string{"ndjson", "json", "csv"} {
		if i == 0 {
			p.Click("summary", p.words.Export)
			p.Look("audit-log-export")
		}
		form := p.In("form", p.words.Export)
		form.Enter("Format", format)
		file, got := form.Download("button", p.words.Export)
		var want []byte
		w.call("GET", "/api/v1/events/export?namespace=acme&phrase=actor:octo&format="+format, nil, &want)
		if !strings.HasSuffix(file, "."+format) || !bytes.Equal(got, want) || !bytes.Contains(got, []byte("git.clone")) {
			t.Errorf("export as %s: got the file %s with %.500s, want %.500s", format, file, got, want)
		}
	}
	p.Open("/-/groups/acme/audit-log?phrase=action:member_created")
	event := p.In("details", "member_created")
	event.Open()
	event.Follow("link", "Permalink")
	if file, got := p.Download("link", "Download"); !strings.HasSuffix(file, ".json") || strings.TrimSpace(string(got)) != events()[0] {
		t.Errorf("download an event: got the file %s with %s, want %s", file, got, events()[0])
	}
}

func follows(t *testing.T, w *world) {
	var ci struct{ Token string }
	w.call("POST", "/api/v1/tokens", `{"kind":"producer","namespace":"acme","name":"ci"}`, &ci)
	p := w.signedIn(t, "jane")
	p.Open("/-/groups/acme/audit-log")
	const meanwhile = 120 // more than a page shows
	w.callAs(ci.Token, "POST", "/api/v1/events", strings.Repeat(`{"action":"live.meanwhile","repo":"live/web","actor":"jane"}`+"\n", meanwhile), nil)
	p.Click("button", "Follow live")
	p.until("what came since the page was made", func() bool {
		return webtest.Eval[int](p.Window, `[...document.querySelectorAll(".fresh .event-type")].filter((e) => e.textContent === "live.meanwhile").length`) == meanwhile
	})
	var path string
	p.until("new events to be followed", func() bool {
		w.callAs(ci.Token, "POST", "/api/v1/events", `{"action":"live.`+time.Now().Format("150405")+`","repo":"live/web","actor":"jane"}`, nil)
		path = webtest.Eval[string](p.Window, `document.querySelector(".fresh .event-path")?.textContent ?? ""`)
		return path != ""
	})
	if path != "acme/live/web" { // the token is for acme
		t.Errorf("got an event of %s, want acme/live/web", path)
	}
	p.Look("audit-log-live")
}

// countedLater has the script put in what was still being counted when the page was
// made.
func countedLater(t *testing.T, w *world) {
	p := w.signedIn(t, "jane")
	p.Open("/-/groups/acme/audit-log?type=repo.create")
	webtest.Eval[bool](p.Window, `(() => {
		const type = document.getElementById("type"), chart = document.getElementById("chart");
		for (const o of [...type.options]) if (o.value && !o.selected) o.remove();
		chart.querySelector(".hint").textContent = "";
		for (const part of [type, chart]) part.dataset.counting = "";
		const again = document.createElement("script");
		again.src = document.querySelector('script[src*="log.js"]').src;
		document.body.append(again);
		return true;
	})()`)
	p.until("the counts to be put in", func() bool {
		return webtest.Eval[bool](p.Window, `(() => {
			const type = document.getElementById("type");
			return !document.querySelector("[data-counting]") && type.options.length > 2 && type.value === "repo.create" &&
				document.querySelector("#chart .hint").textContent.includes("in these days");
		})()`)
	})
}

// until waits for a condition of somebody at a window.
func (p *person) until(what string, done func() bool) {
	p.t.Helper()
	until(p.t, what, done)
}
