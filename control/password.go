package control

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/secret"
)

// Limits of passwords, and what it costs to try one.
const (
	minPassword = 12 // characters, as people count
	maxPassword = 256
	// argon2id with 19 MiB, 2 passes and 1 lane; see
	// https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
	passwordMemory = 19 << 10 // KiB
	passwordPasses = 2
	passwordSalt   = 16 // bytes
	passwordKey    = 32
	// maxHashing is how many passwords are worked on at once: it bounds the
	// memory. maxHashWaiting more wait.
	maxHashing     = 2
	maxHashWaiting = 64
)

// hasher makes and compares digests of passwords.
type hasher struct {
	memory  uint32 // KiB of new digests
	slots   chan struct{}
	waiting atomic.Int64
	// nobody is a digest without a password, for names that do not exist.
	nobody string
}

func newHasher(memory uint32) *hasher {
	h := &hasher{memory: memory, slots: make(chan struct{}, maxHashing)}
	h.nobody = encodePassword(memory, passwordPasses, make([]byte, passwordSalt), make([]byte, passwordKey))
	return h
}

// enter waits for a place to work in. leave gives it back.
func (h *hasher) enter(ctx context.Context) (leave func(), err error) {
	if h.waiting.Add(1) > maxHashing+maxHashWaiting {
		h.waiting.Add(-1)
		return nil, sluice.Errorf(sluice.Busy, "too many people sign in at once").WithHint("try again in a moment")
	}
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots; h.waiting.Add(-1) }, nil
	case <-ctx.Done():
		h.waiting.Add(-1)
		return nil, context.Cause(ctx)
	}
}

// digest returns what is stored of a password, in the PHC string format:
// https://github.com/P-H-C/phc-string-format.
func (h *hasher) digest(ctx context.Context, password secret.Text) (string, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	salt := make([]byte, passwordSalt)
	rand.Read(salt) // never fails, see its documentation
	key := argon2.IDKey([]byte(password.Reveal()), salt, passwordPasses, h.memory, 1, passwordKey)
	return encodePassword(h.memory, passwordPasses, salt, key), nil
}

// matches reports whether stored is the digest of the password. With "" it costs
// the same and is false.
func (h *hasher) matches(ctx context.Context, stored string, password secret.Text) (bool, error) {
	there := stored != ""
	if !there {
		stored = h.nobody
	}
	memory, passes, salt, want, err := decodePassword(stored)
	if err != nil {
		return false, err
	}
	leave, err := h.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	got := argon2.IDKey([]byte(password.Reveal()), salt, passes, memory, 1, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1 && there, nil
}

func encodePassword(memory, passes uint32, salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, memory, passes, b64.EncodeToString(salt), b64.EncodeToString(key))
}

func decodePassword(stored string) (memory, passes uint32, salt, key []byte, err error) {
	parts := strings.Split(stored, "$")
	var version int
	if len(parts) != 6 || parts[1] != "argon2id" {
		return 0, 0, nil, nil, fmt.Errorf("read a password's digest: not argon2id")
	}
	if _, err = fmt.Sscanf(parts[2], "v=%d", &version); err == nil {
		_, err = fmt.Sscanf(parts[3], "m=%d,t=%d,p=1", &memory, &passes)
	}
	if err == nil {
		salt, err = base64.RawStdEncoding.DecodeString(parts[4])
	}
	if err == nil {
		key, err = base64.RawStdEncoding.DecodeString(parts[5])
	}
	if err != nil || version != argon2.Version || memory > 1<<20 || passes == 0 || passes > 100 || len(key) != passwordKey {
		return 0, 0, nil, nil, fmt.Errorf("read a password's digest: not as this program writes them")
	}
	return memory, passes, salt, key, nil
}

// checkPassword reports why a password cannot be one for the user of that name.
func checkPassword(name string, password secret.Text) error {
	text := password.Reveal()
	switch n := utf8.RuneCountInString(text); {
	case n < minPassword || n > maxPassword:
		return sluice.Errorf(sluice.Invalid, "password must have %d to %d characters", minPassword, maxPassword).WithHint("a sentence is easy to remember")
	case !utf8.ValidString(text) || hasControl(text):
		return sluice.Errorf(sluice.Invalid, "password must be one line of text")
	case strings.EqualFold(text, name):
		return sluice.Errorf(sluice.Invalid, "password must not be the name")
	}
	return nil
}

// newPassword returns a random password of 120 bits.
func newPassword() secret.Text {
	b := make([]byte, 15)
	rand.Read(b) // never fails, see its documentation
	return secret.Text(base64.RawURLEncoding.EncodeToString(b))
}
