package destinationtest

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// FuzzCheck has a kind read configurations that are anything at all, beginning with
// some examples: they are refused with words for their owner, or have a form that is
// checked and opened as it is, and names hosts if the kind is [destination.Hosted].
func FuzzCheck(f *testing.F, kind destination.Kind, secrets destination.Secrets, examples ...string) {
	for _, config := range append(examples, `null`) {
		f.Add(config)
	}
	rules := destination.Rules{Administrator: true}
	f.Fuzz(func(t *testing.T, config string) {
		canonical, err := kind.Check(json.RawMessage(config), secrets, rules)
		if err != nil {
			if _, ok := errors.AsType[*sluice.Error](err); !ok {
				t.Errorf("Check of %q: got %T, want a *sluice.Error", config, err)
			}
			return
		}
		if again, err := kind.Check(canonical, secrets, rules); err != nil || string(again) != string(canonical) {
			t.Errorf("Check of %q: got %q, %v, want %q", canonical, again, err, canonical)
		}
		if hosted, ok := kind.(destination.Hosted); ok {
			if got := hosted.Hosts(canonical); len(got) == 0 || got[0] == "" {
				t.Errorf("Hosts of %q: got %q, want some", canonical, got)
			}
		}
		dst, err := kind.Open(canonical, secrets, destination.Env{Dialer: destination.NewDialer(destination.DialerConfig{})})
		if err != nil {
			t.Fatalf("Open of %q: got %v, want nil", canonical, err)
		}
		if err := dst.Close(); err != nil {
			t.Errorf("Close: got %v", err)
		}
	})
}
