package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
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

// simulate runs f on a world in simulated time.
func simulate(t *testing.T, configure func(*control.Config), f func(t *testing.T, w *controltest.World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := controltest.New(t, configure)
		f(t, w)
		w.Stop()
	})
}

// Values that must never be seen where they do not belong.
const (
	theSigningSecret = "whsec_top-secret-signing-key"
	thePassword      = "hunter2-hunter2"
	theHeaderValue   = "Bearer header-secret-value"
)

func spec(change ...func(*control.StreamSpec)) control.StreamSpec {
	s := control.StreamSpec{
		Namespace: "acme", Name: "siem", Kind: "memory",
		Config:  json.RawMessage(`{"host":"sink.example","headers":[{"name":"Authorization","value":"` + theHeaderValue + `","active":true}]}`),
		Secrets: map[string]secret.Text{"signing_secret": theSigningSecret, "password": thePassword},
	}
	for _, c := range change {
		c(&s)
	}
	return s
}

func create(t *testing.T, w *controltest.World, change ...func(*control.StreamSpec)) control.Stream {
	t.Helper()
	s, err := w.Service.CreateStream(t.Context(), w.Admin, spec(change...))
	if err != nil {
		t.Fatalf("create a stream: %v", err)
	}
	return s
}

func named(name string) func(*control.StreamSpec) {
	return func(s *control.StreamSpec) { s.Name = name }
}

// wantError checks the code, and that there is something to act on.
func wantError(t *testing.T, what string, err error, code sluice.Code) *sluice.Error {
	t.Helper()
	e, ok := errors.AsType[*sluice.Error](err)
	if !ok {
		t.Errorf("%s: got error %v, want one with code %s", what, err, code)
		return &sluice.Error{}
	}
	if e.Code != code {
		t.Errorf("%s: got code %s (%s), want %s", what, e.Code, e.Message, code)
	}
	return e
}

// types returns the types of the events in order.
func types(events []controltest.Stored) []string {
	out := []string{}
	for _, e := range events {
		out = append(out, e.EventType)
	}
	return out
}

func wantTypes(t *testing.T, w *controltest.World, prefix string, want ...string) {
	t.Helper()
	synctest.Wait()
	if got := types(w.Events("audit", prefix)); !slices.Equal(got, want) {
		t.Errorf("events %s*: got %v, want %v", prefix, got, want)
	}
}

func TestStreamDelivers(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		w.Post("acme/web", "user.add", 3)
		s := create(t, w)
		w.Post("acme/web", "user.add", 5)
		w.Post("umbra/web", "user.add", 5)
		synctest.Wait()
		// The stream's own creation is appended after its start.
		s, err := w.Service.Stream(t.Context(), w.Admin, s.ID)
		if err != nil {
			t.Fatal(err)
		}
		if want := uint64(5 + 1); s.Ledger.Delivered != want || s.Ledger.Accepted != want {
			// the declaration of the namespace may stand on either side of the start
			if s.Ledger.Delivered != want+1 || s.Ledger.Accepted != want+1 {
				t.Errorf("ledger: got %+v, want %d delivered", s.Ledger, want)
			}
		}
		if s.Status != sluice.StatusActive || s.Health.LagEvents != 0 || s.Health.LastSuccess == nil || len(s.Lanes) != 2 {
			t.Errorf("got %+v, want an active stream of two lanes without lag", s)
		}
	})
}

func TestStreamStarts(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		w.Post("acme", "git.push", 4)
		time.Sleep(time.Hour)
		middle := time.Now()
		w.Post("acme", "git.push", 3)
		time.Sleep(time.Hour)
		for start, want := range map[string]uint64{
			"": 0, "now": 0, "earliest": 7, middle.UTC().Format(time.RFC3339Nano): 3, "1999-01-01T00:00:00Z": 7,
		} {
			s := create(t, w, named(start), func(s *control.StreamSpec) { s.Start, s.Filter.EventTypes = start, []string{"git.push"} })
			synctest.Wait()
			s, err := w.Service.Stream(t.Context(), w.Admin, s.ID)
			if err != nil {
				t.Fatal(err)
			}
			if s.Ledger.Delivered != want || !s.Ledger.Balanced() || s.Ledger.Pending != 0 {
				t.Errorf("start %q: got %+v, want %d delivered", start, s.Ledger, want)
			}
		}
	})
}

func TestStreamSurvivesRestart(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		before := create(t, w)
		w.Post("acme", "git.push", 2)
		synctest.Wait()
		w.Restart()
		w.Post("acme", "git.push", 2)
		synctest.Wait()
		after, err := w.Service.Stream(t.Context(), w.Admin, before.ID)
		if err != nil {
			t.Fatal(err)
		}
		if string(after.Config) != string(before.Config) || after.VerificationToken != before.VerificationToken || after.Start != before.Start {
			t.Errorf("after restart: got %+v, want %+v", after, before)
		}
		config, secrets := w.Kind.Opened()
		if secrets["password"] != thePassword || secrets["signing_secret"] != theSigningSecret || !strings.Contains(config, theHeaderValue) {
			t.Errorf("opened after restart with %s and %d secrets, want those of before", config, len(secrets))
		}
		if got := len(w.Kind.Received("sink.example")); got < 5 {
			t.Errorf("received %d events, want at least 5", got)
		}
	})
}

// Secrets and header values appear in no record, event or log line; answers hold
// header values for owners, and the verification token, only.
func TestSecretsStaySecret(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w)
		const next, nextHeader = "whsec_the-next-signing-key", "Bearer the-next-header"
		s, err := w.Service.UpdateStream(t.Context(), w.Admin, s.ID, control.StreamPatch{
			Secrets: map[string]secret.Text{"signing_secret": next},
			Config:  json.RawMessage(`{"headers":[{"name":"Authorization","value":"` + nextHeader + `","active":true}]}`),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Service.CheckStream(t.Context(), w.Admin, s.ID); err != nil {
			t.Fatal(err)
		}
		tok, err := w.Service.CreateToken(t.Context(), w.Admin, control.TokenSpec{Namespace: "acme", Name: "ci"})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		answer, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		secrets := []string{theSigningSecret, thePassword, next}
		for _, v := range secrets {
			if strings.Contains(string(answer), v) {
				t.Errorf("the answer holds the secret %q", v)
			}
		}
		if !strings.Contains(string(answer), nextHeader) || s.Secrets["signing_secret"] != "set" || s.VerificationToken == "" {
			t.Errorf("the answer %s lacks the header's value, the state of a secret, or the verification token", answer)
		}
		everywhere := w.Records() + w.Logs()
		for _, e := range w.Events("audit", "") {
			everywhere += string(e.Raw)
		}
		for _, v := range append(secrets, theHeaderValue, nextHeader, s.VerificationToken, tok.Text, w.AdminToken) {
			if strings.Contains(everywhere, v) {
				t.Errorf("%q stands in a record, an event or a log line", v)
			}
		}
		update := w.Events("audit", "stream.update")
		if len(update) != 1 {
			t.Fatalf("got %d stream.update events, want 1", len(update))
		}
		got, _ := json.Marshal(update[0].Details["secrets_updated"])
		if want := `["signing_secret","config.headers.authorization"]`; string(got) != want {
			t.Errorf("secrets_updated: got %s, want %s", got, want)
		}
	})
}

func TestBadStreams(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		synctest.Wait()
		before := w.Records()
		for name, change := range map[string]func(*control.StreamSpec){
			"unknown kind":       func(s *control.StreamSpec) { s.Kind = "carrier-pigeon" },
			"namespace below":    func(s *control.StreamSpec) { s.Namespace = "acme/web" },
			"namespace dots":     func(s *control.StreamSpec) { s.Namespace = ".." },
			"namespace reserved": func(s *control.StreamSpec) { s.Namespace = "Gitlab_instance" },
			"long name":          func(s *control.StreamSpec) { s.Name = strings.Repeat("ä", 73) },
			"name of two lines":  func(s *control.StreamSpec) { s.Name = "a\nb" },
			"name that turns":    func(s *control.StreamSpec) { s.Name = "\u202egpj" },
			"name of a space":    func(s *control.StreamSpec) { s.Name = " " },
			"name of no width":   func(s *control.StreamSpec) { s.Name = "\u200b\u00a0\u2060" },
			"name of fillers":    func(s *control.StreamSpec) { s.Name = "\u3164\u2800\u0301" },
			"no config":          func(s *control.StreamSpec) { s.Config = nil },
			"config no object":   func(s *control.StreamSpec) { s.Config = json.RawMessage(`[]`) },
			"config field":       func(s *control.StreamSpec) { s.Config = json.RawMessage(`{"host":"a","port":1}`) },
			"forbidden address":  func(s *control.StreamSpec) { s.Config = json.RawMessage(`{"host":"meta.example"}`) },
			"literal address":    func(s *control.StreamSpec) { s.Config = json.RawMessage(`{"host":"127.0.0.1"}`) },
			"unknown secret":     func(s *control.StreamSpec) { s.Secrets["passwort"] = "x" },
			"rotation's secret":  func(s *control.StreamSpec) { s.Secrets["previous_signing_secret"] = "x" },
			"short verification": func(s *control.StreamSpec) { s.Secrets["verification_token"] = "short" },
			"filter elsewhere":   func(s *control.StreamSpec) { s.Filter.Namespaces = []string{"umbra"} },
			"filter contradicting": func(s *control.StreamSpec) {
				s.Filter.EventTypes, s.Filter.ExcludedEventTypes = []string{"a"}, []string{"a"}
			},
			"start unreadable":    func(s *control.StreamSpec) { s.Start = "yesterday" },
			"start in the future": func(s *control.StreamSpec) { s.Start = "2199-01-01T00:00:00Z" },
			"until unreadable":    func(s *control.StreamSpec) { s.Until = "later" },
			"until before start":  func(s *control.StreamSpec) { s.Until = "1999-01-01T00:00:00Z" },
		} {
			_, err := w.Service.CreateStream(t.Context(), w.Admin, spec(change))
			if e := wantError(t, name, err, sluice.Invalid); strings.Contains(e.Message+e.Hint, thePassword) {
				t.Errorf("%s: the error %q repeats a secret", name, e.Message)
			}
			_, err = w.Service.CheckDraft(t.Context(), w.Admin, spec(change))
			wantError(t, name+", checked", err, sluice.Invalid)
		}
		synctest.Wait()
		if after := w.Records(); after != before {
			t.Errorf("bad streams left something behind:\n%s\nbefore:\n%s", after, before)
		}
	})
}

func TestUniqueThings(t *testing.T) {
	three := func(c *control.Config) { c.StreamLimit = 3 }
	simulate(t, three, func(t *testing.T, w *controltest.World) {
		token := func(s *control.StreamSpec) { s.Secrets["verification_token"] = "a-token-of-20-letters" }
		first := create(t, w, token)
		_, err := w.Service.CreateStream(t.Context(), w.Admin, spec())
		wantError(t, "name taken", err, sluice.Conflict)
		_, err = w.Service.CreateStream(t.Context(), w.Admin, spec(named("other"), token))
		wantError(t, "verification token taken", err, sluice.Conflict)
		create(t, w, token, func(s *control.StreamSpec) { s.Namespace = "umbra" })
		second := create(t, w, named(""))
		create(t, w, named(""))
		_, err = w.Service.CreateStream(t.Context(), w.Admin, spec(named("")))
		wantError(t, "one too many", err, sluice.Conflict)
		taken := first.Name
		_, err = w.Service.UpdateStream(t.Context(), w.Admin, second.ID, control.StreamPatch{Name: &taken})
		wantError(t, "renamed to a taken name", err, sluice.Conflict)

		if _, err := w.Service.DeleteStream(t.Context(), w.Admin, first.ID); err != nil {
			t.Fatal(err)
		}
		again := create(t, w, token)
		if again.ID <= first.ID+1 {
			t.Errorf("got id %d again after %d, want a new one", again.ID, first.ID)
		}
		free := "free"
		if _, err := w.Service.UpdateStream(t.Context(), w.Admin, again.ID, control.StreamPatch{Name: &free}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Service.UpdateStream(t.Context(), w.Admin, second.ID, control.StreamPatch{Name: &taken}); err != nil {
			t.Errorf("rename to a name that was given up: %v", err)
		}
	})
}

func TestUpdate(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w)
		update := func(patch string) (control.Stream, error) {
			var p control.StreamPatch
			if err := json.Unmarshal([]byte(patch), &p); err != nil {
				t.Fatal(err)
			}
			return w.Service.UpdateStream(t.Context(), w.Admin, s.ID, p)
		}
		for patch, what := range map[string]string{
			`{"namespace":"umbra"}`: "namespace", `{"kind":"http"}`: "kind", `{"start":"earliest"}`: "start",
			`{"secrets":{"verification_token":"another-token-of-24"}}`: "verification token",
			`{"secrets":{"verification_token":null}}`:                  "no verification token",
			`{"config":{"host":null}}`:                                 "no host", `{"config":{"port":1}}`: "unknown field", `{"config":[]}`: "no object",
			`{"filter":{"namespaces":["umbra"]}}`: "foreign namespace", `{"until":"1999-01-01T00:00:00Z"}`: "past until",
		} {
			_, err := update(patch)
			wantError(t, what, err, sluice.Invalid)
		}
		for _, same := range []string{`{}`, `{"namespace":"ACME","kind":"memory","start":"now","name":"siem","active":true}`,
			`{"config":{"level":1}}`, `{"secrets":{"password":"` + thePassword + `"}}`} {
			if got, err := update(same); err != nil || got.Version != s.Version {
				t.Errorf("%s: got version %d and error %v, want nothing changed", same, got.Version, err)
			}
		}
		wantTypes(t, w, "stream.", "stream.create")
		got, err := update(`{"config":{"level":7},"filter":{"event_types":["git.push"]},"until":"2199-01-01T00:00:00Z","strict":true}`)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(got.Config), `"level":7`) || !strings.Contains(string(got.Config), "sink.example") || !got.Strict || got.Until == nil {
			t.Errorf("got %+v with config %s, want the changes beside what was", got, got.Config)
		}
		synctest.Wait()
		changes, _ := json.Marshal(w.Events("audit", "stream.update")[0].Details["changes"])
		const want = `{"config.level":{"from":1,"to":7},"filter.event_types":{"from":[],"to":["git.push"]},"strict":{"from":false,"to":true},"until":{"from":null,"to":"2199-01-01T00:00:00Z"}}`
		if string(changes) != want {
			t.Errorf("changes: got %s, want %s", changes, want)
		}
	})
}

func TestRotation(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w)
		set := func(value secret.Text) {
			t.Helper()
			if _, err := w.Service.UpdateStream(t.Context(), w.Admin, s.ID, control.StreamPatch{Secrets: map[string]secret.Text{"signing_secret": value}}); err != nil {
				t.Fatal(err)
			}
			w.Post("acme", "git.push", 1)
			synctest.Wait()
		}
		set("whsec_two")
		until := time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
		_, secrets := w.Kind.Opened()
		if secrets["signing_secret"] != "whsec_two" || secrets["previous_signing_secret"] != theSigningSecret || secrets["previous_signing_secret_until"] != until {
			t.Errorf("after replacing: got %d secrets, want the old one kept until %s", len(secrets), until)
		}
		set("")
		if _, secrets = w.Kind.Opened(); secrets["signing_secret"] != "" || secrets["previous_signing_secret"] != "" {
			t.Error("a signing secret that was removed still signs")
		}
	})
}

func TestPause(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w, func(s *control.StreamSpec) { s.Filter.EventTypes = []string{"git.push"} })
		for range 2 {
			got, err := w.Service.PauseStream(t.Context(), w.Admin, s.ID)
			if err != nil || got.Status != sluice.StatusPaused || got.Active || got.PausedAt == nil {
				t.Errorf("paused: got %+v and error %v", got, err)
			}
		}
		w.Post("acme", "git.push", 4)
		synctest.Wait()
		if got := w.Kind.Received("sink.example"); len(got) != 0 {
			t.Errorf("a paused stream delivered %v", got)
		}
		w.Restart()
		if got, err := w.Service.ResumeStream(t.Context(), w.Admin, s.ID); err != nil || !got.Active || got.PausedAt != nil {
			t.Errorf("resumed: got %+v and error %v", got, err)
		}
		synctest.Wait()
		if got := w.Kind.Received("sink.example"); len(got) != 4 {
			t.Errorf("received %d events after the pause, want 4", len(got))
		}
		wantTypes(t, w, "stream.", "stream.create", "stream.pause", "stream.resume")
	})
}

func TestRetry(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w, func(s *control.StreamSpec) { s.Filter.EventTypes = []string{"git.push"} })
		retry := func(want string) control.Retried {
			t.Helper()
			got, err := w.Service.RetryStream(t.Context(), w.Admin, s.ID)
			if err != nil {
				t.Fatalf("RetryStream: got %v, want nil", err)
			}
			if got.Retried != (want == "it is tried now") || !strings.Contains(got.Message, want) {
				t.Errorf("RetryStream: got %v and %q, want %q", got.Retried, got.Message, want)
			}
			synctest.Wait()
			return got
		}
		if got := retry("no try has failed since the last success"); got.Status != sluice.StatusActive {
			t.Errorf("a stream that does not wait: got status %s, want active", got.Status)
		}
		w.Kind.Refuse(&destination.Error{Class: destination.Unavailable, Message: "busy", RetryAfter: time.Hour})
		w.Post("acme", "git.push", 2)
		synctest.Wait()
		retry("less than a second ago")
		wantTypes(t, w, "stream.", "stream.create")
		time.Sleep(time.Minute)
		w.Kind.Refuse(nil)
		retry("it is tried now")
		if got := w.Kind.Received("sink.example"); len(got) != 2 {
			t.Errorf("received %d events after the repair, want 2", len(got))
		}
		events := w.Events("audit", "stream.retry")
		if len(events) != 1 || events[0].TargetDetails != "siem" || events[0].AuthorName == "Sluice" {
			t.Errorf("events: got %v, want one about the stream by its owner", events)
		}
		release := w.Kind.Hang()
		w.Post("acme", "git.push", 2)
		synctest.Wait()
		if got := retry("a try is under way since 2000-01-01T00:01:00Z (events: 2)"); got.Health.Trying == nil || got.Health.Trying.Events != 2 || got.Lanes[1].Trying == nil {
			t.Errorf("while a try hangs: got %+v", got.Health)
		}
		release()
		if _, err := w.Service.PauseStream(t.Context(), w.Admin, s.ID); err != nil {
			t.Fatal(err)
		}
		_, err := w.Service.RetryStream(t.Context(), w.Admin, s.ID)
		wantError(t, "RetryStream of a paused stream", err, sluice.Conflict)
	})
}

func TestDelete(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w, func(s *control.StreamSpec) { s.Filter.EventTypes = []string{"git.push"} })
		w.Post("acme", "git.push", 4)
		synctest.Wait()
		gone, err := w.Service.DeleteStream(t.Context(), w.Admin, s.ID)
		if err != nil || gone.Ledger.Delivered != 4 {
			t.Errorf("delete: got %+v and error %v, want 4 delivered", gone, err)
		}
		_, err = w.Service.Stream(t.Context(), w.Admin, s.ID)
		wantError(t, "read a deleted stream", err, sluice.NotFound)
		_, err = w.Service.DeleteStream(t.Context(), w.Admin, s.ID)
		wantError(t, "delete it again", err, sluice.NotFound)
		synctest.Wait()
		for _, prefix := range []string{"stream/", "lane/", "claim/stream", "claim/verification"} {
			for _, line := range strings.Split(w.Records(), "\n") {
				if strings.HasPrefix(line, prefix) {
					t.Errorf("left behind: %s", line)
				}
			}
		}
		deleted := w.Events("audit", "stream.delete")
		if len(deleted) != 1 || deleted[0].EntityPath != "acme" || deleted[0].AuthorName != "administrator" {
			t.Fatalf("got %+v, want one stream.delete of acme by the administrator", deleted)
		}
		var ledger sluice.Ledger
		b, _ := json.Marshal(deleted[0].Details["ledger"])
		if err := json.Unmarshal(b, &ledger); err != nil || ledger != gone.Ledger {
			t.Errorf("final ledger in the event: got %s, want %+v", b, gone.Ledger)
		}
		w.Post("acme", "git.push", 4)
		synctest.Wait()
		if got := w.Kind.Received("sink.example"); len(got) != 4 {
			t.Errorf("received %d events, want none after the deletion", len(got)-4)
		}
	})
}

// Outlasting a request: a caller that went away changes nothing about what was
// stored.
func TestCallerGoesAway(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.Service.CreateStream(ctx, w.Admin, spec()); err == nil {
			t.Error("created a stream for a caller that was gone before")
		}
		synctest.Wait()
		if list, _ := w.Service.Streams(t.Context(), w.Admin, nil); len(list) != 0 {
			t.Errorf("got %d streams, want 0", len(list))
		}
	})
}
