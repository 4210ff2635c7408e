package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Ring is a set of keys: the current one seals, all of them open. It may be used
// by many goroutines at once, and never prints its keys.
type Ring struct {
	path string // of the key file; "" when the ring is in memory only

	mu      sync.RWMutex
	current string
	keys    map[string]key // by id
}

// key is one AES-256 key. Its id is drawn from the key itself, so that a key that
// was damaged in its file is noticed; the id tells nothing about it.
type key struct {
	id   string
	raw  [keySize]byte
	aead cipher.AEAD
}

const (
	keySize = 32 // bytes: AES-256
	idSize  = 8  // hexadecimal digits
)

// Errors of Open, to be tested with errors.Is.
var (
	// ErrNoKey means that the ring lacks the key that the value was sealed with.
	// The error names its id.
	ErrNoKey = errors.New("the key is not in the key file")
	// ErrSealed means that the value is no sealed value of that context: damaged,
	// forged, or moved from another place.
	ErrSealed = errors.New("the sealed value is damaged or belongs to another place")
)

// NewRing returns a ring with one new key, in memory only: for tests.
func NewRing() *Ring {
	k := newKey()
	return &Ring{current: k.id, keys: map[string]key{k.id: k}}
}

func newKey() key {
	var raw [keySize]byte
	_, _ = rand.Read(raw[:]) // never fails: see its documentation
	return makeKey(raw)
}

func makeKey(raw [keySize]byte) key {
	block, err := aes.NewCipher(raw[:])
	if err != nil {
		panic(err) // the size is right
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES is the cipher it is made for
	}
	digest := sha256.Sum256(append([]byte("sluice key id\x00"), raw[:]...))
	return key{id: hex.EncodeToString(digest[:])[:idSize], raw: raw, aead: aead}
}

// prefix begins every sealed value: the version of the form
//
//	sealed1.KEYID.BASE64(nonce, ciphertext, tag)
//
// with AES-256-GCM, a random nonce of 12 bytes, and unpadded base64 for URLs.
const prefix = "sealed1."

var encoding = base64.RawURLEncoding.Strict()

// Seal encrypts plain for the place that context names, such as
// "stream/12/signing_secret". The result is printable text without white space,
// longer than plain by a third and some 60 bytes; it shows the length of plain.
// Sealing twice gives two different values.
func (r *Ring) Seal(plain []byte, context string) string {
	r.mu.RLock()
	k := r.keys[r.current]
	r.mu.RUnlock()
	return head(k.id) + encoding.EncodeToString(k.aead.Seal(nil, nil, plain, bound(k.id, context)))
}

// Open decrypts what Seal made for the same context. Its errors wrap [ErrNoKey]
// or [ErrSealed] and never hold anything of the content.
func (r *Ring) Open(sealed, context string) ([]byte, error) {
	id, err := KeyID(sealed)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", context, err)
	}
	r.mu.RLock()
	k, ok := r.keys[id]
	r.mu.RUnlock()
	if !ok {
		return nil, fmt.Errorf("open %s: key %s: %w", context, id, ErrNoKey)
	}
	text := sealed[len(head(id)):]
	b, err := encoding.DecodeString(text)
	// The decoder passes over line breaks: only what Seal would write is opened.
	if err != nil || encoding.EncodedLen(len(b)) != len(text) {
		return nil, fmt.Errorf("open %s: %w", context, ErrSealed)
	}
	plain, err := k.aead.Open(nil, nil, b, bound(id, context))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", context, ErrSealed)
	}
	return plain, nil
}

// KeyID returns the id of the key that sealed was sealed with: a value whose id
// is not Current is to be sealed anew after a rotation.
func KeyID(sealed string) (string, error) {
	rest, ok := strings.CutPrefix(sealed, prefix)
	if !ok || len(rest) <= idSize || rest[idSize] != '.' || !isID(rest[:idSize]) {
		return "", ErrSealed
	}
	return rest[:idSize], nil
}

func isID(s string) bool {
	return len(s) == idSize && strings.Trim(s, "0123456789abcdef") == ""
}

func head(id string) string { return prefix + id + "." }

// bound is what a sealed value is authenticated with beside its content.
func bound(id, context string) []byte { return []byte(head(id) + context) }

// Current returns the id of the key that seals.
func (r *Ring) Current() string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.current
}

// Keys returns the ids of all keys, in their order.
func (r *Ring) Keys() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Sorted(maps.Keys(r.keys))
}

// Format prints no keys, whatever the verb.
func (r *Ring) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue prints no keys.
func (r *Ring) LogValue() slog.Value { return slog.StringValue(redacted) }
