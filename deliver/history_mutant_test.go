//go:build torture

package deliver

import (
	"testing"

	"github.com/sluicelog/sluice/bench/mutant"
)

// TestHistoriesFindBrokenEngines plays the first random histories with engines that
// are broken in one place each: a thousand have to be enough.
func TestHistoriesFindBrokenEngines(t *testing.T) {
	for _, m := range []struct {
		what, says string
		edits      []mutant.Edit
	}{
		{"the cursor moves before the send is answered", "history_test.go:", []mutant.Edit{
			{File: "deliver/step.go", Old: "	res := d.trySlowly(ctx, l, w, dest, &batch)\n", New: `	l.mu.Lock()
	cursor, total, n := l.rec.Cursor, l.rec.Total, uint64(len(w.items))
	quick := !l.behind
	if quick {
		l.rec.Delivered += n
		l.moveTo(w.end)
		l.mark()
	}
	l.mu.Unlock()
	res := d.trySlowly(ctx, l, w, dest, &batch)
	if quick {
		l.mu.Lock()
		l.rec.Delivered -= n
		l.rec.Cursor, l.rec.Total = cursor, total
		l.mark()
		l.mu.Unlock()
	}
`},
		}},
		{"an object is built again by the filter of today", "history_test.go:", []mutant.Edit{
			{File: "deliver/object_build.go", Old: "	m := p.Filter.Matcher()\n", New: "	today, _ := l.s.config()\n	m := today.Filter.Matcher()\n"},
		}},
		{"a plan is made anew although its object may be there", "history_test.go:", []mutant.Edit{
			{File: "deliver/object_anew.go", Old: "if p == nil || !p.Free || p.Conf == version {", New: "if p == nil || p.Conf == version {"},
		}},
		{"a plan is not durable before its first try", "history_test.go:", []mutant.Edit{
			{File: "deliver/object.go", Old: "	free := l.free(false)\n	l.mu.Unlock()\n	if err := d.flush.durable(ctx, l); err != nil {\n", New: "	free := l.free(false)\n	l.mu.Unlock()\n	if err := error(nil); err != nil {\n"},
		}},
		{"what expired counts as delivered", "ledger of stream", []mutant.Edit{
			{File: "deliver/gap.go", Old: "	l.rec.Expired += n\n", New: "	l.rec.Delivered += n\n"},
		}},
		{"a gap is not told", "no gap tells of", []mutant.Edit{
			{File: "deliver/gap.go", Old: "	l.notice(\"stream.gap\", map[string]any{\n", New: "	_ = (map[string]any{\n"},
		}},
		{"events that the filter does not want are delivered with those that it wants", "history_test.go:", []mutant.Edit{
			{File: "deliver/gathering.go", Old: "		list, all := wanted(m, b, idx, from)\n		if !all {\n", New: "		list, all := wanted(m, b, idx, from)\n		all = all || g.into == nil && len(list) > 0\n		if !all {\n"},
		}},
		{"an event that is refused is taken for one that was accepted", "history_test.go:", []mutant.Edit{
			{File: "deliver/settle.go", Old: "		case destination.Rejected:\n			l.suspect(w.events[i].Seq, reason(res, i))\n", New: "		case destination.Rejected:\n			l.deliver(w.events[i : i+1])\n			some = true\n"},
		}},
		{"what is to be redelivered is forgotten when the destination fails", "is no longer to be redelivered", []mutant.Edit{
			{File: "deliver/redeliver.go", Old: "	if l.absences++; e.Class", New: "	l.redeliver = nil\n	if l.absences++; e.Class"},
		}},
	} {
		t.Run(m.what, func(t *testing.T) {
			t.Parallel()
			mutant.Found(t, mutant.Drill(t, m.edits), "TestRandomHistories", m.says, "-test.failfast", "-test.timeout=5m", "-seeds", "1000")
		})
	}
}
