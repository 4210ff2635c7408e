package web

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// plural writes a number of things.
func plural(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// statusView says what a stream does, in words.
type statusView struct {
	Text  string
	Kind  string     // sluice.Status, for its looks
	Since *time.Time // nil when that is not known
	Why   string     // a sentence, or ""
	Next  *time.Time // of the next try
}

// lagWords says how far a stream is behind.
func lagWords(h *control.Health) string {
	if h.LagEvents == 0 {
		return "up to date"
	}
	lag := plural(h.LagEvents, "event", "events")
	if behind := time.Duration(h.LagSeconds * float64(time.Second)); behind >= time.Second {
		lag += ", " + lasting(behind) + " behind"
	}
	return lag
}

func statusWords(st *control.Stream) statusView {
	v := statusView{Kind: string(st.Status), Text: map[sluice.Status]string{
		sluice.StatusActive: "Active", sluice.StatusPaused: "Paused", sluice.StatusFailing: "Failing", sluice.StatusHeld: "Held", sluice.StatusDone: "Done",
	}[st.Status]}
	switch st.Status {
	case sluice.StatusPaused:
		v.Since = st.PausedAt
	case sluice.StatusFailing, sluice.StatusHeld:
		v.Since, v.Next = st.Health.Since, st.Health.NextRetry
		if e := st.Health.LastError; e != nil {
			v.Why = sentence(e.Message)
			if v.Since == nil && e.Tries <= 1 {
				v.Since = &e.Time // the first failure, which is not told yet
			}
		}
	case sluice.StatusDone:
		v.Since = st.Until
	}
	return v
}

// titleOf names a stream.
func titleOf(st *control.Stream) string {
	if st.Name != "" {
		return st.Name
	}
	return "Stream " + strconv.FormatInt(int64(st.ID), 10)
}

// ledgerView is a ledger as a bar and in words.
type ledgerView struct {
	Parts []ledgerPart
	Words string // what is in the bar
	Total string
}

// Sizes of the bar. What is there is wide enough to be seen.
const (
	ledgerWidth = 1000
	ledgerLeast = 12
)

// ledgerPart is one part of the bar.
type ledgerPart struct {
	Name, Count string
	Class       string
	X, Width    int
}

func ledgerOf(l *sluice.Ledger) ledgerView {
	v := ledgerView{Total: plural(l.Accepted, "event", "events")}
	var words []string
	widest, left := 0, ledgerWidth
	for i, p := range []struct {
		name, class string
		n           uint64
	}{{"delivered", "is-delivered", l.Delivered}, {"filtered", "is-filtered", l.Filtered}, {"pending", "is-pending", l.Pending},
		{"quarantined", "is-quarantined", l.Quarantined}, {"expired", "is-expired", l.Expired}} {
		part := ledgerPart{Name: p.name, Class: p.class, Count: count(p.n)}
		if p.n > 0 {
			part.Width = max(ledgerLeast, int(float64(p.n)/float64(l.Accepted)*ledgerWidth))
			words = append(words, part.Count+" "+p.name)
		}
		left -= part.Width
		v.Parts = append(v.Parts, part)
		if part.Width > v.Parts[widest].Width {
			widest = i
		}
	}
	if len(words) == 0 {
		v.Words = "no events yet"
		return v
	}
	v.Words = strings.Join(words, " · ")
	v.Parts[widest].Width += left // what the small parts took, or rounding left
	for i := range v.Parts[1:] {
		v.Parts[i+1].X = v.Parts[i].X + v.Parts[i].Width
	}
	return v
}

// sparkline is a small chart of what was delivered in each of the last hours.
type sparkline struct {
	Points string // of a line in a box of 96 by 24
	Words  string
}

func sparkOf(hours []uint64) sparkline {
	var sum uint64
	for _, n := range hours {
		sum += n
	}
	v := sparkline{Words: count(sum) + " delivered in the last 24 hours"}
	if sum == 0 {
		return v
	}
	most := float64(slices.Max(hours))
	var b strings.Builder
	for i, n := range hours {
		fmt.Fprintf(&b, "%d,%d ", i*96/(len(hours)-1), 22-int(float64(n)/most*20))
	}
	v.Points = strings.TrimSpace(b.String())
	return v
}
