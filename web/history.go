package web

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// Limits of what the page of a stream shows.
const (
	fewAttempts  = 25
	manyAttempts = 200
	attemptWords = 300 // characters of the destination's answer
)

// historyRoutes is the table of the pages of one stream.
func (s *Site) historyRoutes() map[string]placeRoute {
	return map[string]placeRoute{
		"streams/{stream}":            {get: s.historyPage},
		"streams/{stream}/retry":      {post: s.retryStream},
		"streams/{stream}/quarantine": {get: s.quarantinePage, post: s.emptyQuarantine},
		"streams/{stream}/replay":     {get: s.replayPage, post: s.replay},
	}
}

// History returns where the page of the stream lies.
func (r streamRow) History() string { return streamAddress(r.Namespace, r.ID) }

// streamHead is what the pages of a stream begin with.
type streamHead struct {
	Stream   *control.Stream
	Title    string
	Kind     string
	Address  string // of these pages
	Settings string // address of the stream's row
	State    statusView
	Lag      string
	Bar      ledgerView
	Owner    bool
}

func (s *Site) headOf(ctx context.Context, v *visit, p *place) (streamHead, error) {
	st, err := s.streamOf(ctx, v, p)
	if err != nil {
		return streamHead{}, err
	}
	kinds, err := s.service.KindForms(ctx, v.by)
	if err != nil {
		return streamHead{}, err
	}
	id := strconv.FormatInt(int64(st.ID), 10)
	return streamHead{
		Stream: &st, Title: titleOf(&st), Kind: kindOf(kinds, st.Kind).Title, Address: p.Root + "/streams/" + id, Settings: p.Root + "/" + streamsTab + "/" + id,
		State: statusWords(&st), Lag: lagWords(&st.Health), Bar: ledgerOf(&st.Ledger), Owner: p.Owner,
	}, nil
}

// historyData is the data of the page of a stream.
type historyData struct {
	Place    *place
	Head     streamHead
	Retry    bool // there is something to try at once
	Day      graph
	Week     graph
	Waiting  graph
	Attempts []attemptRow
	All      bool // as many as are kept
	Happened []happened
	Gaps     []happened
	Log      string // address of all that happened in the audit log
	NoIndex  bool
}

// attemptRow is one try to deliver.
type attemptRow struct {
	At      time.Time
	Events  string // in words
	Size    string
	Took    string
	Outcome string
	Bad     bool
	Answer  string
}

func (s *Site) historyPage(ctx context.Context, v *visit, p *place) (answer, error) {
	head, err := s.headOf(ctx, v, p)
	if err != nil {
		return answer{}, err
	}
	data := &historyData{Place: p, Head: head, All: v.URL.Query().Get("attempts") == "all"}
	data.Retry = p.Owner && head.Stream.Active && head.Stream.Health.NextRetry != nil
	limit := fewAttempts
	if data.All {
		limit = manyAttempts
	}
	attempts, err := s.service.Attempts(ctx, v.by, head.Stream.ID, limit)
	if err != nil {
		return answer{}, err
	}
	for i := range attempts {
		data.Attempts = append(data.Attempts, attemptOf(&attempts[i]))
	}
	data.All = data.All || len(attempts) < limit
	if err := s.historyGraphs(ctx, v, data); err != nil {
		return answer{}, err
	}
	if err := s.whatHappened(ctx, v, data); err != nil {
		return answer{}, err
	}
	return show("history", p.Title(head.Title), data), nil
}

func attemptOf(a *control.Attempt) attemptRow {
	row := attemptRow{
		At: a.Time, Events: plural(uint64(max(0, a.Events)), classWord(a.Partition), classWord(a.Partition)+"s"), Size: size(uint64(max(0, a.Bytes))),
		Took: millis(time.Duration(a.MS * float64(time.Millisecond)).Round(10 * time.Microsecond)), Outcome: outcomeWords(a), Bad: a.Outcome != "delivered",
		Answer: plain(a.Message, attemptWords),
	}
	if a.Outcome != "delivered" && a.Delivered > 0 {
		row.Events = count(a.Delivered) + " delivered of " + row.Events
	}
	if a.Status != 0 && !strings.Contains(a.Message, strconv.Itoa(a.Status)) {
		row.Answer = plain(strconv.Itoa(a.Status)+" "+http.StatusText(a.Status)+": "+a.Message, attemptWords)
		if a.Message == "" {
			row.Answer = strconv.Itoa(a.Status) + " " + http.StatusText(a.Status)
		}
	}
	return row
}

// outcomeWords says how a try ended.
func outcomeWords(a *control.Attempt) string {
	words := map[string]string{
		"delivered": "Delivered", "unavailable": "Not available, tried again", "misconfigured": "Refused: somebody has to act", "rejected": "Refused: something is wrong with an event",
	}[a.Outcome]
	if words == "" {
		words = a.Outcome
	}
	return words
}

// retryStream tries a stream at once.
func (s *Site) retryStream(ctx context.Context, v *visit, p *place) (answer, error) {
	head, err := s.headOf(ctx, v, p)
	if err != nil {
		return answer{}, err
	}
	out, err := s.service.RetryStream(ctx, v.by, head.Stream.ID)
	if err != nil {
		return answer{}, err
	}
	if !out.Retried {
		return redirectWith(head.Address, "stream_not_retried"), nil
	}
	return redirectWith(head.Address, "stream_retried"), nil
}

// isOf reports whether an event of Sluice's own is about a stream.
func isOf(details *ownEvent, id sluice.StreamID) bool {
	return details.TargetType == "Stream" && string(details.TargetID) == strconv.FormatInt(int64(id), 10)
}
