package control_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/secret"
	"github.com/sluicelog/sluice/store"
)

// silent is a store that carries out changes of some records without an answer, and
// then does not give them either.
type silent struct {
	store.Store
	of atomic.Pointer[string] // beginning of their keys; nil while it answers
}

func (s *silent) about(key string) bool {
	of := s.of.Load()
	return of != nil && strings.HasPrefix(key, *of)
}

func (s *silent) Get(ctx context.Context, key string) (store.Record, error) {
	if s.about(key) {
		return store.Record{}, errPower
	}
	return s.Store.Get(ctx, key)
}

// What was changed or made without an answer, and could not be read then, is known
// as it is stored as soon as it can be.
func TestChangedWithoutAnAnswerTwice(t *testing.T) {
	var quiet *silent
	simulate(t, func(c *control.Config) {
		quiet = &silent{Store: c.Store}
		c.Store = quiet
	}, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		made, err := w.Service.CreateUser(ctx, w.Admin, control.UserSpec{Name: "jane", Password: "correct horse battery"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Service.SetMember(ctx, w.Admin, control.MemberSpec{Namespace: "acme", User: "jane", Role: control.Owner}); err != nil {
			t.Fatal(err)
		}
		noticed(t, w)
		time.Sleep(10 * time.Second)
		// lost does something whose answer does not arrive, and waits until the store
		// answers again and all is settled.
		lost := func(prefix string, do func() error) {
			t.Helper()
			loseAnswers(w, func(c store.Change) bool { return strings.HasPrefix(c.Key, prefix) && quiet.about(c.Key) })
			// Reading ends with the change: it is read first.
			w.Store.SetBefore(func(c store.Change) error {
				if strings.HasPrefix(c.Key, prefix) {
					quiet.of.Store(&prefix)
				}
				return nil
			})
			if err := do(); !errors.Is(err, errPower) {
				t.Errorf("%s: got %v, want %v", prefix, err, errPower)
			}
			time.Sleep(time.Minute)
			w.Store.SetBefore(nil)
			w.Store.SetAfter(nil)
			quiet.of.Store(nil)
			time.Sleep(10 * time.Second)
			synctest.Wait()
		}
		lost("user/", func() error {
			_, err := w.Service.UpdateUser(ctx, w.Admin, made.ID, control.UserPatch{Disabled: new(true)})
			return err
		})
		if u, err := w.Service.User(ctx, w.Admin, made.ID); err != nil || !u.Disabled {
			t.Errorf("user: got %+v, error %v, want jane disabled", u, err)
		}
		lost("member/", func() error { return w.Service.RemoveMember(ctx, w.Admin, "acme", "jane") })
		if list, err := w.Service.Members(ctx, w.Admin, nil); err != nil || len(list) != 0 {
			t.Errorf("members: got %+v, error %v, want none", list, err)
		}
		lost("notice/", func() error {
			_, err := w.Service.SetNotices(ctx, w.Admin, "acme", []control.Address{})
			return err
		})
		if got, err := w.Service.Notices(ctx, w.Admin, "acme"); err != nil || len(got.Addresses) != 0 {
			t.Errorf("addresses: got %d, error %v, want none", len(got.Addresses), err)
		}
		lost("stream/", func() error {
			_, err := w.Service.CreateStream(ctx, w.Admin, spec())
			return err
		})
		if list, err := w.Service.Streams(ctx, w.Admin, nil); err != nil || len(list) != 1 || list[0].Name != "siem" {
			t.Errorf("streams: got %+v, error %v, want one", list, err)
		}
		lost("token/", func() error {
			_, err := w.Service.CreateToken(ctx, w.Admin, control.TokenSpec{Namespace: "acme", Token: secret.Text("chosen-by-the-producer")})
			return err
		})
		if p, err := w.Service.Authenticate(ctx, "chosen-by-the-producer"); err != nil || p.Namespace != "acme" {
			t.Errorf("token: got %+v, error %v, want it taken", p, err)
		}
		list, err := w.Service.Tokens(ctx, w.Admin)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute) // its use is stored, in the same record
		synctest.Wait()
		lost("token/", func() error { return w.Service.RevokeToken(ctx, w.Admin, list[len(list)-1].ID) })
		if _, err := w.Service.Authenticate(ctx, "chosen-by-the-producer"); err == nil {
			t.Error("a token that is revoked in the store is taken")
		}
		lost("user/", func() error {
			_, err := w.Service.CreateUser(ctx, w.Admin, control.UserSpec{Name: "ann", Password: "correct horse battery"})
			return err
		})
		if u, err := w.Service.User(ctx, w.Admin, "ann"); err != nil || u.Name != "ann" {
			t.Errorf("user: got %+v, error %v, want ann", u, err)
		}
	})
}

// Nothing is made known that a change which failed did not store.
func TestFailedWithoutAnAnswer(t *testing.T) {
	var quiet *silent
	simulate(t, func(c *control.Config) {
		quiet = &silent{Store: c.Store}
		c.Store = quiet
	}, func(t *testing.T, w *controltest.World) {
		prefix := "stream/"
		quiet.of.Store(&prefix)
		w.Store.SetBefore(func(c store.Change) error {
			if quiet.about(c.Key) {
				return errPower
			}
			return nil
		})
		if _, err := w.Service.CreateStream(t.Context(), w.Admin, spec()); !errors.Is(err, errPower) {
			t.Errorf("create: got %v, want %v", err, errPower)
		}
		w.Store.SetBefore(nil)
		quiet.of.Store(nil)
		time.Sleep(10 * time.Second)
		if list, err := w.Service.Streams(t.Context(), w.Admin, nil); err != nil || len(list) != 0 {
			t.Errorf("streams: got %+v, error %v, want none", list, err)
		}
		time.Sleep(10 * time.Minute)
		create(t, w)
	})
}
