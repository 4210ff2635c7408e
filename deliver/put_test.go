package deliver

import (
	"context"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// A stream that could not be put, for the log was not readable at that moment, is
// put again, and then gets everything.
func TestPutAfterAPutThatFailed(t *testing.T) {
	simulate(t, Options{}, func(t *testing.T, w *world) {
		r := &receiver{limits: destination.Limits{Events: 100, Bytes: 1 << 20, Timeout: time.Minute}}
		w.dests[1] = r
		seq, total := w.log.Position("audit", "acme")
		conf := Stream{ID: 1, Namespace: "acme", Version: 1, Start: map[string]Start{"audit": {Seq: seq, Total: total}},
			Until: time.Now().Add(time.Hour), Open: func() (destination.Destination, error) { return r, nil }}
		broken, cancel := context.WithCancel(context.Background())
		cancel()
		w.post("acme", "a", 2)
		if err := w.d.Put(broken, conf); err == nil {
			t.Fatal("Put without a log that can be read: got no error")
		}
		w.post("acme", "a", 1)
		w.put(conf)
		w.expect(1, sluice.Ledger{Accepted: 3, Delivered: 3})
		w.post("acme", "a", 2)
		w.expect(1, sluice.Ledger{Accepted: 5, Delivered: 5})
	})
}
