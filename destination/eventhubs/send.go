package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/sluicelog/sluice/destination"
	"golang.org/x/sync/errgroup"
)

const (
	// maxAtOnce bounds the batches under way of a Send.
	maxAtOnce = 8
	// maxRefusals is how many events in a row may be refused, without one that is
	// accepted, before the hub is taken to refuse everything.
	maxRefusals = 20
)

// delivery is a Send under way.
type delivery struct {
	session  *session
	limit    uint64 // bytes of a message
	unproved *atomic.Bool
	events   []destination.Event

	mu       sync.Mutex
	outcomes []destination.Outcome
	reasons  map[int]string
	failure  *destination.Error // the first one that is no refusal
	refusal  *destination.Error // the first one
	row      int                // refusals since the last acceptance
	accepted bool               // an event was
}

// run sends parts at once and reports whether to go on.
func (d *delivery) run(ctx context.Context, parts []part) bool {
	if len(parts) == 1 {
		return d.list(ctx, parts[0].key, parts[0].at)
	}
	var g errgroup.Group
	g.SetLimit(maxAtOnce)
	for _, p := range parts {
		g.Go(func() error {
			d.list(ctx, p.key, p.at)
			return nil
		})
	}
	_ = g.Wait() // failures are noted as they come
	return !d.over()
}

// list sends the events of a key in order and reports whether to go on.
func (d *delivery) list(ctx context.Context, key string, at []int) bool {
	for len(at) > 0 {
		if d.over() {
			return false
		}
		batch, n, err := d.fill(ctx, key, at)
		if err != nil {
			return d.fail(err)
		}
		if n == 0 {
			at = at[1:] // refused here
			continue
		}
		err = d.session.judge(ctx, d.session.client.SendEventDataBatch(ctx, batch, nil))
		switch {
		case err == nil:
			destination.Progressed(ctx)
			d.accept(at[:n])
		case err.Class != destination.RejectedBatch:
			return d.fail(err)
		case n == 1:
			d.unproved.Store(!err.TooLarge)
			d.refuse(at[0], err)
		case !d.list(ctx, key, at[:n/2]) || !d.list(ctx, key, at[n/2:n]):
			return false
		}
		at = at[n:]
	}
	return !d.over()
}

// fill puts as many of the events into a batch as the link takes, and returns
// how many. It is none when the first one is refused here.
func (d *delivery) fill(ctx context.Context, key string, at []int) (*azeventhubs.EventDataBatch, int, *destination.Error) {
	var options azeventhubs.EventDataBatchOptions
	if key != "" {
		options.PartitionKey = &key
	}
	batch, err := d.session.client.NewEventDataBatch(ctx, &options)
	if err != nil {
		return nil, 0, d.session.judge(ctx, err)
	}
	for n, i := range at {
		e := &d.events[i]
		err := batch.AddEventData(eventData(string(e.ID), e.Payload), nil)
		switch {
		case err == nil:
		case n > 0:
			return batch, n, nil
		case !errors.Is(err, azeventhubs.ErrEventDataTooLarge):
			d.refuse(i, &destination.Error{Class: destination.RejectedBatch, Message: "the event cannot be written as a message: " + d.session.redact.Text(err.Error())})
			return nil, 0, nil
		case uint64(atMost(e, key)) <= d.limit:
			return nil, 0, &destination.Error{Class: destination.Misconfigured, Message: fmt.Sprintf(
				"the event hub takes no message of %d bytes although it announced %d: check the Endpoint", len(e.Payload), d.limit)}
		default:
			d.refuse(i, &destination.Error{Class: destination.RejectedBatch, TooLarge: true, Message: fmt.Sprintf(
				"the event has %d bytes and is too large: a message of this event hub has at most %d, its frame included", len(e.Payload), d.limit)})
			return nil, 0, nil
		}
	}
	return batch, len(at), nil
}

var contentType = "application/json"

// eventData is the message of an event.
func eventData(id string, payload []byte) *azeventhubs.EventData {
	return &azeventhubs.EventData{
		Body:        payload,
		ContentType: &contentType,
		MessageID:   &id,
		Properties:  map[string]any{"event_id": id},
	}
}

// atMost bounds from above what a batch of one event takes: id and key come in
// the envelope as well as in the message.
func atMost(e *destination.Event, key string) int {
	return len(e.Payload) + 4*len(e.ID) + 2*len(key) + 512
}

func (d *delivery) over() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failure != nil || d.row >= maxRefusals && !d.accepted
}

func (d *delivery) fail(err *destination.Error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failure == nil {
		d.failure = err
	}
	d.unproved.Store(true)
	return false
}

func (d *delivery) accept(at []int) {
	d.unproved.Store(false)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.row, d.accepted = 0, true
	for _, i := range at {
		d.outcomes[i] = destination.Delivered
	}
}

func (d *delivery) refuse(i int, err *destination.Error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reasons == nil {
		d.reasons = map[int]string{}
	}
	if d.refusal == nil {
		d.refusal = err
	}
	d.row++
	d.outcomes[i], d.reasons[i] = destination.Rejected, err.Message
}

func (d *delivery) result() destination.Result {
	switch {
	case d.failure == nil && d.refusal == nil:
		return destination.Result{}
	case !d.accepted && d.refusal == nil:
		return destination.Result{Err: d.failure}
	}
	res := destination.Result{Err: d.failure, Events: d.outcomes, Reasons: d.reasons}
	if res.Err == nil {
		res.Err = d.refusal
	}
	return res
}
