package control_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/store"
)

func namespacesOf(t *testing.T, w *controltest.World) map[string]control.Namespace {
	t.Helper()
	list, err := w.Service.Namespaces(t.Context(), w.Admin, "")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]control.Namespace{}
	for _, n := range list {
		out[n.Path] = n
	}
	return out
}

func TestLearning(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		w.Post("Acme/Platform/api", "user.add", 2)
		synctest.Wait() // partitions are read at once
		w.Post("acme/platform/web", "git.push", 2)
		w.Post("umbra", "git.push", 1)
		time.Sleep(time.Minute) // what comes soon after is stored together
		synctest.Wait()
		got := namespacesOf(t, w)
		kinds := map[string]string{"Acme": "group", "Acme/Platform": "group", "Acme/Platform/api": "project", "acme/platform/web": "project", "umbra": "group"}
		if len(got) != len(kinds) {
			t.Errorf("got %v, want %d namespaces", got, len(kinds))
		}
		ids := map[int64]bool{}
		for path, kind := range kinds {
			if got[path].Kind != kind {
				t.Errorf("%s: got kind %q, want %q", path, got[path].Kind, kind)
			}
			ids[got[path].ID] = true
		}
		if len(ids) != len(kinds) || ids[0] {
			t.Errorf("ids are not distinct: %v", got)
		}
		w.Crash()
		w.Post("acme/platform/api/internal", "user.add", 1)
		synctest.Wait()
		after := namespacesOf(t, w)
		for path, n := range got {
			if after[path].ID != n.ID {
				t.Errorf("%s: id was %d and is %d", path, n.ID, after[path].ID)
			}
		}
		if after["Acme/Platform/api"].Kind != control.Group {
			t.Errorf("a namespace with others below it is a %s", after["Acme/Platform/api"].Kind)
		}
		if got := len(w.Events("audit", "namespace.")); got != 0 {
			t.Errorf("learning wrote %d events, want none", got)
		}
	})
}

// A store that fails for a while delays learning and loses nothing.
func TestLearningGoesOn(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		synctest.Wait()
		w.Store.SetBefore(func(c store.Change) error {
			if time.Now().Before(time.Date(2000, 1, 1, 0, 1, 0, 0, time.UTC)) {
				return store.ErrFull
			}
			return nil
		})
		for i := range 200 {
			w.Post(fmt.Sprintf("acme/p%d", i), "git.push", 1)
		}
		synctest.Wait()
		if got := namespacesOf(t, w); len(got) != 0 {
			t.Errorf("got %d namespaces, want none yet", len(got))
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if got := namespacesOf(t, w); len(got) != 201 {
			t.Errorf("got %d namespaces, want 201", len(got))
		}
	})
}

func TestLearningIsBounded(t *testing.T) {
	simulate(t, func(c *control.Config) { c.MaxLearned = 10 }, func(t *testing.T, w *controltest.World) {
		for i := range 30 {
			w.Post(fmt.Sprintf("acme/p%d", i), "git.push", 1)
		}
		w.Post("umbra/p", "git.push", 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := slices.Sorted(maps.Keys(namespacesOf(t, w))); len(got) != 1+10+2 {
			t.Errorf("got %v, want 10 below acme and 2", got)
		}
		if got := w.Service.UnstoredNamespaces(); got != 20 {
			t.Errorf("got %d not stored, want 20", got)
		}
		declare := func(path string) error {
			_, err := w.Service.DeclareNamespace(t.Context(), w.Admin, path, control.Group)
			return err
		}
		wantError(t, "declare one that is too many", declare("acme/more"), sluice.Conflict)
		wantError(t, "declare some that are too many", declare("umbra/"+strings.Repeat("x/", 9)+"x"), sluice.Conflict)
		for _, path := range []string{"acme/p0", "umbra/" + strings.Repeat("x/", 8) + "x"} {
			if err := declare(path); err != nil {
				t.Errorf("declare %s: %v", path, err)
			}
		}
		wantError(t, "declare behind the last one", declare("umbra/last"), sluice.Conflict)
	})
}

func TestDeclaring(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		ctx := t.Context()
		declare := func(path, kind string) error {
			_, err := w.Service.DeclareNamespace(ctx, w.Admin, path, kind)
			return err
		}
		if err := declare("Acme/Web", control.Group); err != nil {
			t.Fatal(err)
		}
		w.Post("acme/web/shop", "git.push", 1)
		synctest.Wait()
		if err := declare("acme/web/shop", control.Project); err != nil {
			t.Errorf("settle the kind of a learned namespace: %v", err)
		}
		got := namespacesOf(t, w)
		if len(got) != 3 || got["Acme"].Kind != control.Group || got["Acme/Web"].Kind != control.Group || got["acme/web/shop"].Kind != control.Project {
			t.Errorf("got %v", got)
		}
		wantError(t, "again", declare("ACME/web", control.Project), sluice.Conflict)
		wantError(t, "below a project", declare("acme/web/shop/x", control.Group), sluice.Conflict)
		wantError(t, "a group as a project", declare("acme", control.Project), sluice.Invalid)
		wantError(t, "kind", declare("acme/y", "tribe"), sluice.Invalid)
		wantError(t, "empty", declare("", control.Group), sluice.Invalid)
		wantError(t, "dots", declare("acme/../y", control.Group), sluice.Invalid)
		wantError(t, "the installation", declare("gitlab_instance", control.Group), sluice.Invalid)
		w.Restart()
		if after := namespacesOf(t, w); !maps.Equal(after, got) {
			t.Errorf("after a restart: got %v, want %v", after, got)
		}
		wantTypes(t, w, "namespace.", "namespace.create", "namespace.create")
	})
}

// A stream or token for a new top-level namespace declares it.
func TestNewTenant(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		create(t, w)
		s := create(t, w, named("b"), func(s *control.StreamSpec) { s.Namespace = "ACME" })
		if s.Namespace != "acme" {
			t.Errorf("got namespace %q, want it as it was declared", s.Namespace)
		}
		if _, err := w.Service.CreateToken(t.Context(), w.Admin, control.TokenSpec{Namespace: "umbra"}); err != nil {
			t.Fatal(err)
		}
		if got := namespacesOf(t, w); len(got) != 2 || got["acme"].ID == got["umbra"].ID {
			t.Errorf("got %v, want acme and umbra", got)
		}
		wantTypes(t, w, "namespace.", "namespace.create", "namespace.create")
	})
}
