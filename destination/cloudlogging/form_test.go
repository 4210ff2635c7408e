package cloudlogging

import (
	"testing"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

func TestForm(t *testing.T) {
	least := map[string]any{"project_id": testProject}
	secrets := destination.Secrets{PrivateKey: testAccount().File()}
	destinationtest.TestForm(t, Kind{}, least, secrets, "../../docs/destinations/cloudlogging.md")
}
