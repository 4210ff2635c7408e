package corpus

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Of the dated corpus.
const (
	Days       = 90
	RareActors = 20
	RareOnce   = 1_000_000 // events, of which each rare actor has one

	timeLayout = "2006-01-02T15:04:05.000Z"
	rareFirst  = 40_000 // number of the first event of a rare actor
	rareStep   = 47_000 // up to that of the next one
)

// From is when the first event of the dated corpus happened; the last one did
// before the end of day number [Days].
func From() time.Time { return time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC) }

// happened returns when event number seq of the dated corpus happened.
func happened(spec *Spec, seq uint64) time.Time {
	const day = 24 * 60 * 60 * 1000
	return From().Add(time.Duration(min(seq, spec.Events-1)*Days*day/spec.Events) * time.Millisecond)
}

// RareActor returns the name of rare actor n (0 to RareActors-1) of the dated
// corpus.
func RareActor(n int) string { return fmt.Sprintf("rare.actor-%02d", n) }

// rare returns which rare actor event number seq has.
func rare(spec *Spec, seq uint64) (n int, ok bool) {
	at := seq % RareOnce
	if spec.Kind != Dated || at < rareFirst || (at-rareFirst)%rareStep != 0 {
		return 0, false
	}
	n = int((at - rareFirst) / rareStep)
	return n, n < RareActors
}

// Rare returns how many of the events below number end rare actor n has.
func Rare(n int, end uint64) uint64 {
	at := rareFirst + uint64(n)*rareStep
	if end <= at {
		return 0
	}
	return (end - at + RareOnce - 1) / RareOnce
}

// A Sample is what one event might have.
type Sample struct {
	Organization, Repository, Type, Actor, Word string
}

// Sample draws from the varied or dated corpus: what events have often comes often.
func (c *Corpus) Sample(r *rand.Rand) Sample {
	v := c.varied
	s := Sample{
		Repository: v.paths[v.repositoryDraws[r.IntN(draws)]],
		Type:       v.typeNames[v.typeDraws[r.IntN(draws)]],
		Actor:      v.actorNames[v.actorDraws[r.IntN(draws)]],
		Word:       v.words[v.wordDraw[r.IntN(draws)]],
	}
	s.Organization, _, _ = strings.Cut(s.Repository, "/")
	return s
}

// Largest returns the organization that has the most events of the varied or dated
// corpus.
func (c *Corpus) Largest() (org string) {
	events, most := map[string]int{}, 0
	for _, i := range c.varied.repositoryDraws {
		name, _, _ := strings.Cut(c.varied.paths[i], "/")
		if events[name]++; events[name] > most {
			org, most = name, events[name]
		}
	}
	return org
}
