package search

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/index"
)

// follow begins to follow, which has to succeed.
func (w *world) follow(q index.Query, after string) *Live {
	w.t.Helper()
	l, err := w.Follow(context.Background(), q, "", after)
	if err != nil {
		w.t.Fatalf("follow: %v", err)
	}
	return l
}

// seen returns the ids of what is there now; gaps stand among them.
func (w *world) seen(l *Live) []string {
	w.t.Helper()
	ids := []string{}
	for {
		e, gap, err := l.Next(context.Background())
		switch {
		case err != nil:
			w.t.Fatal(err)
		case gap != nil:
			ids = append(ids, fmt.Sprintf("%s %d-%d: %d, expired %v", gap.Partition, gap.First, gap.Last, gap.Events, gap.Expired))
		case e == nil:
			return ids
		default:
			ids = append(ids, string(e.ID))
		}
	}
}

// A live reader gets each event that arrives once, wherever it begins again.
func TestFollow(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.post(numbered("acme", "old", 30)...)
		all, tenant, git := w.follow(everything(), ""), w.follow(below("umbra"), ""), w.follow(phrase(t, index.Everything(), pushes()), "")
		late := w.want(everything(), PageOptions{Order: Oldest, Limit: 20})
		newest, pushed := w.want(everything(), PageOptions{Limit: 20}), w.want(phrase(t, index.Everything(), pushes()), PageOptions{Limit: 1, Partition: "git"})
		var got, gotTenant, gotGit []string
		for i := range 20 {
			w.append(numbered("acme", fmt.Sprint("a", i, "-"), 3)...)
			w.append(numbered("umbra", fmt.Sprint("u", i, "-"), 2)...)
			got, gotTenant, gotGit = append(got, w.seen(all)...), append(gotTenant, w.seen(tenant)...), append(gotGit, w.seen(git)...)
			all = w.follow(everything(), all.Cursor())
			tenant = w.follow(below("umbra"), tenant.Cursor())
			time.Sleep(time.Second)
		}
		fresh := func(e event) bool { return e.id[:3] != "old" }
		wantSame(t, "all", got, w.inLog(fresh))
		wantSame(t, "a tenant", gotTenant, w.inLog(func(e event) bool { return e.ns == "umbra" }))
		wantSame(t, "a phrase", gotGit, w.inLog(func(e event) bool { return fresh(e) && e.typ == "git.push" }))
		wantSame(t, "behind a page", w.seen(w.follow(everything(), late.Next)), w.inLog(nil)[20:])
		wantSame(t, "behind the newest page", w.seen(w.follow(everything(), newest.Follow)), w.inLog(fresh))
		within, err := w.Follow(t.Context(), phrase(t, index.Everything(), pushes()), "git", pushed.Follow)
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, "behind the newest page of a class", w.seen(within), gotGit)
		if _, err := w.Follow(t.Context(), below("acme"), "", late.Next); !isInvalid(err) {
			t.Errorf("the cursor of another query: got %v, want invalid", err)
		}
	})
}

// Waiting ends when there is something, in time when there is not, and with its
// context.
func TestFollowWaits(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		l := w.follow(everything(), "")
		began := time.Now()
		if err := l.Wait(t.Context(), time.Minute); err != nil || time.Since(began) != time.Minute {
			t.Errorf("nothing comes: got %v after %s, want a minute", err, time.Since(began))
		}
		for _, e := range []event{{"acme", "git.push", "1"}, {"acme", "user.login", "2"}} {
			time.AfterFunc(time.Second, func() { w.append(e) })
			began = time.Now()
			if err := l.Wait(t.Context(), time.Minute); err != nil || time.Since(began) != time.Second {
				t.Errorf("an event comes: got %v after %s, want a second", err, time.Since(began))
			}
			wantSame(t, "what came", w.seen(l), []string{e.id})
		}
		reason := errors.New("stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(reason)
		if err := l.Wait(ctx, time.Minute); !errors.Is(err, reason) {
			t.Errorf("cancelled: got %v, want %v", err, reason)
		}
	})
}

// Who is too far behind, or comes back too late, is told what was missed.
func TestFollowGaps(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.stopSearch()
		w.cfg.backlog = 15
		w.start()
		synctest.Wait()
		l, mine := w.follow(everything(), ""), w.follow(below("acme/web"), "")
		w.post(event{"acme/web", "user.login", "first"})
		wantSame(t, "in time", w.seen(l), []string{"first"})
		for i := range 5 {
			w.post(event{"acme/web", "user.login", fmt.Sprint(i)}, event{"umbra", "user.login", fmt.Sprint("u", i)}, event{"acme", "repo.create", fmt.Sprint("r", i)},
				event{"umbra", "user.logout", fmt.Sprint("v", i)}, event{"acme/web", "git.push", fmt.Sprint("g", i)})
		}
		before := w.seen(l)
		wantSame(t, "late", before, append([]string{"audit 2-21: 20, expired false"}, w.inLog(func(e event) bool { return e.typ == "git.push" })...))
		wantSame(t, "late, one tenant", w.seen(mine)[:1], []string{"audit 1-21: 11, expired false"})
		w.post(event{"acme", "user.login", "last"})
		wantSame(t, "afterwards", w.seen(l), []string{"last"})
	})
}

// The cursor in front of a gap finds what is in it.
func TestFollowBeforeGap(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.cfg.backlog = 10
		w.stopSearch()
		w.start()
		synctest.Wait()
		l := w.follow(everything(), "")
		var want []string
		for i := range 15 {
			want = append(want, fmt.Sprint(i))
			w.post(event{"acme", "user.login", want[i]})
		}
		_, gap, err := l.Next(t.Context())
		if err != nil || gap == nil {
			t.Fatalf("got %v and error %v, want a gap", gap, err)
		}
		wantSame(t, "what was missed", idsOf(w.want(everything(), PageOptions{Order: Oldest, After: gap.Before})), want)
		w.stopSearch()
		w.stopLog()
		w.stored = w.stored.Restart(eventlog.MemoryOptions{Log: logID()})
		w.openLog(nil)
		if err := w.log.Trim(t.Context(), "audit", 100); err != nil {
			t.Fatal(err)
		}
		first := w.log.First("audit")
		w.start()
		synctest.Wait()
		if got := w.seen(w.follow(everything(), gap.Before)); first > 1 && !slices.Contains(got, fmt.Sprintf("audit 1-%d: %d, expired true", first-1, first-1)) {
			t.Errorf("with the first %d expired: got %q", first-1, got)
		}
	})
}

// A long path is known to queries by its hash, whatever it is made of: what lies
// there, or below, is found in the log as in the index.
func TestLongPaths(t *testing.T) {
	for cut := range 4 { // of the last character that fits
		path := "acme/" + "abcd"[:cut] + strings.Repeat("\u4e2d", 80) + "/the-website-of-ours"
		simulate(t, func(t *testing.T, w *world) {
			l := w.follow(below(path), "")
			w.post(event{path, "user.login", "there"}, event{path + "/x", "user.login", "below"}, event{path + "x", "user.login", "beside"}, event{"acme", "user.login", "above"})
			want := []string{"there", "below"}
			if got := w.all(below(path), Oldest, 10); !slices.Equal(got, want) {
				t.Errorf("pages of %q: got %v, want %v", path, got, want)
			}
			if got := w.seen(l); !slices.Equal(got, want) {
				t.Errorf("live events of %q: got %v, want %v", path, got, want)
			}
			for seq := range uint64(4) {
				if _, ok, err := w.Event(t.Context(), below(path), "audit", seq+1); ok != (seq < 2) || err != nil {
					t.Errorf("event %d of %q: got %v and %v", seq+1, path, ok, err)
				}
			}
		})
	}
}
