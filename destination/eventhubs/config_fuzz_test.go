package eventhubs

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
		`{"name":" hub "}`,
		`{"name":"A.b-c_9","partition_by":"none"}`,
		`{"name":"a","partition_by":null}`,
		`null`,
		`{"name":7}`,
	} {
		f.Add(config)
	}
	secrets := destination.Secrets{ConnectionString: good}
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
		dst, err := Kind{}.Open(canonical, secrets, destination.Env{Dialer: destination.NewDialer(destination.DialerConfig{})})
		if err != nil {
			t.Fatalf("Open of %q: got %v, want nil", canonical, err)
		}
		if err := dst.Close(); err != nil {
			t.Errorf("Close: got %v", err)
		}
	})
}
