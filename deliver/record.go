package deliver

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/store"
)

// record is the durable state of a lane. Only the flusher writes it.
type record struct {
	Stream sluice.StreamID `json:"stream"`
	// Scope is the stream's namespace: what the totals count.
	Scope string `json:"scope"`
	// Version is the stream's version at the time of writing.
	Version uint64 `json:"version"`
	// Epoch is the owner of the partition at the time of writing.
	Epoch uint64 `json:"epoch"`

	Cursor     uint64 `json:"cursor"`      // every event up to it is settled
	Total      uint64 `json:"total"`       // events of the scope up to the cursor
	StartTotal uint64 `json:"start_total"` // events of the scope before the stream
	Delivered  uint64 `json:"delivered"`
	Expired    uint64 `json:"expired"`
	// Quarantined lists the sequence numbers that are in quarantine. It alone
	// counts; copies that it does not name are removed at the start.
	Quarantined      []uint64 `json:"quarantined,omitempty"`
	QuarantinedBytes int      `json:"quarantined_bytes,omitempty"`

	// Behind: the lane stands at its cursor after a start, not at the
	// partition's checkpoint. Since is when it fell behind; zero for one that
	// gathers an object in time.
	Behind bool      `json:"behind"`
	Since  time.Time `json:"since,omitzero"`
	// Announced is the highest percentage of the time left before events expire
	// that was announced.
	Announced int `json:"announced,omitempty"`

	// Trouble is what ails the lane: it is failing or held.
	Trouble *troubleRecord `json:"trouble,omitempty"`

	// Hole is a range of missing numbers before the cursor whose loss has not
	// shown in the totals yet.
	Hole *hole `json:"hole,omitempty"`
	// Plan is the object that is being stored.
	Plan *plan `json:"plan,omitempty"`
	// GivenUp is about the plans that it follows.
	GivenUp *givenUp `json:"given_up,omitempty"`
	// End is where a stream with an until ends.
	End *Start `json:"end,omitempty"`

	// Outbox holds notices that are to be appended to the log.
	Outbox []Notice `json:"outbox,omitempty"`
}

type hole struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	Cause string `json:"cause"`
}

// Keys of the records that delivery owns.
const (
	lanePrefix       = "lane/"
	tailPrefix       = "tail/"
	quarantinePrefix = "quarantine/"
	epochPrefix      = "epoch/"
)

func laneKey(id sluice.StreamID, partition string) string {
	return fmt.Sprintf("%s%d/%s", lanePrefix, id, partition)
}

func quarantineKey(id sluice.StreamID, partition string, seq uint64) string {
	return fmt.Sprintf("%s%d/%s/%020d", quarantinePrefix, id, partition, seq)
}

// checkpoint is the durable position of a partition's tail.
type checkpoint struct {
	Seq uint64 `json:"seq"`
}

// Floors returns what the lane records know of the log, so that the log never
// gives out a number, or forgets an event, that a cursor has passed.
func Floors(ctx context.Context, s store.Store) (map[string]eventlog.Floor, error) {
	floors := map[string]eventlog.Floor{}
	for rec, err := range s.List(ctx, lanePrefix) {
		if err != nil {
			return nil, fmt.Errorf("list lane records: %w", err)
		}
		var r record
		if err := json.Unmarshal(rec.Value, &r); err != nil {
			return nil, fmt.Errorf("read lane record %q: %w", rec.Key, err)
		}
		_, partition, ok := strings.Cut(strings.TrimPrefix(rec.Key, lanePrefix), "/")
		if !ok {
			return nil, fmt.Errorf("lane record %q names no partition", rec.Key)
		}
		f := floors[partition]
		if f.Totals == nil {
			f.Totals = map[string]uint64{}
		}
		at := Start{Seq: r.Cursor, Total: r.Total}
		if r.Plan != nil {
			at = r.Plan.End // its key names numbers up to there
		}
		f.Seq = max(f.Seq, at.Seq)
		if r.Scope == sluice.Instance {
			f.Total = max(f.Total, at.Total)
		} else {
			f.Totals[r.Scope] = max(f.Totals[r.Scope], at.Total)
		}
		floors[partition] = f
	}
	for rec, err := range s.List(ctx, tailPrefix) {
		if err != nil {
			return nil, fmt.Errorf("list checkpoints: %w", err)
		}
		var c checkpoint
		if err := json.Unmarshal(rec.Value, &c); err != nil {
			return nil, fmt.Errorf("read checkpoint %q: %w", rec.Key, err)
		}
		partition := strings.TrimPrefix(rec.Key, tailPrefix)
		f := floors[partition]
		f.Seq = max(f.Seq, c.Seq)
		floors[partition] = f
	}
	return floors, nil
}
