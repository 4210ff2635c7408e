package cloudlogging

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
		`{"project_id":"acme-audit-1234","client_email":"a@b.example","log_id":"audit/acme"}`,
		`{"project_id":"acme-audit-1234","endpoint":"https://logs.example:8443/google/","token_url":"https://id.example/t"}`,
		`{"project_id":"acme-audit-1234","endpoint":"https://[::1]/ /"}`,
		`null`,
		`{"private_key":"x"}`,
	} {
		f.Add(config)
	}
	secrets := destination.Secrets{PrivateKey: testAccount().File()}
	f.Fuzz(func(t *testing.T, config string) {
		canonical, err := Kind{}.Check(json.RawMessage(config), secrets, destination.Rules{Administrator: true})
		if err != nil {
			if _, ok := errors.AsType[*sluice.Error](err); !ok {
				t.Errorf("Check of %q: got %T, want a *sluice.Error", config, err)
			}
			return
		}
		if again, err := (Kind{}).Check(canonical, secrets, destination.Rules{Administrator: true}); err != nil || string(again) != string(canonical) {
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
