package web_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/secret"
)

// What a list has no room for is found by searching, also what had no events of
// late; a search changes nothing else.
func TestManyChoices(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, _ *controltest.Kind) {
		const types, projects = 1850, 10_000
		var events []string
		for i := range types {
			events = append(events, fmt.Sprintf(`{"id":"e%d","event_type":"type_%d","entity_path":"acme/group-%d/project-%d"}`, i, i, i%40, i%40))
		}
		b.PostRaw(events...)
		for i := 40; i < projects; i++ {
			if _, err := b.Service.DeclareNamespace(t.Context(), b.Admin, fmt.Sprintf("acme/group-%d/project-%d", i%40, i), control.Project); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute) // until they are counted
		b.httpStream(control.StreamSpec{})
		b.get(200, tabPath, "There are more: search for others.")
		for range 7 {
			b.httpStream(control.StreamSpec{})
		}
		if got := b.wire(tabPath); got > 100<<10 {
			t.Errorf("got %d bytes, want 100 KiB at most", got)
		}
		at := tabPath + "/new?kind=http"
		p := b.get(200, at, "There are more: search for others.")
		b.lacks(p, `value="type_1849"`, `value="acme/group-39/project-9999"`)
		form := with(p.form(t, at), "config.url", "https://siem.example.com/", "types", "type_10")
		p = b.post(200, at, with(form, "types.search", "E_1849", "do", "search:types"), `value="type_1849"`, `value="type_10" checked`, `value="https://siem.example.com/"`)
		p = b.post(200, at, with(p.form(t, at), "types", "type_1849", "namespaces.search", "Project-9999", "do", "search:namespaces"),
			`value="type_1849" checked`, `value="acme/group-39/project-9999"`)
		b.lacks(p, `value="acme/group-1/project-1"`)
		p = b.post(200, at, with(p.form(t, at), "namespaces", "acme/group-39/project-9999", "excluded.search", "nothing", "do", "search:excluded"), "Nothing was found.")
		b.follows(b.do("POST", at, with(p.form(t, at), "do", "save")), tabPath+"/9?notice=stream_created")
		if got := fmt.Sprint(b.stream(9).Filter); got != "{[type_1849] [] [acme/group-39/project-9999]}" {
			t.Errorf("got the filter %s", got)
		}
	})
}

// Enter sends the first button of a form, from whichever field: where something is
// searched for, it searches, and checks or saves nothing.
func TestEnterSearches(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, kind *controltest.Kind) {
		const first = `name="types" type="checkbox" value="first"`
		b.PostRaw(`{"id":"1","event_type":"first","entity_path":"acme/web"}`, `{"id":"2","event_type":"second","entity_path":"acme/web"}`)
		time.Sleep(time.Minute) // until they are counted
		st := b.httpStream(control.StreamSpec{})
		for _, at := range []string{tabPath + "/new?kind=http", fmt.Sprintf("%s/%d", tabPath, st.ID)} {
			checks, version := kind.Checks(), b.stream(st.ID).Version
			enter := func(p page, fields ...string) page {
				t.Helper()
				return b.post(200, at, with(p.form(t, at), append(fields, "do", p.enters(t, at))...))
			}
			p := b.get(200, at)
			p = enter(p, "config.url", "https://siem.example.com/", "types.search", "SEC")
			b.lacks(p, first)
			p = enter(p) // again, in the same field
			b.lacks(p, first)
			p = enter(p, "types.search", "") // all of them
			if !strings.Contains(p.html, first) {
				t.Errorf("%s: an empty search does not find everything", at)
			}
			if kind.Checks() != checks || b.stream(st.ID).Version != version {
				t.Errorf("%s: a search checked or saved the stream", at)
			}
			b.do("POST", at, with(p.form(t, at), "name", "siem", "do", p.enters(t, at)))
			if kind.Checks() == checks && b.stream(st.ID).Version == version {
				t.Errorf("%s: Enter did nothing without a search", at)
			}
		}
	})
}

// The installation's streams choose among enterprises and groups.
func TestInstanceChoices(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, _ *controltest.Kind) {
		for i := range 250 {
			if _, err := b.Service.DeclareNamespace(t.Context(), b.Admin, fmt.Sprintf("tenant-%d", i), control.Group); err != nil {
				t.Fatal(err)
			}
		}
		administrator := true
		if _, err := b.Service.UpdateUser(t.Context(), b.Admin, "jane", control.UserPatch{Administrator: &administrator}); err != nil {
			t.Fatal(err)
		}
		at := "/-/instance/log-streaming/new?kind=http"
		p := b.get(200, at, `name="namespaces" type="checkbox" value="acme"`, "There are more")
		b.lacks(p, "tenant-99")
		b.post(200, at, with(p.form(t, at), "namespaces.search", "NT-99", "do", "search:namespaces"), `value="tenant-99"`)
	})
}

// When a stream begins and ends, and whether it passes over events, is in its form.
func TestStreamTimes(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, _ *controltest.Kind) {
		at := tabPath + "/new?kind=http"
		time.Sleep(time.Hour)
		form := with(b.get(200, at, "More settings", "Wait for an event that keeps failing").form(t, at), "config.url", "https://siem.example.com/", "do", "save")
		for _, c := range []struct {
			entered []string
			want    string
		}{
			{[]string{"start", "time"}, "Start time has to be a day and a time."},
			{[]string{"start_at", "1999-12-31T00:00"}, "Start time is for a start at a time."},
			{[]string{"start", "time", "start_at", "2222-01-01T00:00"}, "Start lies in the future."},
			{[]string{"until", "soon"}, "End has to be a day and a time."},
			{[]string{"until", "1999-12-31T00:00"}, "End must be later than"},
		} {
			b.post(422, at, with(form, c.entered...), c.want, `class="field-problem"`, `<details class="more" open>`)
		}
		b.follows(b.do("POST", at, with(form, "start", "time", "start_at", "2000-01-01T00:10:05", "until", "2000-01-03T00:00", "strict", "true")), tabPath+"/1?notice=stream_created")
		one := tabPath + "/1"
		if st := b.stream(1); st.Start != "2000-01-01T00:10:05Z" || st.Until.Format(time.RFC3339) != "2000-01-03T00:00:00Z" || !st.Strict {
			t.Errorf("got %+v", st)
		}
		p := b.get(200, one, "1 Jan 2000 00:10:05 UTC", `value="2000-01-03T00:00"`, `<details class="more" open>`)
		b.follows(b.do("POST", one, with(p.form(t, one), "do", "save")), one+"?notice=stream_saved")
		if v := b.stream(1).Version; v != 1 {
			t.Errorf("got version %d after saving what is stored, want 1", v)
		}
		b.post(422, one, with(p.form(t, one), "until", "1999-12-31T00:00", "do", "save"), "End must lie in the future.")
		b.follows(b.do("POST", one, with(p.form(t, one), "until", "2000-01-02T00:00:07", "strict", "-", "do", "save")), one+"?notice=stream_saved")
		if st := b.stream(1); st.Until.Format(time.RFC3339) != "2000-01-02T00:00:07Z" || st.Strict {
			t.Errorf("got %+v", st)
		}
		time.Sleep(48 * time.Hour)
		b.signIn("jane")
		p = b.get(200, one, "Done", "2 Jan 2000 00:00:07 UTC")
		b.lacks(p, `name="until"`)
		b.follows(b.do("POST", one, with(p.form(t, one), "name", "renamed", "do", "save")), one+"?notice=stream_saved")
		ann := b.as("ann")
		ann.get(200, one, "<dt>Start</dt><dd>1 Jan 2000", "<dt>End</dt>")
	})
}

// What an administrator has set is told to owners, who change the rest.
func TestReservedFields(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, _ *controltest.Kind) {
		spec := control.StreamSpec{Namespace: "acme", Kind: "cloudlogging", Secrets: map[string]secret.Text{"private_key": secret.Text(privateKey())},
			Config: json.RawMessage(`{"project_id":"acme-audit-1234","client_email":"a@b.example","endpoint":"https://logs.example.com"}`)}
		if _, err := b.Service.CreateStream(t.Context(), b.Admin, spec); err != nil {
			t.Fatal(err)
		}
		one := tabPath + "/1"
		p := b.get(200, one, "<dt>Endpoint</dt><dd>https://logs.example.com, set by an administrator</dd>")
		b.follows(b.do("POST", one, with(p.form(t, one), "config.log_id", "two", "do", "save")), one+"?notice=stream_saved")
		if got := string(b.stream(1).Config); !strings.Contains(got, `"log_id":"two"`) || !strings.Contains(got, "https://logs.example.com") {
			t.Errorf("got %s", got)
		}
	})
}
