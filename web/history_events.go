package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

const (
	maxHappened = 20
	maxGaps     = 50
)

// happened is something that was done to a stream, or that became of it.
type happened struct {
	At      time.Time
	By      string
	What    string
	Why     string // in words, or ""
	Address string // of the event
	Bad     bool
}

// ownEvent is what is read of an event that Sluice wrote itself.
type ownEvent struct {
	Type       string          `json:"event_type"`
	At         time.Time       `json:"created_at"`
	By         string          `json:"author_name"`
	TargetType string          `json:"target_type"`
	TargetID   json.RawMessage `json:"target_id"`
	Details    struct {
		Message string `json:"custom_message"`
		Reason  string `json:"reason"`
		Class   string `json:"partition"`
		Cause   string `json:"cause"`
		// Events is a number, or for other types a list.
		Events     json.RawMessage `json:"events"`
		ExpectedAt time.Time       `json:"expected_at"`
	} `json:"details"`
}

// whatHappened adds what the audit log has about a stream.
func (s *Site) whatHappened(ctx context.Context, v *visit, data *historyData) error {
	of := " target:" + strconv.FormatInt(int64(data.Head.Stream.ID), 10) + " source:sluice"
	all := "action:stream action:quarantine" + of
	data.Log = data.Place.Root + "/audit-log?" + url.Values{"phrase": {all}}.Encode()
	var err error
	if data.Happened, err = s.ownEvents(ctx, v, data, all, maxHappened); err != nil {
		if e, ok := errors.AsType[*sluice.Error](err); ok && e.Code == sluice.Unsupported {
			data.NoIndex, err = true, nil
		}
		return err
	}
	data.Gaps, err = s.ownEvents(ctx, v, data, "type:stream.gap type:stream.gap_expected"+of, maxGaps)
	return err
}

// ownEvents finds Sluice's own events about a stream, the newest first.
func (s *Site) ownEvents(ctx context.Context, v *visit, data *historyData, phrase string, limit int) (list []happened, err error) {
	found, err := s.service.Events(ctx, v.by, control.EventQuery{Namespace: data.Place.Namespace, Phrase: phrase, Class: "audit", Limit: limit})
	if err != nil {
		return nil, err
	}
	for i := range found.Events {
		var e ownEvent
		if json.Unmarshal(found.Events[i].Event, &e) != nil || !isOf(&e, data.Head.Stream.ID) {
			continue // its name looks like the number of this one
		}
		h := e.happened()
		h.Address = data.Place.Root + "/audit-log/" + eventName(&found.Events[i])
		list = append(list, h)
	}
	return list, nil
}

func (e *ownEvent) happened() happened {
	h := happened{At: e.At, By: plain(e.By, rowName), What: plain(e.Details.Message, rowText), Why: plain(e.Details.Reason, rowText)}
	n, _ := strconv.ParseUint(string(e.Details.Events), 10, 64)
	events := classWord(e.Details.Class)
	switch e.Type {
	case "stream.gap":
		h.Bad, h.What, h.Why = true, plural(n, events, events+"s")+" expired before delivery", "cause: "+causeWords(e.Details.Cause)
	case "stream.gap_expected":
		h.Bad, h.What = true, plural(n, events, events+"s")+" will expire unless delivered"
		if !e.Details.ExpectedAt.IsZero() {
			h.Why = "from " + e.Details.ExpectedAt.UTC().Format("2 Jan 2006, 15:04 UTC") + " on"
		}
	case "stream.failing", "stream.held":
		h.Bad = true
	}
	return h
}

// causeWords says why events expired.
func causeWords(cause string) string {
	if cause == "retention" {
		return "they were older than events are kept"
	}
	return plain(cause, rowText)
}
