package control

import (
	"context"
	"encoding/base64"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/secret"
)

// BoxKey is a public key of X25519 that callers seal a stream's secrets with, so
// that those are in no request in plain.
type BoxKey struct {
	ID  string
	Key [32]byte
}

// BoxKey returns the key for secrets of streams of a top-level namespace.
func (s *Service) BoxKey(_ context.Context, p Principal, namespace string) (BoxKey, error) {
	if err := authorize(p, actionManageStreams, sluice.FoldNamespace(namespace)); err != nil {
		return BoxKey{}, err
	}
	var k BoxKey
	k.ID, k.Key = s.cfg.Ring.BoxKey()
	return k, nil
}

// maxBox is how long a sealed secret may be, in base64.
const maxBox = 64 << 10

// OpenBox returns the secret in a box that was sealed with the key with an id
// (crypto_box_seal of libsodium), in base64. The error names the field.
func (s *Service) OpenBox(_ context.Context, p Principal, namespace, field, keyID, text string) (secret.Text, error) {
	if err := authorize(p, actionManageStreams, sluice.FoldNamespace(namespace)); err != nil {
		return "", err
	}
	wrong := sluice.Errorf(sluice.Invalid, "%s is no box sealed with the key %q", field, keyID).
		WithHint("get the stream key, seal the secret with it anew, and send both its id and the box")
	if len(text) > maxBox {
		return "", wrong
	}
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", wrong
	}
	plain, err := s.cfg.Ring.OpenBox(keyID, sealed)
	if err != nil {
		return "", wrong
	}
	return secret.Text(plain), nil
}
