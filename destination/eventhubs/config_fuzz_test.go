package eventhubs

import (
	"testing"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

// FuzzCheck reads configurations that are anything at all.
func FuzzCheck(f *testing.F) {
	destinationtest.FuzzCheck(f, Kind{}, destination.Secrets{ConnectionString: good},
		`{"name":" hub "}`,
		`{"name":"A.b-c_9","partition_by":"none"}`,
		`{"name":"a","partition_by":null}`,
		`{"name":7}`,
	)
}
