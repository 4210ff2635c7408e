package control_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/destination"
)

// Header values that are not sent stay, also under another name, and a check of
// a change uses what is stored beside it.
func TestHeaderValuesStay(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w)
		for _, c := range []struct{ sent, want string }{
			{`[{"name":"AUTHORIZATION","active":false}]`, `[{"active":false,"name":"AUTHORIZATION","value":"` + theHeaderValue + `"}]`},
			{`[{"name":"X-Token"},{"name":"X-Other","value":"o"}]`, `[{"name":"X-Token","value":"` + theHeaderValue + `"},{"name":"X-Other","value":"o"}]`},
			{`[{"name":"X-Other"},{"name":"X-Token"}]`, `[{"name":"X-Other","value":"o"},{"name":"X-Token","value":"` + theHeaderValue + `"}]`},
			{`[{"name":"X-Token","value":"new"}]`, `[{"name":"X-Token","value":"new"}]`},
		} {
			got, err := w.Service.UpdateStream(t.Context(), w.Admin, s.ID, control.StreamPatch{Config: json.RawMessage(`{"headers":` + c.sent + `}`)})
			var config struct{ Headers json.RawMessage }
			if err != nil || json.Unmarshal(got.Config, &config) != nil || string(config.Headers) != c.want {
				t.Errorf("%s: got %s and error %v, want %s", c.sent, got.Config, err, c.want)
			}
		}
		synctest.Wait() // delivery has opened the last one
		version := s.Version + 4
		check, err := w.Service.CheckChange(t.Context(), w.Admin, s.ID, control.StreamPatch{Config: json.RawMessage(`{"host":"other.example"}`), Version: &version})
		if err != nil || !check.OK {
			t.Errorf("check of a change: got %+v and error %v, want a passed check", check, err)
		}
		config, secrets := w.Kind.Opened()
		if secrets["password"] != thePassword || !strings.Contains(config, "other.example") || !strings.Contains(config, "X-Token") {
			t.Errorf("checked with %s and %d secrets, want the new host with what is stored", config, len(secrets))
		}
		if got, err := w.Service.Stream(t.Context(), w.Admin, s.ID); err != nil || got.Version != version || strings.Contains(string(got.Config), "other") {
			t.Errorf("after the check: got version %d with %s and error %v, want nothing changed", got.Version, got.Config, err)
		}
		_, err = w.Service.CheckChange(t.Context(), w.Admin, s.ID, control.StreamPatch{Config: json.RawMessage(`{"host":""}`)})
		wantError(t, "check of a wrong change", err, sluice.Invalid)
		synctest.Wait()
		wantTypes(t, w, "stream.check", "stream.check")
	})
}

// A change that was made for another version of the stream changes nothing.
func TestChangeForAVersion(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w)
		if !s.UpdatedAt.Equal(s.CreatedAt) {
			t.Errorf("new: got updated_at %s, want that of its creation, %s", s.UpdatedAt, s.CreatedAt)
		}
		time.Sleep(time.Minute)
		rename := func(name string, version uint64) (control.Stream, error) {
			return w.Service.UpdateStream(t.Context(), w.Admin, s.ID, control.StreamPatch{Name: &name, Version: &version})
		}
		first, err := rename("first", s.Version)
		if err != nil || first.Version != s.Version+1 || first.UpdatedAt.Sub(s.CreatedAt) != time.Minute {
			t.Fatalf("got %+v and error %v, want the next version, a minute later", first, err)
		}
		_, err = rename("second", s.Version)
		wantError(t, "for the version before", err, sluice.Conflict)
		if got, err := w.Service.Stream(t.Context(), w.Admin, s.ID); err != nil || got.Name != "first" || got.Version != first.Version {
			t.Errorf("got %q, version %d, and error %v, want nothing changed", got.Name, got.Version, err)
		}
	})
}

// The parts of a stream keep their numbers, over restarts, too.
func TestNumbersOfParts(t *testing.T) {
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		s := create(t, w, func(s *control.StreamSpec) { s.Filter.Namespaces = []string{"acme/a", "acme/b"} })
		if len(s.HeaderNumbers) != 1 || !slices.Equal(s.NamespaceNumbers, []int64{2, 3}) {
			t.Fatalf("got %v and %v, want one header and two namespaces with numbers of their own", s.HeaderNumbers, s.NamespaceNumbers)
		}
		change := func(list ...string) control.Stream {
			t.Helper()
			got, err := w.Service.UpdateStream(t.Context(), w.Admin, s.ID, control.StreamPatch{Filter: &control.FilterPatch{Namespaces: &list}})
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		if got := change("ACME/B"); !slices.Equal(got.NamespaceNumbers, []int64{3}) {
			t.Errorf("the first removed: got %v, want 3", got.NamespaceNumbers)
		}
		synctest.Wait()
		w.Restart()
		if got := change("acme/b", "acme/a"); !slices.Equal(got.NamespaceNumbers, []int64{3, 4}) || !slices.Equal(got.HeaderNumbers, s.HeaderNumbers) {
			t.Errorf("added again: got %v, want 3 and 4", got.NamespaceNumbers)
		}
	})
}

func TestLimitOfNamespaces(t *testing.T) {
	two := func(c *control.Config) { c.StreamLimit = 2 }
	simulate(t, two, func(t *testing.T, w *controltest.World) {
		s := create(t, w, func(s *control.StreamSpec) { s.Filter.Namespaces = []string{"acme/a", "acme/b"} })
		three := []string{"acme/a", "acme/b", "acme/c"}
		_, err := w.Service.UpdateStream(t.Context(), w.Admin, s.ID, control.StreamPatch{Filter: &control.FilterPatch{Namespaces: &three}})
		wantError(t, "three in a change", err, sluice.Invalid)
		_, err = w.Service.CreateStream(t.Context(), w.Admin, spec(named("other"), func(s *control.StreamSpec) { s.Filter.Namespaces = three }))
		wantError(t, "three in a new stream", err, sluice.Invalid)
	})
}

// reservedKind has a level that only administrators may set.
type reservedKind struct{ *controltest.Kind }

func (reservedKind) Form() destination.Form {
	return destination.Form{Inputs: []destination.Input{{Name: "config.host"}, {Name: "config.level", Administrators: true}}}
}

func (k reservedKind) Check(config json.RawMessage, secrets destination.Secrets, rules destination.Rules) (json.RawMessage, error) {
	var c struct{ Level int }
	if json.Unmarshal(config, &c) == nil && c.Level > 1 && !rules.Administrator {
		return nil, sluice.Errorf(sluice.Forbidden, "config.level can be set by administrators only")
	}
	return k.Kind.Check(config, secrets, rules)
}

// What an administrator has set stays while an owner changes the rest, or copies
// the stream.
func TestReservedFields(t *testing.T) {
	simulate(t, func(c *control.Config) { c.Kinds = []destination.Kind{reservedKind{c.Kinds[0].(*controltest.Kind)}} }, func(t *testing.T, w *controltest.World) {
		owner := bound("acme")
		reserved := func(s *control.StreamSpec) { s.Config = json.RawMessage(`{"host":"sink.example","level":2}`) }
		_, err := w.Service.CreateStream(t.Context(), owner, spec(reserved))
		wantError(t, "set by an owner", err, sluice.Forbidden)
		s := create(t, w, reserved)
		for _, c := range []struct {
			config string
			code   sluice.Code
		}{
			{`{"host":"other.example"}`, ""}, {`{"host":"sink.example","level":2}`, ""}, {`{"level":3}`, sluice.Forbidden},
			{`{"host":"other.example","level":3}`, sluice.Forbidden}, {`{"level":null}`, ""}, {`{"level":2}`, sluice.Forbidden},
		} {
			_, err := w.Service.UpdateStream(t.Context(), owner, s.ID, control.StreamPatch{Config: json.RawMessage(c.config)})
			if c.code != "" {
				wantError(t, c.config, err, c.code)
			} else if err != nil {
				t.Errorf("%s: got error %v, want it changed", c.config, err)
			}
		}
		source := create(t, w, reserved, named("source"))
		if _, err := w.Service.CreateStream(t.Context(), owner, control.StreamSpec{CopyOf: source.ID, Name: "copy", Start: "earliest"}); err != nil {
			t.Errorf("copy: got error %v, want it created", err)
		}
	})
}
