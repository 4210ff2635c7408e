package oracle

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/sluicelog/sluice/bench/mutant"
	"github.com/sluicelog/sluice/bench/server"
	"github.com/sluicelog/sluice/client"
)

// SmallChunks lets the server store its index every 500 events, not every 131,072:
// with these no drill but the longest would come to it, and each start would read
// the whole log.
func SmallChunks() mutant.Edit {
	return mutant.Edit{File: "index/head.go", Old: "ChunkEvents = 128 << 10", New: "ChunkEvents = 500"}
}

// SoonWell has a stream told to be well when it has been so for a second, not for a
// minute: who waits until all is settled waits for that. Nothing else is changed.
func SoonWell() mutant.Edit {
	return mutant.Edit{File: "control/health.go", Old: "recoveredAfter = time.Minute", New: "recoveredAfter = time.Second"}
}

// Found reads all that the search finds, the oldest first, and returns what is
// wrong with the pages: positions and times of acceptance that go back, events that
// are found and not there. It lets each have every event.
func Found(ctx context.Context, api *client.Client, phrase string, each func(*client.FoundEvent)) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	last := map[string]client.FoundEvent{}
	q := client.EventQuery{Phrase: phrase, Oldest: true, Limit: client.MaxFound}
	for {
		page, err := api.FindEvents(ctx, q)
		if err != nil {
			say("search %q: %v", phrase, err)
			return wrong
		}
		if page.Missing > 0 || page.Incomplete {
			say("search %q: %d events are found and not there; incomplete is %v", phrase, page.Missing, page.Incomplete)
		}
		for i := range page.Events {
			e := &page.Events[i]
			before, ok := last[e.Partition]
			if ok && (e.Seq <= before.Seq || e.AcceptedAt.Before(before.AcceptedAt)) {
				say("%s: %d, accepted at %v, is found after %d, accepted at %v", e.Partition, e.Seq, e.AcceptedAt, before.Seq, before.AcceptedAt)
			}
			last[e.Partition] = *e
			each(e)
		}
		if !page.More {
			return wrong
		}
		q.After = page.Next
	}
}

// Phrases that find the oracle's events, and all others.
const (
	ofTheOracle = "actor:someone"
	ofTheServer = "-actor:someone"
)

// judgeSearch compares what the search finds with the books. The index may be
// behind, after a power cut as far as it likes: it has to catch up by itself, with
// nothing missing and nothing twice.
func (o *oracle) judgeSearch(ctx context.Context) {
	api, err := o.server.Client(server.AdminToken)
	if err != nil {
		o.findings.add("search: %v", err)
		return
	}
	defer api.Close()
	err = server.Await(ctx, server.Patience, "the index to catch up", func(ctx context.Context) error {
		page, err := api.FindEvents(ctx, client.EventQuery{Phrase: ofTheOracle, Limit: 1})
		if err == nil && (page.LagSeconds > 0 || page.Incomplete) {
			err = fmt.Errorf("it is %v s behind, incomplete is %v", page.LagSeconds, page.Incomplete)
		}
		return err
	})
	if err != nil {
		o.findings.add("search: %v", err)
		return
	}
	o.judgeFound(ctx, api)
	o.judgeFoundOwn(ctx, api)
}

// judgeFound compares the events of the oracle.
func (o *oracle) judgeFound(ctx context.Context, api *client.Client) {
	entries := o.books.list()
	times := make([]uint8, len(entries))
	var scratch []byte
	wrong := Found(ctx, api, ofTheOracle, func(e *client.FoundEvent) {
		n, ok := numberOf(e.Event)
		if !ok {
			o.findings.add("search: got what the oracle did not issue: %.200q", e.Event)
			return
		}
		var bad string
		if bad, scratch = o.books.check(n, e.Event, scratch); bad != "" {
			o.findings.add("search: event %d %s", n, bad)
			return
		}
		times[n.serial()]++
		o.searched++
	})
	for i := range entries {
		switch {
		case times[i] > 1:
			wrong = append(wrong, fmt.Sprintf("search: event %d is found %d times", entries[i].n, times[i]))
		case times[i] == 0 && entries[i].acked != 0:
			wrong = append(wrong, fmt.Sprintf("search: event %d was acknowledged and is not found", entries[i].n))
		}
	}
	for _, w := range wrong {
		o.findings.add("%s", w)
	}
}

// judgeFoundOwn compares those that the server wrote about itself with what the
// first receiver has got.
func (o *oracle) judgeFoundOwn(ctx context.Context, api *client.Client) {
	times := map[string]int{}
	wrong := Found(ctx, api, ofTheServer, func(e *client.FoundEvent) {
		var own ownEvent
		if err := json.Unmarshal(e.Event, &own); err != nil || own.ID == "" {
			o.findings.add("search: got what is no event: %.200q", e.Event)
			return
		}
		times[own.ID]++
	})
	for _, e := range o.streams[0].receiver.shelf().own {
		if times[e.ID] != 1 {
			wrong = append(wrong, fmt.Sprintf("search: own event %s (%s) is found %d times", e.ID, e.Type, times[e.ID]))
		}
		delete(times, e.ID)
	}
	for id := range times {
		wrong = append(wrong, fmt.Sprintf("search: own event %s is found, which the first receiver has not got", id))
	}
	for _, w := range wrong {
		o.findings.add("%s", w)
	}
}
