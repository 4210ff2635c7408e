package control_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/secret"
)

func TestTokens(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		made, err := w.Service.CreateToken(ctx, w.Admin, control.TokenSpec{Namespace: "Acme", Name: "ci"})
		if err != nil || !strings.HasPrefix(made.Text, "slc_") || len(made.Text) != 47 {
			t.Fatalf("made a token of %d characters with error %v, want slc_ and 43", len(made.Text), err)
		}
		p, err := w.Service.Producer(ctx, made.Text)
		if err != nil || p.Source != made.ID || p.Namespace != "Acme" {
			t.Errorf("producer: got %+v and error %v, want %s of Acme", p, err, made.ID)
		}
		who, err := w.Service.Authenticate(ctx, made.Text)
		if err != nil || who.Kind != control.KindProducer || who.Namespace != "acme" {
			t.Errorf("principal: got %+v and error %v", who, err)
		}
		given := secret.Text("chosen-by-the-other-side")
		if _, err := w.Service.CreateToken(ctx, w.Admin, control.TokenSpec{Token: given}); err != nil {
			t.Fatal(err)
		}
		_, err = w.Service.CreateToken(ctx, w.Admin, control.TokenSpec{Token: given, Namespace: "umbra"})
		wantError(t, "the same text again", err, sluice.Conflict)
		w.Restart()
		if _, err := w.Service.Producer(ctx, given.Reveal()); err != nil {
			t.Errorf("after a restart: %v", err)
		}
		list, err := w.Service.Tokens(ctx, w.Admin)
		if err != nil || len(list) != 3 || list[1].Text != "" {
			t.Errorf("list: got %+v and error %v, want 3 tokens without text", list, err)
		}
		if err := w.Service.RevokeToken(ctx, w.Admin, made.ID); err != nil {
			t.Fatal(err)
		}
		_, err = w.Service.Producer(ctx, made.Text)
		wantError(t, "a revoked token", err, sluice.Unauthorized)
		wantError(t, "revoke it again", w.Service.RevokeToken(ctx, w.Admin, made.ID), sluice.NotFound)
		wantError(t, "revoke the only administrator", w.Service.RevokeToken(ctx, w.Admin, w.Admin.ID), sluice.Conflict)
		_, err = w.Service.Producer(ctx, "")
		wantError(t, "no token", err, sluice.Unauthorized)
		if p, err := w.Service.Producer(ctx, w.AdminToken); err != nil || p.Namespace != "" || p.Source != w.Admin.ID {
			t.Errorf("an administrator as producer: got %+v and error %v", p, err)
		}
	})
}

func TestBadTokens(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		synctest.Wait()
		before := w.Records()
		for name, spec := range map[string]control.TokenSpec{
			"kind":           {Kind: "root"},
			"bound admin":    {Kind: control.KindAdmin, Namespace: "acme"},
			"chosen admin":   {Kind: control.KindAdmin, Token: "a-chosen-token-text"},
			"below":          {Namespace: "acme/web"},
			"bad namespace":  {Namespace: "."},
			"short":          {Token: "fifteen-letters"},
			"long":           {Token: secret.Text(strings.Repeat("x", 256))},
			"blank":          {Token: "a token with blanks"},
			"not ascii":      {Token: "ein-schönes-wort-hier"},
			"negative rate":  {RateLimit: -1},
			"name too long":  {Name: strings.Repeat("n", 256)},
			"name of space":  {Name: " \u200b"},
			"name two lines": {Name: "a\nb"},
		} {
			_, err := w.Service.CreateToken(t.Context(), w.Admin, spec)
			wantError(t, name, err, sluice.Invalid)
		}
		if after := w.Records(); after != before {
			t.Errorf("bad tokens left something behind: %s", after)
		}
	})
}

func TestEnsureAdmin(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		if made, err := w.Service.EnsureAdmin(ctx, ""); err != nil || made != "" {
			t.Errorf("with an administrator there: made %q, error %v, want nothing", made, err)
		}
		_, err := w.Service.EnsureAdmin(ctx, "short")
		wantError(t, "short preset", err, sluice.Invalid)
		old := w.AdminToken
		w.AdminToken = "another-administrator-token"
		synctest.Wait()
		w.Restart()
		_, err = w.Service.Authenticate(ctx, old)
		wantError(t, "the preset of before", err, sluice.Unauthorized)
		if list, _ := w.Service.Tokens(ctx, w.Admin); len(list) != 1 {
			t.Errorf("got %d tokens, want 1", len(list))
		}
		producer := secret.Text("text-of-a-producer-token")
		if _, err := w.Service.CreateToken(ctx, w.Admin, control.TokenSpec{Token: producer}); err != nil {
			t.Fatal(err)
		}
		_, err = w.Service.EnsureAdmin(ctx, producer)
		wantError(t, "a producer's text as preset", err, sluice.Invalid)
		wantTypes(t, w, "token.", "token.create", "token.create", "token.revoke", "token.create")
	})
}

// A tenant has no more tokens than the limit, whoever of it makes them, and no other
// tenant notices.
func TestTokensAreBounded(t *testing.T) {
	simulate(t, func(c *control.Config) { c.TokenLimit = 2 }, func(t *testing.T, w *controltest.World) {
		made := func(namespace string) (control.Token, error) {
			return w.Service.CreateToken(t.Context(), w.Admin, control.TokenSpec{Namespace: namespace})
		}
		var tokens []control.Token
		for _, namespace := range []string{"acme", "ACME", "umbra", "", "", ""} {
			made, err := made(namespace)
			if err != nil {
				t.Fatalf("a token of %q: %v", namespace, err)
			}
			tokens = append(tokens, made)
		}
		_, err := made("Acme")
		wantError(t, "a third token", err, sluice.Conflict)
		if err := w.Service.RevokeToken(t.Context(), w.Admin, tokens[1].ID); err != nil {
			t.Fatal(err)
		}
		if _, err := made("acme"); err != nil {
			t.Errorf("in the place of a revoked one: %v", err)
		}
	})
}

// The server's limit holds for tokens without one of their own, also for those
// that were made before it was set.
func TestRateLimitOfTheServer(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		plain, err := w.Service.CreateToken(t.Context(), w.Admin, control.TokenSpec{})
		if err != nil {
			t.Fatal(err)
		}
		own, err := w.Service.CreateToken(t.Context(), w.Admin, control.TokenSpec{RateLimit: 100})
		if err != nil {
			t.Fatal(err)
		}
		w.Stop()
		w.Configure = func(c *control.Config) { c.RateLimit = 10 }
		w.Start()
		for text, limit := range map[string]int{plain.Text: 10, own.Text: 100} {
			p, err := w.Service.Producer(t.Context(), text)
			if err != nil {
				t.Fatal(err)
			}
			for i := range limit + 1 {
				if _, ok := w.Service.Admit(p, 1); ok != (i < limit) {
					t.Errorf("event %d of a token with %d a second: got admitted %v", i+1, limit, ok)
				}
			}
		}
	})
}

func TestRateLimit(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		made, err := w.Service.CreateToken(t.Context(), w.Admin, control.TokenSpec{RateLimit: 100})
		if err != nil {
			t.Fatal(err)
		}
		p, err := w.Service.Producer(t.Context(), made.Text)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := w.Service.Admit(p, 300); !ok {
			t.Error("a full bucket refuses a large request")
		}
		wait, ok := w.Service.Admit(p, 1)
		if ok || wait < 2*time.Second || wait > 3*time.Second {
			t.Errorf("200 events in debt at 100 a second: got %v and %v, want a wait of 2 to 3 s", wait, ok)
		}
		time.Sleep(wait)
		if _, ok := w.Service.Admit(p, 1); !ok {
			t.Error("refused after the wait that was asked for")
		}
		time.Sleep(time.Hour)
		admitted := 0
		for range 1000 {
			if _, ok := w.Service.Admit(p, 1); ok {
				admitted++
			}
		}
		if admitted != 100 {
			t.Errorf("admitted %d at once after an hour, want 100", admitted)
		}
		unlimited, _ := w.Service.Producer(t.Context(), w.AdminToken)
		for range 1000 {
			if _, ok := w.Service.Admit(unlimited, 1000); !ok {
				t.Fatal("a token without a limit was refused")
			}
		}
	})
}

// What belongs to another tenant looks like what does not exist, and those who
// may only post are told so everywhere alike.
func TestTenantsAreApart(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		s := create(t, w)
		other := create(t, w, func(s *control.StreamSpec) { s.Namespace = "umbra" })
		instance := create(t, w, func(s *control.StreamSpec) { s.Namespace = "" })
		owner := control.Principal{ID: "t9", Kind: control.KindAdmin, Namespace: "umbra", Name: "owner"}
		poster := control.Principal{ID: "t8", Kind: control.KindProducer, Namespace: "acme", Name: "poster"}
		strict := true
		type try struct {
			what string
			do   func(p control.Principal, id sluice.StreamID) error
		}
		for _, c := range []try{
			{"read", func(p control.Principal, id sluice.StreamID) error {
				_, err := w.Service.Stream(ctx, p, id)
				return err
			}},
			{"update", func(p control.Principal, id sluice.StreamID) error {
				_, err := w.Service.UpdateStream(ctx, p, id, control.StreamPatch{Strict: &strict})
				return err
			}},
			{"check", func(p control.Principal, id sluice.StreamID) error {
				_, err := w.Service.CheckStream(ctx, p, id)
				return err
			}},
			{"pause", func(p control.Principal, id sluice.StreamID) error {
				_, err := w.Service.PauseStream(ctx, p, id)
				return err
			}},
			{"quarantine", func(p control.Principal, id sluice.StreamID) error {
				_, err := w.Service.Quarantine(ctx, p, id, 0)
				return err
			}},
			{"redeliver", func(p control.Principal, id sluice.StreamID) error {
				_, err := w.Service.Redeliver(ctx, p, id, control.QuarantineChoice{})
				return err
			}},
			{"drop", func(p control.Principal, id sluice.StreamID) error {
				_, err := w.Service.Drop(ctx, p, id, control.QuarantineChoice{})
				return err
			}},
			{"delete", func(p control.Principal, id sluice.StreamID) error {
				_, err := w.Service.DeleteStream(ctx, p, id)
				return err
			}},
		} {
			foreign := wantError(t, c.what+" another's stream", c.do(owner, s.ID), sluice.NotFound)
			wantError(t, c.what+" the instance's stream", c.do(owner, instance.ID), sluice.NotFound)
			absent := wantError(t, c.what+" no stream", c.do(owner, 4711), sluice.NotFound)
			if *foreign != *absent {
				t.Errorf("%s: what belongs to others is answered with %+v, what does not exist with %+v", c.what, foreign, absent)
			}
			there := wantError(t, c.what+" by a producer", c.do(poster, s.ID), sluice.Forbidden)
			if missing := wantError(t, c.what+" nothing by a producer", c.do(poster, 4711), sluice.Forbidden); *there != *missing {
				t.Errorf("%s: a producer learns what exists", c.what)
			}
		}
		list, err := w.Service.Streams(ctx, owner, nil)
		if err != nil || len(list) != 1 || list[0].ID != other.ID {
			t.Errorf("list: got %d streams and error %v, want its own one", len(list), err)
		}
		_, err = w.Service.CreateStream(ctx, owner, spec())
		wantError(t, "create a stream elsewhere", err, sluice.NotFound)
		_, err = w.Service.CreateToken(ctx, owner, control.TokenSpec{Namespace: "acme"})
		wantError(t, "create a token elsewhere", err, sluice.NotFound)
		_, err = w.Service.DeclareNamespace(ctx, owner, "acme/x", control.Group)
		wantError(t, "declare a namespace elsewhere", err, sluice.NotFound)
		wantError(t, "revoke another's token", w.Service.RevokeToken(ctx, owner, w.Admin.ID), sluice.NotFound)
		if names, err := w.Service.Namespaces(ctx, owner, ""); err != nil || len(names) != 1 || names[0].Path != "umbra" {
			t.Errorf("namespaces: got %v and error %v, want umbra alone", names, err)
		}
		_, err = w.Service.Tokens(ctx, poster)
		wantError(t, "tokens by a producer", err, sluice.Forbidden)
		wantError(t, "metrics by an owner", control.Operator(owner), sluice.NotFound)
	})
}

// Self-audit events belong to the tenant whose things changed.
func TestEventsBelongToTheirTenant(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		create(t, w)
		create(t, w, func(s *control.StreamSpec) { s.Namespace = "" })
		synctest.Wait()
		events := w.Events("audit", "stream.create")
		if len(events) != 2 {
			t.Fatalf("got %d events, want 2", len(events))
		}
		if e := events[0]; e.EntityPath != "acme" || e.EntityType != sluice.KindGroup || e.TargetDetails != "siem" || e.AuthorID != -1 ||
			e.Details["custom_message"] != "Created a stream" {
			t.Errorf("got %+v, want an event of the group acme", e)
		}
		if e := events[1]; e.EntityPath != "gitlab_instance" || e.EntityType != sluice.KindInstance {
			t.Errorf("got %+v, want an event of the installation", e)
		}
		b, err := w.Log.Block(t.Context(), "audit", 1)
		if err != nil || b.Sources[0] != sluice.SourceSluice {
			t.Errorf("source: got %v and error %v, want %q", b.Sources, err, sluice.SourceSluice)
		}
		var raw map[string]json.RawMessage
		if err := json.Unmarshal(events[0].Raw, &raw); err != nil || len(raw["id"]) != 38 {
			t.Errorf("id: got %s, want a UUID", raw["id"])
		}
	})
}

// Everything at once, for the race detector.
func TestConcurrentChanges(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for range 5 {
					s, err := w.Service.CreateStream(ctx, w.Admin, spec(named("")))
					if err != nil {
						t.Error(err)
						return
					}
					level := json.RawMessage(`{"level":9}`)
					if _, err := w.Service.UpdateStream(ctx, w.Admin, s.ID, control.StreamPatch{Config: level}); err != nil {
						t.Error(err)
					}
					w.Post("acme/web", "git.push", 1)
					if _, err := w.Service.Streams(ctx, w.Admin, nil); err != nil {
						t.Error(err)
					}
					if i%2 == 0 {
						if _, err := w.Service.DeleteStream(ctx, w.Admin, s.ID); err != nil {
							t.Error(err)
						}
					}
				}
			})
			wg.Go(func() {
				for range 5 {
					tok, err := w.Service.CreateToken(ctx, w.Admin, control.TokenSpec{Namespace: "acme"})
					if err != nil {
						t.Error(err)
						return
					}
					if err := w.Service.RevokeToken(ctx, w.Admin, tok.ID); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		if got := len(streamsOf(w)); got != 20 {
			t.Errorf("got %d streams, want 20", got)
		}
		for prefix, want := range map[string]int{"stream.create": 40, "stream.update": 40, "stream.delete": 20, "token.create": 41, "token.revoke": 40, "namespace.create": 1} {
			if got := len(w.Events("audit", prefix)); got != want {
				t.Errorf("%s: told %d times, want %d", prefix, got, want)
			}
		}
	})
}
