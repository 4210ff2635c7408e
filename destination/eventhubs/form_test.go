package eventhubs

import (
	"testing"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

func TestForm(t *testing.T) {
	least := map[string]any{"name": "hub"}
	secrets := destination.Secrets{ConnectionString: good}
	destinationtest.TestForm(t, Kind{}, least, secrets, "../../docs/destinations/eventhubs.md")
}
