package webhook

import (
	"testing"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

func TestForm(t *testing.T) {
	least := map[string]any{"url": "https://siem.test/in"}
	secrets := destination.Secrets{}
	destinationtest.TestForm(t, Kind{}, least, secrets, "../../docs/destinations/http.md")
}
