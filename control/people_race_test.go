package control_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/secret"
	"github.com/sluicelog/sluice/store"
)

// People at once, for the race detector; what is known follows what is stored.
func TestConcurrentPeople(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		addUser(t, w, "jane", "acme", control.Owner)
		token, _ := personal(t, w, "jane", "api")
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				for n := range 10 {
					role := []control.Role{control.Owner, control.Auditor}[(i+n)%2]
					if _, err := w.Service.SetMember(ctx, w.Admin, control.MemberSpec{Namespace: "acme", User: "jane", Role: role}); err != nil {
						t.Error(err)
					}
					if i == 0 && n%3 == 0 {
						_ = w.Service.RemoveMember(ctx, w.Admin, "acme", "jane") // another call may have been first
					}
					if _, err := w.Service.Authenticate(ctx, token.Text); err != nil {
						t.Error(err)
					}
					in, err := w.Service.SignIn(ctx, "jane", janesPassword, home)
					if err != nil {
						continue // many at once count as failures until they succeed
					}
					_, _ = w.Service.Session(ctx, in.Cookie.Reveal()) // others may have ended it: there are too many
					if n%2 == 0 {
						if err := w.Service.SignOut(ctx, in.Cookie.Reveal()); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		before, err := w.Service.Users(ctx, w.Admin)
		if err != nil {
			t.Fatal(err)
		}
		w.Restart()
		after, err := w.Service.Users(ctx, w.Admin)
		if err != nil || len(after) != 1 || after[0].Roles["acme"] != before[0].Roles["acme"] {
			t.Errorf("roles: known %v, stored %v (error %v)", before, after, err)
		}
	})
}

// A password that an administrator sets holds, although somebody who knows the one
// before is just setting another one.
func TestPasswordSetMeanwhile(t *testing.T) {
	var meanwhile func() // called when the clock is asked
	clock := func(c *control.Config) {
		c.Now = func() time.Time {
			if f := meanwhile; f != nil {
				meanwhile = nil
				f()
			}
			return time.Now()
		}
	}
	simulate(t, clock, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		addUser(t, w, "jane", "acme", control.Owner)
		cookie, jane := signIn(t, w, "jane")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		reset, done := secret.Text("a third horse battery"), false
		set := func() {
			_, err := w.Service.UpdateUser(ctx, w.Admin, "jane", control.UserPatch{Password: &reset})
			done = err == nil
		}
		meanwhile = func() { meanwhile = set } // before the current password is compared, and after
		err := w.Service.ChangePassword(ctx, jane, janesPassword, "another horse battery", home)
		if !done {
			t.Fatal("no other password was set meanwhile")
		}
		wantError(t, "change a password that is not the current one any more", err, sluice.Forbidden)
		if _, err := w.Service.Session(ctx, cookie); err == nil {
			t.Error("the session goes on")
		}
		if _, err := w.Service.SignIn(ctx, "jane", reset, home); err != nil {
			t.Errorf("sign in with what the administrator set: %v", err)
		}
	})
}

// A password that was changed is told to be changed, although the session that did it
// cannot go on: whoever is told that nothing was done tries the old one.
func TestPasswordChangedAndSessionLost(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		addUser(t, w, "jane", "acme", control.Owner)
		cookie, jane := signIn(t, w, "jane")
		time.Sleep(10 * time.Second)
		w.Store.SetBefore(func(c store.Change) error {
			if strings.HasPrefix(c.Key, "session/") {
				return errPower
			}
			return nil
		})
		if err := w.Service.ChangePassword(ctx, jane, janesPassword, "another horse battery", home); err != nil {
			t.Errorf("change: got %v, want it done", err)
		}
		w.Store.SetBefore(nil)
		if _, err := w.Service.Session(ctx, cookie); err == nil {
			t.Error("the session goes on")
		}
		if _, err := w.Service.SignIn(ctx, "jane", "another horse battery", home); err != nil {
			t.Errorf("sign in with the new password: %v", err)
		}
	})
}
