package control_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/deliver"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/notice"
	"github.com/sluicelog/sluice/secret"
	"github.com/sluicelog/sluice/store"
)

// recordsOfAll returns control state with records of every kind, and the ring that
// opens them.
func recordsOfAll(f *testing.F) ([]store.Record, *secret.Ring) {
	w := controltest.New(f, nil)
	ctx := f.Context()
	var errs []error
	do := func(_ any, err error) { errs = append(errs, err) }
	do(w.Service.CreateUser(ctx, w.Admin, control.UserSpec{Name: "jane", Password: janesPassword}))
	do(w.Service.SetMember(ctx, w.Admin, control.MemberSpec{Namespace: "acme", User: "jane", Role: control.Owner}))
	do(w.Service.SignIn(ctx, "jane", janesPassword, home))
	do(w.Service.CreateToken(ctx, w.Admin, control.TokenSpec{Namespace: "acme", Name: "ci"}))
	do(w.Service.CreateToken(ctx, w.Admin, control.TokenSpec{Kind: control.KindPersonal, User: "jane", Scopes: []string{"api"}}))
	do(w.Service.DeclareNamespace(ctx, w.Admin, "acme/web", control.Project))
	do(w.Service.CreateStream(ctx, w.Admin, spec()))
	do(w.Service.SetNotices(ctx, w.Admin, "acme", []control.Address{{Kind: notice.Email, Address: "jane@acme.example"}}))
	if err := errors.Join(errs...); err != nil {
		f.Fatal(err)
	}
	w.Post("acme/web", "user.add", 3)
	w.Stop()
	var list []store.Record
	for r, err := range w.Store.List(ctx, "") {
		if err != nil {
			f.Fatal(err)
		}
		list = append(list, store.Record{Key: r.Key, Value: slices.Clone(r.Value)})
	}
	return list, w.Ring
}

// FuzzRecord starts on control state of which one record is anything at all, of any
// kind: the start is refused with the kind of what cannot be read, or all there is
// can be shown, and a second start shows the same.
func FuzzRecord(f *testing.F) {
	all, ring := recordsOfAll(f)
	kinds := map[string]int{} // the first of each
	for i, r := range all {
		kind, _, _ := strings.Cut(r.Key, "/")
		if _, seen := kinds[kind]; !seen {
			kinds[kind] = i
		}
		f.Add(kind, r.Value)
	}
	for kind := range kinds {
		for _, value := range []string{`null`, `{}`, `[]`, `{"id":7}`, `-1`} {
			f.Add(kind, []byte(value))
		}
	}
	f.Fuzz(func(t *testing.T, kind string, value []byte) {
		at, ok := kinds[kind]
		if !ok {
			return
		}
		s := store.NewMemory()
		for i, r := range all {
			if i == at {
				r.Value = value
			}
			if errors.Join(s.Apply(t.Context(), store.Change{Key: r.Key, Value: r.Value})...) != nil {
				return // no store takes it
			}
		}
		synctest.Test(t, func(t *testing.T) { startTwice(t, s, ring, kind) }) // at one time
	})
}

func startTwice(t *testing.T, s *store.Memory, ring *secret.Ring, kind string) {
	t.Helper()
	shown, err := startOn(t, s, ring)
	if err != nil {
		if text := err.Error(); !strings.Contains(text, kind) && !strings.Contains(text, "record") {
			t.Fatalf("%s: got %v, want an error that names what cannot be read", kind, err)
		}
		return
	}
	if again, err := startOn(t, s, ring); err != nil || again != shown {
		t.Fatalf("%s: the second start shows %s (%v), the first %s", kind, again, err, shown)
	}
}

// startOn starts a service on what is stored, and returns what it shows to an
// administrator, as text.
func startOn(t *testing.T, s *store.Memory, ring *secret.Ring) (string, error) {
	t.Helper()
	ctx, lg := t.Context(), slog.New(slog.DiscardHandler)
	floors, err := deliver.Floors(ctx, s)
	if err != nil {
		return "", err
	}
	log, err := eventlog.Open(ctx, eventlog.NewMemory(eventlog.MemoryOptions{Log: eventlog.LogID{1}}), eventlog.Options{ID: eventlog.LogID{1}, Floors: floors, Logger: lg})
	if err != nil {
		return "", fmt.Errorf("open the log beside the records: %w", err)
	}
	defer log.Close()
	d := deliver.New(log, s, deliver.Options{Logger: lg})
	if err := d.Load(ctx); err != nil {
		return "", err
	}
	c := control.New(control.Config{Log: log, Store: s, Deliver: d, Kinds: []destination.Kind{&controltest.Kind{}}, Ring: ring, Logger: lg, PasswordMemory: 64})
	if err := c.Open(ctx); err != nil {
		return "", err
	}
	return show(t, c), nil
}

// show lists everything.
func show(t *testing.T, c *control.Service) string {
	t.Helper()
	ctx, admin := t.Context(), control.Principal{Kind: control.KindAdmin}
	var b strings.Builder
	add := func(list any, err error) {
		text, encoding := json.Marshal(list)
		if encoding != nil {
			t.Fatalf("%+v cannot be shown: %v", list, encoding)
		}
		var parts []json.RawMessage
		if json.Unmarshal(text, &parts) == nil { // the order of what has the same number is open
			slices.SortFunc(parts, func(a, b json.RawMessage) int { return bytes.Compare(a, b) })
			text = fmt.Appendf(nil, "%s", parts)
		}
		fmt.Fprintf(&b, "%s %v\n", text, err == nil) // which of two bad values is named is open, too
	}
	add(c.Users(ctx, admin))
	add(c.Members(ctx, admin, nil))
	add(c.Tokens(ctx, admin))
	add(c.Namespaces(ctx, admin, ""))
	add(c.Notices(ctx, admin, "acme"))
	add(c.SealingKeys(ctx, admin))
	streams, err := c.Streams(ctx, admin, nil)
	add(streams, err)
	for _, v := range streams {
		add(c.Quarantine(ctx, admin, v.ID, 0))
		add(c.Activity(ctx, admin, v.ID, 60))
		add(c.Attempts(ctx, admin, v.ID, 10))
		add(c.Lag(ctx, admin, v.ID, 2))
	}
	return b.String()
}
