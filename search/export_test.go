package search

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/index"
)

// export begins an export, which has to succeed.
func (w *world) export(q index.Query, o ExportOptions) *Export {
	w.t.Helper()
	e, err := w.Export(context.Background(), q, o)
	if err != nil {
		w.t.Fatalf("export: %v", err)
	}
	return e
}

// take returns the ids of the next n events, or of fewer at the end; n of -1 takes
// all.
func (w *world) take(e *Export, n int) []string {
	w.t.Helper()
	ids := []string{}
	for len(ids) != n {
		got, err := e.Next(context.Background())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			w.t.Fatalf("next: %v", err)
		}
		if string(got.ID) != idOf(got.Payload) || got.Payload[:len(got.Payload)+1][len(got.Payload)] != '\n' {
			w.t.Errorf("event %d of %s: got id %q with %s", got.Seq, got.Partition, got.ID, got.Payload)
		}
		ids = append(ids, string(got.ID))
	}
	return ids
}

// fillUp posts some hundred events of two tenants, of different times.
func (w *world) fillUp() {
	for i := range 12 {
		w.post(numbered("acme/web", fmt.Sprint("a", i, "-"), 7)...)
		w.post(numbered("umbra", fmt.Sprint("u", i, "-"), 4)...)
		if i%4 == 3 {
			time.Sleep(time.Second)
		}
	}
}

func pushes() index.Clause {
	return index.Clause{Terms: []index.Term{index.NewTerm(index.FieldType, "git.push")}}
}

// An export holds what brute force finds, and goes on anywhere by a cursor or by
// the id of the last event.
func TestExport(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.fillUp()
		for name, c := range map[string]struct {
			q    index.Query
			want func(event) bool
			part string
		}{
			"all":              {everything(), nil, ""},
			"a tenant":         {below("Acme"), func(e event) bool { return e.ns == "acme/web" }, ""},
			"nobody":           {below("acme/we"), func(event) bool { return false }, ""},
			"nothing in scope": {index.Query{}, func(event) bool { return false }, ""},
			"a phrase":         {phrase(t, index.Everything(), pushes()), func(e event) bool { return e.typ == "git.push" }, ""},
			"git":              {below("umbra"), func(e event) bool { return e.ns == "umbra" && e.typ == "git.push" }, "git"},
			"an id":            {phrase(t, index.Everything(), index.Clause{IDs: []string{"a3-1"}}), func(e event) bool { return e.id == "a3-1" }, ""},
		} {
			all := w.inLog(c.want)
			o := ExportOptions{Partition: c.part}
			whole := w.export(c.q, o)
			wantSame(t, name, w.take(whole, -1), all)
			if n, ok := whole.Estimate(t.Context()); ok && n != uint64(len(all)) || !ok {
				t.Errorf("%s: estimate: got %d, %v, want %d", name, n, ok, len(all))
			}
			if whole.Missing() != 0 {
				t.Errorf("%s: got %d missing", name, whole.Missing())
			}
			for n := range all {
				o.After, o.AfterID = "", ""
				e := w.export(c.q, o)
				w.take(e, n)
				o.After = e.Cursor()
				wantSame(t, fmt.Sprint(name, " behind ", n, " by cursor"), w.take(w.export(c.q, o), -1), all[n:])
				o.After, o.AfterID = "", all[n]
				wantSame(t, fmt.Sprint(name, " behind the id ", all[n]), w.take(w.export(c.q, o), -1), all[n+1:])
			}
		}
	})
}

// The cursor of an export of everything is one for pages, and the other way round.
func TestExportAndPages(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.fillUp()
		e := w.export(everything(), ExportOptions{})
		w.take(e, 20)
		p := w.want(everything(), PageOptions{Order: Oldest, After: e.Cursor(), Limit: 10})
		wantSame(t, "page behind an export", idsOf(p), w.inLog(nil)[20:30])
		wantSame(t, "export behind a page", w.take(w.export(everything(), ExportOptions{After: p.Next}), -1), w.inLog(nil)[30:])
		if _, err := w.Export(t.Context(), everything(), ExportOptions{After: e.Cursor(), Partition: "git"}); !isInvalid(err) {
			t.Errorf("the cursor of all with one partition: got %v, want invalid", err)
		}
		if _, err := w.Export(t.Context(), below("acme"), ExportOptions{After: e.Cursor()}); !isInvalid(err) {
			t.Errorf("the cursor of another query: got %v, want invalid", err)
		}
	})
}

func isInvalid(err error) bool {
	e, ok := errors.AsType[*sluice.Error](err)
	return ok && e.Code == sluice.Invalid
}

// An export ends at what was there when it began, and holds it all, although the
// index is late, is being opened, or is damaged.
func TestExportWithoutIndex(t *testing.T) {
	for name, spoil := range map[string]func(w *world){
		"stopped": func(w *world) { w.stopSearch(); w.append(numbered("acme", "late", 40)...) },
		"late":    func(w *world) { w.append(numbered("acme", "late", 40)...) },
		"absent":  func(w *world) { w.stopSearch(); w.cfg.Log = w.log; w.Service = New(w.cfg); w.stopSearch = func() {} },
		"hidden": func(w *world) {
			for _, sh := range w.shelves {
				sh.hide()
			}
		},
		"damaged": func(w *world) {
			for _, sh := range w.shelves {
				parts, indexed, _ := sh.look()
				parts = slices.Clone(parts)
				parts[1] = broken{parts[1]}
				sh.show(parts, indexed)
			}
		},
	} {
		simulate(t, func(t *testing.T, w *world) {
			w.fillUp()
			spoil(w)
			before := w.inLog(nil)
			git := w.inLog(func(e event) bool { return e.typ == "git.push" })
			all, some := w.export(everything(), ExportOptions{}), w.export(phrase(t, index.Everything(), pushes()), ExportOptions{})
			w.append(numbered("acme", "after", 20)...)
			wantSame(t, name+": all", w.take(all, -1), before)
			wantSame(t, name+": a phrase", w.take(some, -1), git)
		})
	}
}

// broken is a part that cannot be read.
type broken struct{ index.Part }

func (broken) Find(context.Context, *index.Query) (*index.Result, error) {
	return nil, index.ErrDamaged
}

// Ranges of acceptance, and retention, clip an export.
func TestExportRanges(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		var at []time.Time
		for i := range 5 {
			at = append(at, time.Now())
			w.post(numbered("acme", fmt.Sprint(i, "-"), 6)...)
			time.Sleep(time.Hour)
		}
		for from := range 5 {
			for to := range 5 {
				q := everything()
				q.Accepted = index.Range{From: at[from], To: at[to]}
				want := w.inLog(func(e event) bool { return e.id[0] >= byte('0'+from) && e.id[0] < byte('0'+to) })
				wantSame(t, fmt.Sprintf("from %d to %d", from, to), w.take(w.export(q, ExportOptions{}), -1), want)
			}
		}
		w.cfg.Retention = map[string]time.Duration{"git": 150 * time.Minute}
		w.stopSearch()
		w.start()
		synctest.Wait()
		want := w.inLog(func(e event) bool { return e.typ != "git.push" || e.id[0] >= '3' })
		wantSame(t, "retention", w.take(w.export(everything(), ExportOptions{}), -1), want)
	})
}

// Ids that are there twice are not gone on behind; what is lost is counted.
func TestExportTrouble(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.post(event{"acme", "user.login", "7"}, event{"acme", "user.logout", "7"}, event{"umbra", "user.login", "8"})
		w.post(numbered("acme", "x", 9)...)
		_, err := w.Export(t.Context(), below("acme"), ExportOptions{AfterID: "7"})
		if e, ok := errors.AsType[*sluice.Error](err); !ok || e.Code != sluice.Conflict {
			t.Errorf("an id that is there twice: got %v, want conflict", err)
		}
		for name, o := range map[string]ExportOptions{"another tenant's": {AfterID: "8"}, "unknown": {AfterID: "9"}, "of another partition": {AfterID: "x2", Partition: "audit"},
			"both": {AfterID: "x1", After: "x"}, "no cursor": {After: "x"}} {
			if _, err := w.Export(t.Context(), below("acme"), o); !isInvalid(err) {
				t.Errorf("%s: got %v, want invalid", name, err)
			}
		}
		w.stopSearch()
		w.stopLog()
		if !w.stored.Lose("audit", 5) {
			t.Fatal("nothing lost")
		}
		w.stored = w.stored.Restart(eventlog.MemoryOptions{Log: logID()})
		w.openLog(nil)
		w.start()
		synctest.Wait()
		e := w.export(below("acme"), ExportOptions{})
		if got := w.take(e, -1); slices.Contains(got, "x0") || len(got) < 4 {
			t.Errorf("with a lost block: got %q", got)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		reason := errors.New("the client went")
		cancel(reason)
		if _, err := w.export(everything(), ExportOptions{}).Next(ctx); !errors.Is(err, reason) {
			t.Errorf("cancelled: got %v, want its cause", err)
		}
	})
}

// An event that the index does not know yet, or cannot tell, is not one that the
// export never had.
func TestExportBehindWhatIsLate(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.fillUp()
		w.stopSearch()
		w.append(event{"acme", "user.login", "late"})
		wantSame(t, "an export", w.take(w.export(everything(), ExportOptions{}), -1), w.inLog(nil))
		busy := func(what, id string) {
			t.Helper()
			_, err := w.Export(t.Context(), everything(), ExportOptions{AfterID: id})
			if e, ok := errors.AsType[*sluice.Error](err); !ok || e.Code != sluice.Busy {
				t.Errorf("%s: got %v, want busy", what, err)
			}
		}
		gate := make(chan struct{})
		w.cfg.Pace = func(context.Context) { <-gate }
		w.start()
		synctest.Wait()
		busy("not indexed yet", "late")
		close(gate)
		synctest.Wait()
		wantSame(t, "indexed", w.take(w.export(everything(), ExportOptions{AfterID: "late"}), -1), []string{})
		for _, sh := range w.shelves {
			parts, indexed, _ := sh.look()
			parts = slices.Clone(parts)
			for i := range parts {
				parts[i] = broken{parts[i]}
			}
			sh.show(parts, indexed)
		}
		busy("damaged", "late")
	})
}

// Exports are compared with brute force over random corpora, chunks and queries.
func TestExportAtRandom(t *testing.T) {
	for seed := range uint64(20) {
		simulate(t, func(t *testing.T, w *world) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			names := []string{"acme", "acme/web", "acme-old", "umbra", "umbra/x/y"}
			for i := range 40 {
				var events []event
				for j := range rnd.IntN(12) + 1 {
					events = append(events, event{names[rnd.IntN(len(names))], []string{"git.push", "user.login", "repo.create"}[rnd.IntN(3)], fmt.Sprint(i, "-", j)})
				}
				w.post(events...)
				if rnd.IntN(3) == 0 {
					time.Sleep(time.Second)
				}
			}
			for range 10 {
				ns, not := names[rnd.IntN(len(names))], rnd.IntN(2) == 0
				clause := pushes()
				clause.Not = not
				want := w.inLog(func(e event) bool {
					return sluice.Within(e.ns, ns) && (e.typ == "git.push") != not
				})
				got := []string{}
				o := ExportOptions{}
				for more := true; more; {
					e := w.export(phrase(t, index.Below(ns), clause), o)
					n := rnd.IntN(30) + 1
					part := w.take(e, n)
					got, o.After, more = append(got, part...), e.Cursor(), len(part) == n
				}
				wantSame(t, fmt.Sprint("seed ", seed, " below ", ns, " not ", not), got, want)
			}
		})
	}
}

func TestInScope(t *testing.T) {
	long := strings.Repeat("segment/", 60) + "end"
	for _, c := range []struct {
		scope, path string
		want        bool
	}{
		{"acme", "acme", true}, {"acme", "acme/web", true}, {"acme", "acme-old", false}, {"acme/web", "acme", false}, {"acme", "", false},
		{long, long, true}, {long, long + "/below", true}, {long, long + "x", false}, {long, "acme", false},
	} {
		if got := inScope(index.Below(c.scope), c.path); got != c.want {
			t.Errorf("%.40s in %.40s: got %v, want %v", c.path, c.scope, got, c.want)
		}
	}
	if several := index.Below("globex", long); !inScope(several, "globex/ops") || !inScope(several, long) || inScope(several, "acme") {
		t.Error("a scope of several namespaces does not have what each of them has")
	}
	if inScope(index.Scope{}, "acme") || !inScope(index.Everything(), "") {
		t.Error("the scope of nothing has something, or that of everything has not")
	}
}
