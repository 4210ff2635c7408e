package control_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/notice"
	"github.com/sluicelog/sluice/store"
)

// loseAnswers carries out the changes that f means, and loses the answers to them.
func loseAnswers(w *controltest.World, f func(store.Change) bool) {
	w.Store.SetAfter(func(c store.Change) error {
		if f(c) {
			return errPower
		}
		return nil
	})
}

// A token whose revocation is stored is not good any more, and that is told,
// although the answer of the store did not arrive.
func TestRevokedWithoutAnAnswer(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		made, err := w.Service.CreateToken(ctx, w.Admin, control.TokenSpec{Namespace: "acme"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		loseAnswers(w, func(c store.Change) bool { return c.Key == "token/"+made.ID })
		if err := w.Service.RevokeToken(ctx, w.Admin, made.ID); err != nil {
			t.Errorf("revoke: got %v", err)
		}
		w.Store.SetAfter(nil)
		_, err = w.Service.Authenticate(ctx, made.Text)
		wantError(t, "a token that is revoked in the store", err, sluice.Unauthorized)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		wantTypes(t, w, "token.revoke", "token.revoke")
	})
}

// A deletion whose last step is stored is told, and gives back the name of the
// stream, although the answer of the store did not arrive.
func TestDeletedWithoutAnAnswer(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w)
		time.Sleep(10 * time.Second)
		loseAnswers(w, func(c store.Change) bool {
			return strings.HasPrefix(c.Key, "stream/") && bytes.Contains(c.Value, []byte(`"ended":true`))
		})
		if _, err := w.Service.DeleteStream(t.Context(), w.Admin, s.ID); !errors.Is(err, errPower) {
			t.Errorf("delete: got %v, want %v", err, errPower)
		}
		w.Store.SetAfter(nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		wantTypes(t, w, "stream.delete", "stream.delete")
		create(t, w)
	})
}

// Addresses that were taken out of the settings get no notices any more, although
// the answer of the store did not arrive.
func TestNoticesSetWithoutAnAnswer(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		if _, err := w.Service.SetNotices(ctx, w.Admin, "acme", []control.Address{{Kind: notice.HTTP, Address: "https://hooks.example/1"}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		loseAnswers(w, func(c store.Change) bool { return strings.HasPrefix(c.Key, "notice/") })
		if _, err := w.Service.SetNotices(ctx, w.Admin, "acme", nil); !errors.Is(err, errPower) {
			t.Errorf("set: got %v, want %v", err, errPower)
		}
		w.Store.SetAfter(nil)
		if got, err := w.Service.Notices(ctx, w.Admin, "acme"); err != nil || len(got.Addresses) != 0 {
			t.Errorf("addresses: got %d and error %v, want none", len(got.Addresses), err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		wantTypes(t, w, "notice.update", "notice.update", "notice.update")
	})
}
