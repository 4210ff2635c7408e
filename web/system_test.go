package web_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/secret"
	"github.com/sluicelog/sluice/web"
)

// addStream makes a stream of the kind that keeps what it gets.
func (b *browser) addStream(change func(*control.StreamSpec)) control.Stream {
	b.t.Helper()
	spec := control.StreamSpec{
		Namespace: "acme", Name: "siem", Kind: "memory", Config: json.RawMessage(`{"host":"sink.example"}`),
		Secrets: map[string]secret.Text{"password": "the password of the sink", "verification_token": "a-verification-token"},
	}
	if change != nil {
		change(&spec)
	}
	st, err := b.Service.CreateStream(b.t.Context(), b.Admin, spec)
	if err != nil {
		b.t.Fatal(err)
	}
	return st
}

func TestSystem(t *testing.T) {
	simulate(t, web.Config{Version: "1.2.3-test"}, func(t *testing.T, b *browser) {
		const page = "/-/instance/system"
		b.secrets = append(b.secrets, "the password of the sink", "a-verification-token")
		b.signIn("jane")
		b.get(404, page)
		mona := b.as("mona")
		mona.get(404, "/-/groups/acme/system")
		mona.get(200, page, "1.2.3-test", runtime.Version(), "not measured yet", "There are no streams yet", "keeps no search index", "Everything is sealed with the current one.", "Audit events", "Git events")
		mona.want(mona.do("POST", page, values()), 405, "POST")

		b.Kind.Refuse(&destination.Error{Class: destination.Misconfigured, Status: 403, Message: "wrong <token>"})
		st := b.addStream(nil)
		time.Sleep(10 * time.Second)
		b.Post("acme/web", "project_created", 50)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		address := fmt.Sprintf("/-/groups/acme/streams/%d", st.ID)
		p := mona.get(200, page, `href="`+address+`"`, "held: wrong &lt;token&gt;", "1 held", " events/s", "Last 24 hours", "within ", "UTC: ")
		time.Sleep(5 * 24 * time.Hour)
		mona = b.as("mona")
		mona.get(200, page, "the oldest since 5 d")
		if strings.Contains(p.html, "not measured yet") {
			t.Error("the rate is not known, although the page was shown before")
		}
	})
}

// However many streams need attention, the page stays small.
func TestSystemOfMany(t *testing.T) {
	simulate(t, web.Config{}, func(t *testing.T, b *browser) {
		b.Kind.Refuse(&destination.Error{Class: destination.Misconfigured, Status: 403, Message: strings.Repeat("no way ", 1000)})
		for i := range 200 {
			namespace := fmt.Sprintf("tenant%d", i)
			b.addStream(func(s *control.StreamSpec) { s.Namespace = namespace })
			b.Post(namespace, "project_created", 1)
		}
		time.Sleep(time.Minute)
		mona := b.as("mona")
		mona.get(200, "/-/instance/system", "200 held", "And 100 more")
		if got := mona.wire("/-/instance/system"); got > 100<<10 {
			t.Errorf("got %d bytes, want 100 KiB at most", got)
		}
	})
}
