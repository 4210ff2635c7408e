package s3

import (
	"testing"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

// FuzzCheck reads configurations that are anything at all.
func FuzzCheck(f *testing.F) {
	destinationtest.FuzzCheck(f, Kind{}, destination.Secrets{SecretAccessKey: testSecret},
		`{"bucket":"b-1","access_key_id":"AKIA","prefix":"/a/b/"}`,
		`{"bucket":" b.1 ","access_key_id":"k","endpoint":"https://s3.test:9000/path/","object_events":1}`,
		`{"bucket":"bucket","access_key_id":"k","region":"cn-north-1","force_path_style":true,"object_bytes":65536,"object_seconds":3600}`,
		`{"bucket":"bucket","access_key_id":"k","endpoint":"https://[::1]","force_path_style":false}`,
		`{"bucket":"bucket","access_key_id":"k","prefix":"/ a"}`,
	)
}
