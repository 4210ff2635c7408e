package web_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/secret"
)

// historyOf is the page of a stream of acme.
func historyOf(st control.Stream) string {
	return "/-/groups/acme/streams/" + strconv.FormatInt(int64(st.ID), 10)
}

func TestHistory(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, sink *controltest.Kind) {
		st := b.httpStream(control.StreamSpec{Name: "siem <1>"})
		page := historyOf(st)
		b.get(200, page, "siem &lt;1&gt;", "No event waits in quarantine", "There is no gap")
		idle := false // the others soon get Sluice's own events
		b.get(200, historyOf(b.httpStream(control.StreamSpec{Name: "idle", Active: &idle})), "Nothing was tried yet", "none yet")
		b.Post("acme/web", "project_created", 40)
		b.Post("acme/web", "git.push", 2)
		time.Sleep(time.Minute)
		b.get(200, page, ">Delivered<", "2 Git events", "audit events", "Delivered in the last 24 hours", "Events that waited", " UTC: 4", "Created a stream", "All of it in the audit log")
		b.get(200, "/-/groups/acme/log-streaming", `href="`+page+`"`)

		sink.Refuse(&destination.Error{Class: destination.Misconfigured, Status: 403, Message: "wrong <token>"})
		b.Post("acme/web", "project_created", 5)
		time.Sleep(2 * time.Second)
		b.get(200, page, "Held", "403 Forbidden: wrong &lt;token&gt;", `class="bad" x="`, "Refused: somebody has to act", "Try again now", "1 failed try")
		b.follows(b.do("POST", page+"/retry", values()), page+"?notice=stream_retried")
		b.get(200, page+"?notice=stream_retried", "The stream is tried now")
		b.follows(b.do("POST", page+"/retry", values()), page+"?notice=stream_not_retried")
		time.Sleep(time.Hour)
		b.get(200, page, "Deliveries are held until somebody acts", "wrong &lt;token&gt;", " UTC: 8 events, 49 min behind", "before the stream was made", "nothing is known where it is grey")
		sink.Refuse(nil)
		time.Sleep(time.Hour)
		b.get(200, page, "Deliveries pass again", "up to date now; at most ")
		b.lacks(b.get(200, page), "Try again now")
	})
}

// Who may read a stream sees its pages, who may not is told that there is none.
func TestWhoSeesHistory(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, sink *controltest.Kind) {
		st := b.httpStream(control.StreamSpec{Name: "siem", Filter: sluice.Filter{EventTypes: []string{"user_created"}}})
		page := historyOf(st)
		time.Sleep(time.Minute) // until it has passed over its own creation
		b.get(200, page, "Events that waited", "up to date now", "Replay", "Settings")
		ann := b.as("ann")
		b.lacks(ann.get(200, page, "siem"), "Replay", "Settings", "<form method=\"post\" action=\""+page)
		ann.get(200, page+"/quarantine", "No event waits in quarantine.")
		for _, end := range []string{"/quarantine", "/replay", "/retry"} {
			ann.post(403, page+end, values("do", "drop-all", "sure", "yes"))
			b.want(b.do("DELETE", page+end, nil), 405, "DELETE "+end)
		}
		ann.get(403, page+"/replay")
		eve := b.as("eve")
		for _, end := range []string{"", "/quarantine", "/replay"} {
			eve.get(404, page+end)
			b.get(404, "/-/groups/umbra/streams/"+strconv.FormatInt(int64(st.ID), 10)+end)
			b.get(404, historyOf(control.Stream{ID: 999})+end)
			b.get(404, "/-/groups/acme/streams/x"+end)
			b.want(b.do("HEAD", page+end, nil), 200, "HEAD "+end)
		}
		eve.post(404, page+"/replay", values())
		b.get(405, page+"/retry")
	})
}

var chosenEvent = regexp.MustCompile(`name="event" value="([^"]+)"`)

func TestQuarantine(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, sink *controltest.Kind) {
		st := b.httpStream(control.StreamSpec{Name: "siem"})
		page := historyOf(st) + "/quarantine"
		for i := range 4 {
			sink.Poison(fmt.Sprint("bad", i))
			b.PostRaw(fmt.Sprintf(`{"id":"bad%d","event_type":"user.add","entity_path":"acme/web","note":"<b>&"}`, i), fmt.Sprintf(`{"id":"good%d","event_type":"user.add","entity_path":"acme/web"}`, i))
		}
		time.Sleep(time.Hour)
		p := b.get(200, page, "1 to 4 of 4, the oldest first.", "poison", "user.add", "acme/web", `&#34;note&#34;: &#34;&lt;b&gt;&amp;&#34;`, "Redeliver all 4")
		names := chosenEvent.FindAllStringSubmatch(p.html, -1)
		b.get(200, historyOf(st), "refused 4 of the events as such")
		b.get(200, page+"?from=3", "3 to 4 of 4")
		b.get(200, page+"?from=99", "1 to 4 of 4")
		b.post(422, page, values("do", "redeliver"), "No event is chosen.")
		b.post(422, page, values("do", "drop", "event", "audit"), "An event that was chosen is not known.")
		b.post(422, page, values("do", "redeliver", "event", "nothing-1"), "partition and seq")
		b.post(422, page, values("do", "redeliver", "event", "audit-999999"), "None of these events")
		b.post(422, page, values("do", "burn", "event", names[0][1]), "There is nothing to do.")

		ask := b.post(200, page, values("do", "drop", "event", names[0][1]), "Drop 1 event of the stream siem?", "cannot be undone")
		if got := b.stream(st.ID).Ledger.Quarantined; got != 4 {
			t.Errorf("after asking: got %d events in quarantine, want 4", got)
		}
		b.follows(b.do("POST", page, ask.form(t, page)), page+"?notice=dropped")
		b.get(200, page+"?notice=dropped", "They are dropped.", "1 to 3 of 3")
		sink.Poison("")
		b.follows(b.do("POST", page, values("do", "redeliver", "event", names[1][1])), page+"?notice=redelivered")
		time.Sleep(time.Minute)
		b.get(200, page, "1 to 2 of 2")
		last := b.get(200, page, "1 to 2 of 2").form(t, page)
		b.follows(b.do("POST", page, values("do", "redeliver-all", "up_to", last.Get("up_to"))), page+"?notice=redelivered")
		time.Sleep(time.Minute)
		b.get(200, page, "No event waits in quarantine.")
		if got := sink.Received("sink.example"); !slices.Contains(got, "bad1") || slices.Contains(got, "bad0") {
			t.Errorf("got %v, want bad1 to bad3 and not bad0", got)
		}
		ledger := b.stream(st.ID).Ledger
		if ledger.Expired != 1 || ledger.Quarantined != 0 || !ledger.Balanced() {
			t.Errorf("got %+v, want one expired", ledger)
		}
		b.get(200, historyOf(st), "Asked to drop quarantined events", "Asked to deliver quarantined events again", "1 event")
		b.post(422, page, values("do", "drop-all"), "No event is chosen.")
		b.post(422, page, values("do", "drop-all", "sure", "yes", "up_to", "audit"), "An event that was chosen is not known.")
	})
}

// What comes into quarantine after the page was made is not among all of it.
func TestQuarantineFillsMeanwhile(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, sink *controltest.Kind) {
		st := b.httpStream(control.StreamSpec{Name: "siem"})
		page := historyOf(st) + "/quarantine"
		spoil := func(names ...string) {
			for _, name := range names {
				sink.Poison("bad" + name)
				b.PostRaw(`{"id":"bad`+name+`","event_type":"user.add","entity_path":"acme/web"}`, `{"id":"good`+name+`","event_type":"user.add","entity_path":"acme/web"}`)
			}
			time.Sleep(time.Hour)
		}
		spoil("1", "2")
		shown := b.get(200, page, "1 to 2 of 2", "Drop all 2").form(t, page)
		spoil("3")
		ask := b.post(200, page, with(shown, "do", "drop-all"), "Drop 2 events of the stream siem?", "stay there")
		spoil("4")
		b.follows(b.do("POST", page, ask.form(t, page)), page+"?notice=dropped")
		b.get(200, page, "1 to 2 of 2", "bad3", "bad4")
		sink.Poison("")
		b.follows(b.do("POST", page, with(shown, "do", "redeliver-all")), page+"?notice=redelivered")
		time.Sleep(time.Hour)
		if got := b.stream(st.ID).Ledger; got.Quarantined != 2 || got.Expired != 2 {
			t.Errorf("got %+v, want two in quarantine and two expired", got)
		}
	})
}

// A replay is counted first, then made with the secrets of its source.
func TestReplay(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, sink *controltest.Kind) {
		st := b.httpStream(control.StreamSpec{Name: "siem", Filter: sluice.Filter{EventTypes: []string{"user.add"}}, Secrets: map[string]secret.Text{"verification_token": "a-verification-token"}})
		b.secrets = append(b.secrets, "a-verification-token")
		page := historyOf(st) + "/replay"
		time.Sleep(time.Minute)
		b.Post("acme/web", "user.add", 6)
		b.Post("acme/web", "user.remove", 5)
		time.Sleep(10 * time.Minute)
		b.Post("acme/web", "user.add", 1)
		time.Sleep(time.Second)
		first := b.get(200, page, "Replay to siem", "Count the events", "Start the replay")
		form := first.form(t, page)
		if form.Get("name") == "" || form.Get("start") != "1999-12-31T00:11" || form.Get("until") != "" {
			t.Errorf("got %v, want that the last day is proposed", form)
		}
		synctest.Wait()
		counted := b.post(200, page, with(form, "do", "count"), "<strong>7</strong> events would be sent, of ", "what was before it is gone")
		if len(b.streams()) != 1 {
			t.Error("counting made a stream")
		}
		for field, c := range map[string]struct{ value, text string }{
			"start": {"soon", "The start has to be a day and a time."}, "until": {"2000-01-01", "The end has to be a day and a time."}, "name": {"siem", "has the name"},
		} {
			b.post(422, page, with(form, "do", "start", field, c.value), c.text)
		}
		b.post(422, page, with(form, "do", "count", "until", "1999-01-01T00:00"), "The end must be later than the start.")
		form = with(counted.form(t, page), "do", "start", "name", "again", "start", "")
		p := b.do("POST", page, form)
		list := b.streams()
		again := list[len(list)-1]
		b.follows(p, historyOf(again)+"?notice=stream_created")
		if again.Name != "again" || again.Until == nil || again.VerificationToken != "a-verification-token" || again.Filter.EventTypes[0] != "user.add" {
			t.Errorf("got %+v, want a copy with an end", again)
		}
		b.follows(b.do("POST", page, form), "/-/groups/acme/log-streaming?notice=stream_repeated")
		time.Sleep(time.Minute)
		b.get(200, historyOf(again), "Done", "7 events")
		if got := len(sink.Received("sink.example")); got != 14 {
			t.Errorf("got %d events, want 7 twice", got)
		}
	})
}

// streams lists the streams of acme.
func (b *browser) streams() []control.Stream {
	b.t.Helper()
	acme := "acme"
	list, err := b.Service.Streams(b.t.Context(), b.Admin, &acme)
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

// However much there is, a page stays small.
func TestMuchHistory(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, sink *controltest.Kind) {
		st := b.httpStream(control.StreamSpec{Name: "siem"})
		var events []string
		for i := range 1000 {
			sink.Poison(fmt.Sprint("bad", i))
			events = append(events, fmt.Sprintf(`{"id":"bad%d","event_type":"user.add","entity_path":"acme/web","note":%q}`, i, strings.Repeat(fmt.Sprint(i, " "), 1000)),
				fmt.Sprintf(`{"id":"good%d","event_type":"user.add","entity_path":"acme/web"}`, i))
		}
		for len(events) > 0 {
			b.PostRaw(events[:20]...)
			events = events[20:]
			time.Sleep(time.Minute)
		}
		for range 100 {
			time.Sleep(time.Hour)
			if b.stream(st.ID).Ledger.Quarantined == 1000 {
				break
			}
		}
		page := historyOf(st)
		b.get(200, page+"/quarantine", "1 to 50 of 1,000", "The oldest 1,000")
		b.get(200, page+"/quarantine?from=951", "951 to 1,000 of 1,000")
		for _, target := range []string{page, page + "?attempts=all", page + "/quarantine"} {
			if got := b.wire(target); got > 100<<10 {
				t.Errorf("%s: got %d bytes, want 100 KiB at most", target, got)
			}
		}
	})
}
