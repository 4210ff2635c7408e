package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// Names of the kind's secrets.
const (
	// VerificationToken goes with every request in a header that receivers
	// compare.
	VerificationToken = "verification_token"
	// SigningSecret is the key of webhook-signature.
	SigningSecret = "signing_secret"
	// PreviousSigningSecret signs beside SigningSecret until
	// PreviousSigningSecretUntil, a time as in RFC 3339. See [Rotate].
	PreviousSigningSecret      = "previous_signing_secret"
	PreviousSigningSecretUntil = "previous_signing_secret_until"
)

// RotationPeriod is how long a replaced signing secret goes on signing.
const RotationPeriod = 24 * time.Hour

// Limits of secrets.
const (
	minToken  = 16
	maxToken  = 24
	minKey    = 24 // bytes behind the Base64
	maxKey    = 64
	keyPrefix = "whsec_"
)

// NewVerificationToken returns a random token of 24 letters and digits.
func NewVerificationToken() string { return rand.Text()[:maxToken] }

// NewSigningSecret returns a random secret of 32 bytes in its written form.
func NewSigningSecret() string {
	key := make([]byte, 32)
	rand.Read(key) // never fails, see its documentation
	return keyPrefix + base64.StdEncoding.EncodeToString(key)
}

// Rotate returns the secrets to store when old are replaced by next: a signing
// secret that changes stays valid beside the new one for [RotationPeriod], so
// that receivers can be changed one after another. Neither map is changed.
func Rotate(old, next destination.Secrets, now time.Time) destination.Secrets {
	out := destination.Secrets{}
	for name, value := range next {
		out[name] = value
	}
	before := old[SigningSecret]
	if before == out[SigningSecret] {
		return out
	}
	delete(out, PreviousSigningSecret)
	delete(out, PreviousSigningSecretUntil)
	if before != "" && out[SigningSecret] != "" {
		out[PreviousSigningSecret] = before
		out[PreviousSigningSecretUntil] = now.Add(RotationPeriod).UTC().Format(time.RFC3339)
	}
	return out
}

func checkSecrets(secrets destination.Secrets) error {
	for name := range secrets {
		switch name {
		case VerificationToken, SigningSecret, PreviousSigningSecret, PreviousSigningSecretUntil:
		default:
			return sluice.Errorf(sluice.Invalid, "secrets has no field %q", name).
				WithHint("the secrets are %s and %s", VerificationToken, SigningSecret)
		}
	}
	if err := checkToken(secrets[VerificationToken]); err != nil {
		return err
	}
	_, err := signersOf(secrets)
	return err
}

func checkToken(token string) error {
	if token == "" {
		return nil
	}
	if len(token) < minToken || len(token) > maxToken {
		return sluice.Errorf(sluice.Invalid, "secrets.%s must have %d to %d characters", VerificationToken, minToken, maxToken).
			WithHint("leave it out to have one generated")
	}
	for _, c := range []byte(token) {
		if c <= ' ' || c > '~' {
			return sluice.Errorf(sluice.Invalid, "secrets.%s must consist of visible ASCII characters", VerificationToken).
				WithHint("leave it out to have one generated")
		}
	}
	return nil
}

// signer signs with one secret until a time; the zero time is for ever.
type signer struct {
	key   []byte
	until time.Time
}

func signersOf(secrets destination.Secrets) ([]signer, error) {
	var out []signer
	for _, name := range []string{SigningSecret, PreviousSigningSecret} {
		if secrets[name] == "" {
			continue
		}
		key, err := parseKey(name, secrets[name])
		if err != nil {
			return nil, err
		}
		s := signer{key: key}
		if name == PreviousSigningSecret {
			if s.until, err = time.Parse(time.RFC3339, secrets[PreviousSigningSecretUntil]); err != nil {
				return nil, sluice.Errorf(sluice.Invalid, "secrets.%s must be a time such as 2026-01-31T12:00:00Z", PreviousSigningSecretUntil)
			}
		}
		out = append(out, s)
	}
	return out, nil
}

func parseKey(name, secret string) ([]byte, error) {
	wrong := sluice.Errorf(sluice.Invalid, "secrets.%s must be %s and the Base64 of %d to %d bytes", name, keyPrefix, minKey, maxKey).
		WithHint(`make one with: echo "whsec_$(head -c 32 /dev/urandom | base64)"`)
	text, ok := strings.CutPrefix(secret, keyPrefix)
	if !ok {
		return nil, wrong
	}
	key, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(key) < minKey || len(key) > maxKey || strings.ContainsAny(text, "\r\n") {
		return nil, wrong
	}
	return key, nil
}

// sign returns the value of webhook-signature, "" without a valid secret: for
// each secret "v1," and the Base64 of an HMAC over id, time stamp and body, as
// Standard Webhooks has it
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
func sign(signers []signer, id string, now time.Time, body *destination.Body) string {
	var out strings.Builder
	for _, s := range signers {
		if !s.until.IsZero() && !now.Before(s.until) {
			continue
		}
		mac := hmac.New(sha256.New, s.key)
		fmt.Fprintf(mac, "%s.%s.", id, timestamp(now))
		body.WriteTo(mac) // a hash does not fail
		if out.Len() > 0 {
			out.WriteByte(' ')
		}
		out.WriteString("v1,")
		out.WriteString(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return out.String()
}

func timestamp(now time.Time) string { return strconv.FormatInt(now.Unix(), 10) }
