package control_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/secret"
)

func sealingKeys(t *testing.T, w *controltest.World) control.SealingKeys {
	t.Helper()
	keys, err := w.Service.SealingKeys(t.Context(), w.Admin)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// wantSecrets checks that a stream opens with the secrets it was made with.
func wantSecrets(t *testing.T, w *controltest.World, id sluice.StreamID) {
	t.Helper()
	if _, err := w.Service.CheckStream(t.Context(), w.Admin, id); err != nil {
		t.Fatalf("check: %v", err)
	}
	config, secrets := w.Kind.Opened()
	if secrets["password"] != thePassword || secrets["signing_secret"] != theSigningSecret || !strings.Contains(config, theHeaderValue) {
		t.Error("the secrets are not those that were set")
	}
}

func TestRotateKeys(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		var ids []sluice.StreamID
		for i := range 5 {
			ids = append(ids, create(t, w, named(fmt.Sprint("siem", i))).ID)
		}
		before := sealingKeys(t, w)
		if before.Values != 5*4 || before.Pending != 0 || len(before.Keys) != 1 {
			t.Errorf("before: got %+v, want 20 values of one key", before)
		}
		if _, err := w.Service.RotateKeys(t.Context(), w.Admin); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		after := sealingKeys(t, w)
		if after.Current == before.Current || after.Pending != 0 || len(after.Keys) != 2 || after.Keys[0].Values != 20 || after.Keys[1].Values != 0 {
			t.Errorf("after: got %+v, want 20 values of another key and the old one without any", after)
		}
		pruned, err := w.Service.PruneKeys(t.Context(), w.Admin)
		if err != nil || len(pruned.Keys) != 1 || len(w.Ring.Keys()) != 1 {
			t.Errorf("pruned: got %+v, error %v, want the current key alone", pruned, err)
		}
		for _, id := range ids {
			wantSecrets(t, w, id)
		}
		w.Post("acme", "user.add", 3)
		synctest.Wait() // delivery opens its destinations with a key that came later
		if s, err := w.Service.Stream(t.Context(), w.Admin, ids[0]); err != nil || s.Status != sluice.StatusActive || s.Ledger.Pending != 0 {
			t.Errorf("got status %s and %+v, error %v, want an active stream with nothing pending", s.Status, s.Ledger, err)
		}
		wantTypes(t, w, "secrets.", "secrets.rotate", "secrets.prune")
		w.Restart()
		wantSecrets(t, w, ids[4])
	})
}

// Whenever the power goes during a rotation, everything can be read, and the
// next start finishes it.
func TestRotationSurvivesCrashes(t *testing.T) {
	for _, late := range []bool{false, true} {
		for n := range int64(10) {
			simulate(t, nil, func(t *testing.T, w *controltest.World) {
				for i := range 4 {
					create(t, w, named(fmt.Sprint("siem", i)))
				}
				time.Sleep(10 * time.Second)
				synctest.Wait()
				cutAfter(w, n, late)
				_, _ = w.Service.RotateKeys(t.Context(), w.Admin)
				_, _ = w.Service.PruneKeys(t.Context(), w.Admin)
				synctest.Wait()
				w.Crash()
				time.Sleep(10 * time.Second)
				synctest.Wait()
				for id := range sluice.StreamID(4) {
					wantSecrets(t, w, id+1)
				}
				if got := sealingKeys(t, w); got.Pending != 0 || got.Values != 16 {
					t.Errorf("cut after %d: got %+v, want 16 values of the current key", n, got)
				}
			})
		}
	}
}

func TestPruneKeepsNeededKeys(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w)
		lost := secret.NewRing()
		ring := w.Ring
		w.Ring = lost // as when the key file was restored from an older copy
		w.Restart()
		w.Post("acme/web", "repo.create", 1) // a stream is held from its first try on
		synctest.Wait()
		if got, err := w.Service.Stream(t.Context(), w.Admin, s.ID); err != nil || len(got.Secrets) != 0 || got.Status != sluice.StatusHeld {
			t.Errorf("a stream whose key is missing: got %s with secrets %v, error %v; want it held without any", got.Status, got.Secrets, err)
		}
		got, err := w.Service.PruneKeys(t.Context(), w.Admin)
		if err != nil || len(got.Keys) != 2 || got.Keys[1].InFile || got.Pending != 4 {
			t.Errorf("got %+v, error %v, want four values of a missing key", got, err)
		}
		w.Ring = ring
		w.Restart()
		wantSecrets(t, w, s.ID)
	})
}

func TestKeysAreTheOperators(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		owner := control.Principal{ID: "t9", Kind: control.KindAdmin, Namespace: "acme", Name: "owner"}
		for name, do := range map[string]func(p control.Principal) error{
			"status": func(p control.Principal) error { _, err := w.Service.SealingKeys(t.Context(), p); return err },
			"rotate": func(p control.Principal) error { _, err := w.Service.RotateKeys(t.Context(), p); return err },
			"prune":  func(p control.Principal) error { _, err := w.Service.PruneKeys(t.Context(), p); return err },
		} {
			if err := do(owner); err == nil {
				t.Errorf("%s as an owner of one namespace: got no error", name)
			}
		}
	})
}

// Secrets that are not sent stay, header values too; each can be replaced alone.
func TestUpdateKeepsSecrets(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w)
		for name, patch := range map[string]control.StreamPatch{
			"a name":       {Name: new("other")},
			"a config":     {Config: []byte(`{"level":2}`)},
			"no secrets":   {Secrets: map[string]secret.Text{}},
			"same secrets": {Secrets: map[string]secret.Text{"password": thePassword}},
		} {
			if _, err := w.Service.UpdateStream(t.Context(), w.Admin, s.ID, patch); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			wantSecrets(t, w, s.ID)
		}
		if _, err := w.Service.UpdateStream(t.Context(), w.Admin, s.ID, control.StreamPatch{Secrets: map[string]secret.Text{"password": "another-password"}}); err != nil {
			t.Fatal(err)
		}
		_, err := w.Service.CheckStream(t.Context(), w.Admin, s.ID)
		config, secrets := w.Kind.Opened()
		if err != nil || secrets["password"] != "another-password" || secrets["signing_secret"] != theSigningSecret || !strings.Contains(config, theHeaderValue) {
			t.Errorf("after replacing one secret: got the others changed, error %v", err)
		}
		if _, err := w.Service.UpdateStream(t.Context(), w.Admin, s.ID, control.StreamPatch{Secrets: map[string]secret.Text{"password": ""}}); err != nil {
			t.Fatal(err)
		}
		_, err = w.Service.CheckStream(t.Context(), w.Admin, s.ID)
		if _, secrets := w.Kind.Opened(); err != nil || secrets["password"] != "" || secrets["signing_secret"] != theSigningSecret {
			t.Errorf("after removing one secret: got it still or others changed, error %v", err)
		}
	})
}

// A secret is replaced while a delivery is under way: that one ends with the old
// secret, the next one has the new one, and the stream is active throughout.
func TestReplaceSecretNeedsNoPause(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w)
		synctest.Wait()
		before := len(w.Kind.Passwords())
		release := w.Kind.Hang()
		w.Post("acme", "user.add", 1)
		synctest.Wait()
		s, err := w.Service.UpdateStream(t.Context(), w.Admin, s.ID, control.StreamPatch{Secrets: map[string]secret.Text{"password": "another-password"}})
		if err != nil || s.Status != sluice.StatusActive || !s.Active {
			t.Fatalf("got status %s, error %v, want it active", s.Status, err)
		}
		release()
		synctest.Wait()
		w.Post("acme", "user.add", 1)
		synctest.Wait()
		s, err = w.Service.Stream(t.Context(), w.Admin, s.ID)
		if err != nil || s.Status != sluice.StatusActive || s.Ledger.Pending != 0 || s.Ledger.Delivered != s.Ledger.Accepted || s.Health.LastError != nil {
			t.Errorf("got %+v, error %v, want all delivered without an error", s.Ledger, err)
		}
		got := w.Kind.Passwords()[before:]
		if len(got) < 2 || got[0] != thePassword || got[len(got)-1] != "another-password" {
			t.Errorf("got batches with the passwords %q, want the old one, then the new one", got)
		}
		wantTypes(t, w, "stream.pause")
	})
}

// What an address carries besides host and path is often a credential: events
// do not show it.
func TestEventsMaskAddresses(t *testing.T) {
	const token = "query-token-value"
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w, func(s *control.StreamSpec) { s.Config = []byte(`{"host":"https://sink.example/in?key=` + token + `"}`) })
		if _, err := w.Service.UpdateStream(t.Context(), w.Admin, s.ID, control.StreamPatch{Config: []byte(`{"host":"https://sink.example/in?key=2` + token + `"}`)}); err != nil {
			t.Fatal(err)
		}
		wantTypes(t, w, "stream.", "stream.create", "stream.update")
		for _, e := range w.Events("audit", "stream.") {
			if strings.Contains(string(e.Raw), token) || !strings.Contains(string(e.Raw), "https://sink.example/in?***") {
				t.Errorf("got the event %s, want the address with its query masked", e.Raw)
			}
		}
	})
}
