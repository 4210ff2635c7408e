package secret

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/crypto/nacl/box"
)

// ErrBox means that something is no box sealed for the key, or was damaged.
var ErrBox = errors.New("the sealed box is damaged or was sealed for another key")

// BoxKey returns the public key, of X25519, that others seal values for the ring
// with, and its id. There is one for each key of the ring; this is that of the
// current one.
func (r *Ring) BoxKey() (id string, public [keySize]byte) {
	r.mu.RLock()
	k := r.keys[r.current]
	r.mu.RUnlock()
	_, public = k.box()
	return k.id, public
}

// OpenBox opens a box as libsodium's crypto_box_seal makes it, sealed for the
// public key with an id. Its errors wrap [ErrNoKey] or [ErrBox].
func (r *Ring) OpenBox(id string, sealed []byte) ([]byte, error) {
	r.mu.RLock()
	k, ok := r.keys[id]
	r.mu.RUnlock()
	if !ok {
		return nil, fmt.Errorf("open a box: %w", ErrNoKey)
	}
	private, public := k.box()
	plain, ok := box.OpenAnonymous(nil, sealed, &public, &private)
	if !ok {
		return nil, fmt.Errorf("open a box: %w", ErrBox)
	}
	return plain, nil
}

// box derives a pair of keys for boxes from the key.
func (k *key) box() (private, public [keySize]byte) {
	derived, err := hkdf.Key(sha256.New, k.raw[:], nil, "sluice sealed boxes", keySize)
	if err != nil {
		panic(err) // the size is right
	}
	pair, err := ecdh.X25519().NewPrivateKey(derived)
	if err != nil {
		panic(err) // any 32 bytes are a key
	}
	return [keySize]byte(derived), [keySize]byte(pair.PublicKey().Bytes())
}
