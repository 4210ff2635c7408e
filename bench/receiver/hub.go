package receiver

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/sluicelog/sluice/bench/sink"
	"github.com/sluicelog/sluice/destination/eventhubs/eventhubstest"
)

// HubName is the event hub that [Hub] has: by its name the broker counts and keeps
// nothing.
const HubName = "count-bench"

// broke runs the AMQP broker, without TLS.
func broke(ctx context.Context, out io.Writer) (err error) {
	broker, err := eventhubstest.Start()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	l, err := broker.Listen(eventhubstest.ListenOptions{})
	if err != nil {
		return err
	}
	h := &hub{broker: broker}
	return serveStats(ctx, out, l.Host(), h.stats)
}

type hub struct {
	broker *eventhubstest.Broker

	mu   sync.Mutex // guards what follows
	base uint64     // that came before the first event was sent: Sluice's own
	seen sink.PathStats
}

// stats counts what came. Which events are missing or repeated is not known: fewer
// than were sent miss some, more repeat some. Times are those of the questions.
func (h *hub) stats(_ context.Context, upto uint64) (sink.Stats, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.broker.Count(HubName)
	if n < 0 {
		return sink.Stats{}, errors.New("count events: the broker is gone")
	}
	count := uint64(n)
	if upto == 0 {
		h.base = count
	}
	s := &h.seen
	if s.Foreign = h.base; count-h.base > s.Events {
		s.Events, s.LastNew = count-h.base, time.Now().UnixNano()
	}
	s.Unique = min(s.Events, upto)
	s.Duplicates, s.Missing = s.Events-s.Unique, upto-s.Unique
	return sink.Stats{Paths: map[string]sink.PathStats{HubPath: *s}}, nil
}
