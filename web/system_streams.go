package web

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

const (
	// maxAttention bounds the streams that the page lists.
	maxAttention = 100
	// lateAfter is the age of the oldest pending event from which a stream that
	// works is late.
	lateAfter = 5 * time.Minute
	// maxWords bounds what is shown of a destination's answer, in characters.
	maxWords = 300
)

// attention is a stream that somebody should look at, and why.
type attention struct {
	Title, Place, Address string
	Reasons               []reason
	rank                  int // the lowest first
}

// reason is one reason why.
type reason struct {
	Text string
	Bad  bool
}

// streamAddress returns where the page of a stream lies.
func streamAddress(namespace string, id sluice.StreamID) string {
	root := instanceRoot
	if namespace != sluice.Instance {
		root = groupAddress(namespace)
	}
	return root + "/streams/" + strconv.FormatInt(int64(id), 10)
}

// streamTitle names a stream for people.
func streamTitle(name string, id sluice.StreamID) string {
	if name != "" {
		return name
	}
	return "Stream " + strconv.FormatInt(int64(id), 10)
}

// streamFigures adds how many streams there are, and which need attention.
func (s *Site) streamFigures(ctx context.Context, v *visit, data *systemData) error {
	statuses := map[sluice.Status]int{}
	var list []attention
	for _, f := range s.service.StreamFigures(ctx) {
		statuses[f.State.Status]++
		a := attentionOf(&f)
		if err := s.gapExpected(ctx, v, &f, &a, data.Now); err != nil {
			return err
		}
		if len(a.Reasons) > 0 {
			list = append(list, a)
		}
	}
	for _, status := range []sluice.Status{sluice.StatusActive, sluice.StatusPaused, sluice.StatusFailing, sluice.StatusHeld, sluice.StatusDone} {
		if n := statuses[status]; n > 0 {
			data.Statuses = append(data.Statuses, row{Label: string(status), Value: count(n)})
		}
	}
	slices.SortStableFunc(list, func(a, b attention) int { return cmp.Compare(a.rank, b.rank) })
	data.Attention = list
	if len(list) > maxAttention {
		data.Attention, data.Others = list[:maxAttention], len(list)-maxAttention
	}
	return nil
}

// gapExpected adds that pending events of a stream will expire, once half of the
// time until then has passed.
func (s *Site) gapExpected(ctx context.Context, v *visit, f *control.StreamFigures, a *attention, now time.Time) error {
	if f.State.Ledger.Pending == 0 || f.Lag < lateAfter {
		return nil
	}
	kept, err := s.service.KeptWhilePaused(ctx, v.by, f.ID)
	if codeOf(err) == sluice.NotFound {
		return nil // it was deleted meanwhile
	}
	if err != nil {
		return err
	}
	for _, k := range f.Expiring(kept, now) {
		a.rank = min(a.rank, 2)
		a.Reasons = append(a.Reasons, reason{className(k.Class) + " expire from " + k.Until.Format("2 Jan 2006, 15:04 UTC") + " on, unless they are delivered", true})
	}
	return nil
}

// attentionOf says why a stream needs attention; without a reason it does not.
func attentionOf(f *control.StreamFigures) attention {
	a := attention{Title: streamTitle(f.Name, f.ID), Place: cmp.Or(plain(f.Namespace, rowText), instanceName), Address: streamAddress(f.Namespace, f.ID), rank: 9}
	add := func(rank int, bad bool, text string) {
		a.rank, a.Reasons = min(a.rank, rank), append(a.Reasons, reason{text, bad})
	}
	words := ""
	if e := f.Health.LastError; e != nil {
		words = ": " + cut(e.Message)
	}
	switch f.State.Status {
	case sluice.StatusHeld:
		add(0, true, "held"+words)
	case sluice.StatusFailing:
		add(1, true, "failing"+words)
	}
	if c := f.Health.LastCheck; c != nil && !c.OK {
		add(3, true, "the last check failed: "+cut(c.Message))
	}
	if n := f.State.Ledger.Quarantined; n > 0 {
		add(4, false, plural(n, "event", "events")+" in quarantine")
	}
	if n := f.State.Ledger.Expired; n > 0 {
		add(6, false, plural(n, "event", "events")+" expired without delivery")
	}
	if f.State.Status != sluice.StatusDone && f.Lag >= lateAfter {
		text := plural(f.State.Ledger.Pending, "event", "events") + " behind, the oldest since " + lasting(f.Lag)
		if f.State.Status == sluice.StatusPaused {
			text = "paused, " + text
		}
		add(5, false, text)
	}
	return a
}

// cut returns the beginning of somebody else's words.
func cut(words string) string {
	runes := []rune(words)
	if len(runes) <= maxWords {
		return words
	}
	return string(runes[:maxWords]) + "…"
}
