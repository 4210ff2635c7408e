package s3

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// FuzzCheck reads configurations that are anything at all: they are refused with
// words for their owner, or have a form that is checked and opened as it is.
func FuzzCheck(f *testing.F) {
	for _, config := range []string{
		`{"bucket":"b-1","access_key_id":"AKIA","prefix":"/a/b/"}`,
		`{"bucket":" b.1 ","access_key_id":"k","endpoint":"https://s3.test:9000/path/","object_events":1}`,
		`{"bucket":"bucket","access_key_id":"k","region":"cn-north-1","force_path_style":true,"object_bytes":65536,"object_seconds":3600}`,
		`{"bucket":"bucket","access_key_id":"k","endpoint":"https://[::1]","force_path_style":false}`,
		`null`,
		`{"bucket":"bucket","access_key_id":"k","prefix":"/ a"}`,
	} {
		f.Add(config)
	}
	secrets := destination.Secrets{SecretAccessKey: testSecret}
	f.Fuzz(func(t *testing.T, config string) {
		canonical, err := Kind{}.Check(json.RawMessage(config), secrets, destination.Rules{})
		if err != nil {
			if _, ok := errors.AsType[*sluice.Error](err); !ok {
				t.Errorf("Check of %q: got %T, want a *sluice.Error", config, err)
			}
			return
		}
		if again, err := (Kind{}).Check(canonical, secrets, destination.Rules{}); err != nil || string(again) != string(canonical) {
			t.Errorf("Check of %q: got %q, %v, want %q", canonical, again, err, canonical)
		}
		if got := (Kind{}).Hosts(canonical); len(got) == 0 || got[0] == "" {
			t.Errorf("Hosts of %q: got %q, want some", canonical, got)
		}
		dst, err := Kind{}.Open(canonical, secrets, destination.Env{Dialer: destination.NewDialer(destination.DialerConfig{})})
		if err != nil {
			t.Fatalf("Open of %q: got %v, want nil", canonical, err)
		}
		if err := dst.Close(); err != nil {
			t.Errorf("Close: got %v", err)
		}
	})
}
