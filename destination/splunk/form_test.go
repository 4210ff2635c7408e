package splunk

import (
	"testing"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

func TestForm(t *testing.T) {
	least := map[string]any{"domain": "splunk.test"}
	secrets := destination.Secrets{Token: testToken}
	destinationtest.TestForm(t, Kind{}, least, secrets, "../../docs/destinations/splunk.md")
}
