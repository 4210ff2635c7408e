package webhook

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// FuzzSecrets reads secrets that are anything at all: they are refused with words
// for their owner, or sign.
func FuzzSecrets(f *testing.F) {
	signing := NewSigningSecret()
	f.Add(NewVerificationToken(), signing, signing, "2026-01-31T12:00:00Z")
	f.Add("", "whsec_", "", "")
	f.Add("a token", "whsec_\r\n", "x", "tomorrow")
	f.Fuzz(func(t *testing.T, token, signing, previous, until string) {
		secrets := destination.Secrets{VerificationToken: token, SigningSecret: signing, PreviousSigningSecret: previous, PreviousSigningSecretUntil: until}
		const config = `{"url":"https://a.test"}`
		if _, err := (Kind{}).Check(json.RawMessage(config), secrets, destination.Rules{}); err != nil {
			if _, ok := errors.AsType[*sluice.Error](err); !ok {
				t.Fatalf("Check: got %T, want a *sluice.Error", err)
			}
			return
		}
		signers, err := signersOf(secrets)
		if err != nil || len(signers) > 0 != (signing != "" || previous != "") {
			t.Errorf("signers: got %d, %v", len(signers), err)
		}
		if _, err := (Kind{}).Open(json.RawMessage(config), secrets, destination.Env{Dialer: destination.NewDialer(destination.DialerConfig{})}); err != nil {
			t.Errorf("Open of what was checked: got %v, want nil", err)
		}
	})
}
