package control_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/secret"
)

// A server whose key is lost shows its streams, holds them, and delivers again when
// their secrets are entered anew; nothing that was accepted is lost.
func TestLostKey(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		before := create(t, w)
		w.Ring = secret.NewRing()
		w.Restart()
		w.Post("acme/web", "repo.create", 3)
		synctest.Wait()
		list, err := w.Service.Streams(t.Context(), w.Admin, nil)
		if err != nil || len(list) != 1 {
			t.Fatalf("streams: got %v and error %v, want one", list, err)
		}
		got := list[0]
		if got.Status != sluice.StatusHeld || len(got.Secrets) != 0 || got.VerificationToken != "" || string(got.Config) != `{"headers":[],"host":"sink.example","level":1}` {
			t.Errorf("stream: got %s with secrets %v and %s, want it held without any", got.Status, got.Secrets, got.Config)
		}
		got, err = w.Service.UpdateStream(t.Context(), w.Admin, before.ID, control.StreamPatch{
			Config:  json.RawMessage(`{"headers":[{"name":"Authorization","value":"` + theHeaderValue + `","active":true}]}`),
			Secrets: map[string]secret.Text{"password": thePassword},
		})
		if err != nil {
			t.Fatalf("enter the secrets anew: %v", err)
		}
		synctest.Wait()
		if got.VerificationToken == "" || got.VerificationToken == before.VerificationToken || len(got.Secrets) != 1 {
			t.Errorf("stream: got verification token %q and secrets %v, want a new token and one secret", got.VerificationToken, got.Secrets)
		}
		if n := len(w.Kind.Received("sink.example")); n < 3 {
			t.Errorf("got %d events delivered, want all", n)
		}
	})
}
