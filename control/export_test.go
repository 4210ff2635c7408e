package control_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
)

// exported returns how many events an export has.
func exported(t *testing.T, w *controltest.World, p control.Principal, q control.ExportQuery) int {
	t.Helper()
	e, err := w.Service.Export(t.Context(), p, q)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	defer e.Close()
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		if _, err := e.Next(t.Context()); errors.Is(err, io.EOF) {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// Two tenants export their own events, whatever they try.
func TestTenantsExport(t *testing.T) {
	searching(t, func(t *testing.T, w *controltest.World) {
		w.Post("acme/web", "git.push", 4)
		w.Post("umbra/secret", "user.login", 3)
		synctest.Wait()
		for q, want := range map[control.ExportQuery]int{
			{Class: "git"}:                              4,
			{Class: "git", Namespace: "ACME/Web"}:       4,
			{Class: "git", Namespace: "acme/we"}:        0,
			{Phrase: "namespace:umbra"}:                 0,
			{Phrase: "user.login"}:                      0,
			{Phrase: "action:user.login"}:               0,
			{Phrase: "-namespace:acme"}:                 0,
			{Class: "git", Namespace: "acme/not/there"}: 0,
		} {
			if got := exported(t, w, bound("acme"), q); got != want {
				t.Errorf("%+v: got %d events, want %d", q, got, want)
			}
		}
		_, there := w.Service.Export(t.Context(), bound("acme"), control.ExportQuery{Namespace: "umbra"})
		_, absent := w.Service.Export(t.Context(), bound("acme"), control.ExportQuery{Namespace: "nobody"})
		wantError(t, "another tenant", there, sluice.NotFound)
		if there.Error() != absent.Error() {
			t.Errorf("an existing tenant: got %q, an absent one %q: want no difference", there, absent)
		}
		_, err := w.Service.Export(t.Context(), control.Principal{ID: "t8", Kind: control.KindProducer, Namespace: "acme"}, control.ExportQuery{})
		wantError(t, "a producer", err, sluice.Forbidden)
		_, err = w.Service.Export(t.Context(), bound("acme"), control.ExportQuery{AfterID: w.Events("audit", "user.login")[0].ID})
		wantError(t, "behind the event of another tenant", err, sluice.Invalid)
	})
}

// An export is told in the tenant's log before its first event is given out, and
// is not a part of itself.
func TestExportIsTold(t *testing.T) {
	searching(t, func(t *testing.T, w *controltest.World) {
		w.Post("acme/web", "git.push", 2)
		synctest.Wait()
		q := control.ExportQuery{Namespace: "Acme/web", Phrase: "type:git.push", Class: "git", Format: "csv", From: "2000-01-01", To: "2100-01-01T00:00:00Z"}
		e, err := w.Service.Export(t.Context(), w.Admin, q)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		if _, err := e.Next(t.Context()); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("before it was told: got %v, want an error", err)
		}
		if n := len(w.Events("audit", "audit_log")); n != 0 {
			t.Errorf("before start: got %d events", n)
		}
		if err := e.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		told := w.Events("audit", "audit_log.export")
		if len(told) != 1 {
			t.Fatalf("got %d events, want one", len(told))
		}
		got := told[0]
		if got.EntityPath != "Acme" || got.AuthorName != w.Admin.Name || got.TargetDetails != "Acme/web" {
			t.Errorf("got %s", got.Raw)
		}
		for name, want := range map[string]any{"query_phrase": "type:git.push", "class": "git", "format": "csv", "start": "2000-01-01", "end": "2100-01-01T00:00:00Z", "namespace": "Acme/web"} {
			if got.Details[name] != want {
				t.Errorf("%s: got %v, want %v", name, got.Details[name], want)
			}
		}
		if n := exported(t, w, w.Admin, control.ExportQuery{Namespace: "acme", Phrase: "action:audit_log"}); n != 1 {
			t.Errorf("exports in an export: got %d, want the one before", n)
		}
		if !strings.HasPrefix(e.Name, "export-acme-") {
			t.Errorf("name: got %q", e.Name)
		}
	})
}

// A tenant, and all together, may have a few exports at once.
func TestExportsAreBounded(t *testing.T) {
	searching(t, func(t *testing.T, w *controltest.World) {
		synctest.Wait()
		begin := func(ns string) (*control.Export, error) {
			return w.Service.Export(t.Context(), w.Admin, control.ExportQuery{Namespace: ns})
		}
		var open []*control.Export
		for _, ns := range []string{"acme", "acme/web", "Acme", "umbra", "umbra", "globex", "initech"} {
			e, err := begin(ns)
			if err != nil {
				t.Fatalf("%s: %v", ns, err)
			}
			open = append(open, e)
		}
		_, err := begin("ACME/api")
		wantError(t, "too many of one", err, sluice.RateLimited)
		last, err := begin("hooli")
		if err != nil {
			t.Fatal(err)
		}
		_, err = begin("vandelay")
		wantError(t, "too many in all", err, sluice.RateLimited)
		for range 2 {
			last.Close()
		}
		if last, err = begin("vandelay"); err != nil {
			t.Errorf("after one has ended: %v", err)
		}
		for _, e := range append(open, last) {
			e.Close()
		}
		for range 20 { // a refused one takes no place
			_, err := w.Service.Export(t.Context(), w.Admin, control.ExportQuery{After: "x"})
			wantError(t, "a broken cursor", err, sluice.Invalid)
		}
	})
}

func TestBadExports(t *testing.T) {
	searching(t, func(t *testing.T, w *controltest.World) {
		synctest.Wait()
		for name, q := range map[string]control.ExportQuery{
			"format":         {Format: "xml"},
			"class":          {Class: "web"},
			"phrase":         {Phrase: `actor:"mona`},
			"from":           {From: "yesterday"},
			"to":             {To: "2026-02-30"},
			"range":          {From: "2026-02-02", To: "2026-02-01"},
			"times":          {From: "2026-02-01T10:00:00Z", To: "2026-02-01T10:00:00Z"},
			"namespace":      {Namespace: "acme//web"},
			"both positions": {After: "x", AfterID: "y"},
		} {
			_, err := w.Service.Export(t.Context(), w.Admin, q)
			wantError(t, name, err, sluice.Invalid)
		}
		w.Post("acme", "git.push", 1)
		today := time.Now().UTC().Format(time.DateOnly)
		if n := exported(t, w, w.Admin, control.ExportQuery{Class: "git", From: today, To: today}); n != 1 {
			t.Errorf("one day: got %d events, want that of today", n)
		}
		if n := exported(t, w, w.Admin, control.ExportQuery{Class: "git", To: "1999-01-01"}); n != 0 {
			t.Errorf("a range before everything: got %d events", n)
		}
	})
	simulate(t, nil, func(t *testing.T, w *controltest.World) {
		_, err := w.Service.Export(t.Context(), w.Admin, control.ExportQuery{})
		wantError(t, "without an index", err, sluice.Unsupported)
	})
}
