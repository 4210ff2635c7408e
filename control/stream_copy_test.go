package control_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/secret"
)

// A copy sends what was recorded to the same destination, with secrets that
// nobody sent again.
func TestCopyStream(t *testing.T) {
	searchingWith(t, func(*control.Config) {}, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		source := create(t, w, func(s *control.StreamSpec) {
			s.Namespace, s.Name, s.Strict = "umbra", "siem", true
			s.Config = json.RawMessage(`{"host":"sink.example","headers":[{"name":"a","value":"of a header"}]}`)
			s.Secrets = map[string]secret.Text{"password": "of the sink", "verification_token": "a-verification-token"}
			s.Filter = sluice.Filter{ExcludedEventTypes: []string{"git.push"}}
		})
		begin := time.Now().UTC()
		w.Post("umbra/web", "user.add", 3)
		w.Post("umbra/web", "git.push", 4)
		w.Post("initech", "user.add", 9)
		time.Sleep(time.Hour)
		end := time.Now().UTC()
		time.Sleep(time.Minute)
		w.Post("umbra/web", "user.add", 5)
		synctest.Wait()
		before := len(w.Kind.Received("sink.example"))

		spec := control.StreamSpec{CopyOf: source.ID, Name: "replay", Start: begin.Format(time.RFC3339), Until: end.Format(time.RFC3339)}
		n, err := w.Service.CountStream(ctx, bound("umbra"), spec)
		// The stream's and the namespace's own events are counted, too.
		if err != nil || n.Accepted != 9 || !n.Known || n.Wanted != n.Accepted-4 {
			t.Errorf("got %+v with error %v, want 9 events accepted, and 4 of these not wanted", n, err)
		}
		copied, err := w.Service.CreateStream(ctx, bound("umbra"), spec)
		if err != nil {
			t.Fatal(err)
		}
		if copied.Namespace != "umbra" || copied.Kind != "memory" || !copied.Strict || copied.VerificationToken != "a-verification-token" ||
			!slices.Equal(copied.Filter.ExcludedEventTypes, []string{"git.push"}) || copied.Secrets["password"] != "set" {
			t.Errorf("got %+v, want what its source has", copied)
		}
		time.Sleep(time.Minute)
		config, secrets := w.Kind.Opened()
		if secrets["password"] != "of the sink" || secrets["verification_token"] != "a-verification-token" || !strings.Contains(config, "of a header") {
			t.Errorf("got %s and other secrets, want those of the source", config)
		}
		if got := uint64(len(w.Kind.Received("sink.example")) - before); got != n.Wanted+1 {
			t.Errorf("got %d events again, want %d, and the source's one about the copy", got, n.Wanted)
		}
		told := w.Events("audit", "stream.create")
		if last := told[len(told)-1]; fmt.Sprint(last.Details["copy_of"]) != fmt.Sprint(source.ID) || strings.Contains(string(last.Raw), "of the sink") {
			t.Errorf("got %s, want that it is a copy, without secrets", last.Raw)
		}
		if _, err := w.Service.DeleteStream(ctx, w.Admin, copied.ID); err != nil {
			t.Error(err)
		}
		_, err = w.Service.CreateStream(ctx, w.Admin, spec2("umbra", "a-verification-token"))
		wantError(t, "a token that the source has", err, sluice.Conflict)
	})
}

func spec2(namespace, token string) control.StreamSpec {
	return spec(func(s *control.StreamSpec) {
		s.Namespace, s.Name = namespace, ""
		s.Secrets = map[string]secret.Text{"verification_token": secret.Text(token)}
	})
}

// The verification token of a copy is its own also when its source is gone.
func TestTokenOfACopyStays(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		token := func(s *control.StreamSpec) { s.Secrets["verification_token"] = "a-token-of-20-letters" }
		source := create(t, w, token)
		copied, err := w.Service.CreateStream(ctx, w.Admin, control.StreamSpec{CopyOf: source.ID})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Service.DeleteStream(ctx, w.Admin, source.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.Restart()
		_, err = w.Service.CreateStream(ctx, w.Admin, spec(named("other"), token))
		wantError(t, "the token of a copy", err, sluice.Conflict)
		if _, err := w.Service.DeleteStream(ctx, w.Admin, copied.ID); err != nil {
			t.Fatal(err)
		}
		create(t, w, named("other"), token)
	})
}

func TestCopyStreamRefused(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		source := create(t, w, func(s *control.StreamSpec) { s.Namespace = "umbra" })
		w.Post("umbra/web", "user.add", 1)
		for name, change := range map[string]func(*control.StreamSpec){
			"another namespace": func(s *control.StreamSpec) { s.Namespace = "acme" },
			"a kind":            func(s *control.StreamSpec) { s.Kind = "http" },
			"a config":          func(s *control.StreamSpec) { s.Config = json.RawMessage(`{}`) },
			"secrets":           func(s *control.StreamSpec) { s.Secrets = map[string]secret.Text{"password": "x"} },
			"an end before":     func(s *control.StreamSpec) { s.Start, s.Until = "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z" },
		} {
			spec := control.StreamSpec{CopyOf: source.ID}
			change(&spec)
			_, err := w.Service.CreateStream(ctx, w.Admin, spec)
			wantError(t, name, err, sluice.Invalid)
		}
		for id, p := range map[sluice.StreamID]control.Principal{source.ID: bound("acme"), 999: w.Admin, -1: w.Admin} {
			_, err := w.Service.CreateStream(ctx, p, control.StreamSpec{CopyOf: id})
			wantError(t, fmt.Sprint("stream ", id), err, sluice.NotFound)
			_, err = w.Service.CountStream(ctx, p, control.StreamSpec{CopyOf: id, Start: "earliest"})
			wantError(t, fmt.Sprint("counting stream ", id), err, sluice.NotFound)
		}
		n, err := w.Service.CountStream(ctx, w.Admin, control.StreamSpec{CopyOf: source.ID, Start: "earliest", Filter: sluice.Filter{EventTypes: []string{"x"}}})
		if err != nil || n.Known || n.Accepted == 0 {
			t.Errorf("without an index: got %+v with error %v, want the whole only", n, err)
		}
	})
}
