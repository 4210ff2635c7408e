package eventhubs

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/destination/destinationtest"
)

var update = flag.Bool("update", false, "write the golden file anew")

const goldenFile = "testdata/event.txt"

// TestGolden compares an event as the broker decoded it with the sample of
// docs/destinations/eventhubs.md.
func TestGolden(t *testing.T) {
	b, _, open := server(t)
	if res := open(named("hub")).Send(t.Context(), destinationtest.Batch(1)); res.Err != nil {
		t.Fatalf("Send: got %v, want delivered", res.Err)
	}
	m := b.Messages("hub")[0]
	e := m.Events[0]
	if e.Key == nil || m.Key == nil || *e.Key != *m.Key {
		t.Fatalf("partition keys: got %v and %v, want the same", e.Key, m.Key)
	}
	got := fmt.Sprintf("partition key      %s\nmessage id         %s\ncontent type       %s\nproperty event_id  %s\nbody               %s\n",
		*e.Key, e.ID, e.ContentType, e.Properties["event_id"], e.Body)
	if len(e.Properties) != 1 {
		t.Errorf("properties: got %v, want event_id alone", e.Properties)
	}
	if *update {
		if err := os.WriteFile(goldenFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("event: got\n%s\nwant\n%s", got, want)
	}
	guide, err := os.ReadFile("../../docs/destinations/eventhubs.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(guide), "```\n"+string(want)+"```\n") {
		t.Errorf("docs/destinations/eventhubs.md: got no sample, want\n%s", want)
	}
}
