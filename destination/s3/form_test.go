package s3

import (
	"testing"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

func TestForm(t *testing.T) {
	least := map[string]any{"bucket": testBucket, "access_key_id": testKeyID}
	secrets := destination.Secrets{SecretAccessKey: testSecret}
	destinationtest.TestForm(t, Kind{}, least, secrets, "../../docs/destinations/s3.md")
}
