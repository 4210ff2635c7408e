package eventhubs

import (
	"testing"

	"github.com/sluicelog/sluice/destination/eventhubs/eventhubstest"
)

// BenchmarkSend sends 4 MB of events of 1 KB, of which the broker counts the
// batches.
func BenchmarkSend(b *testing.B) {
	broker, err := eventhubstest.Start()
	if err != nil {
		b.Fatal(err)
	}
	defer broker.Close()
	l, err := broker.Listen(eventhubstest.ListenOptions{})
	if err != nil {
		b.Fatal(err)
	}
	h := openHub(b, named("count"), withKey(l.Host(), eventhubstest.KeyName, eventhubstest.Key)+emulated, testEnv())
	defer h.Close()
	batch := padded(4000, 1000)
	b.ReportAllocs()
	for b.Loop() {
		if res := h.Send(b.Context(), batch); res.Err != nil {
			b.Fatalf("Send: got %v, want delivered", res.Err)
		}
	}
	b.ReportMetric(float64(len(batch.Events)*b.N)/b.Elapsed().Seconds(), "events/s")
	if got := broker.Count("count"); got < len(batch.Events)*b.N {
		b.Errorf("count: got %d, want at least %d", got, len(batch.Events)*b.N)
	}
}
