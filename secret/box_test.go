package secret

import (
	"crypto/rand"
	"errors"
	"testing"

	"golang.org/x/crypto/nacl/box"
)

// Boxes sealed before a rotation are opened after it; others never are.
func TestBoxes(t *testing.T) {
	r, _ := createKeyFile(t)
	id, public := r.BoxKey()
	sealed, err := box.SealAnonymous(nil, []byte("a token"), &public, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Rotate(); err != nil {
		t.Fatal(err)
	}
	if again, other := r.BoxKey(); again == id || other == public {
		t.Errorf("after a rotation: got the same key %s", again)
	}
	if got, err := r.OpenBox(id, sealed); err != nil || string(got) != "a token" {
		t.Errorf("open: got %q and error %v, want the token", got, err)
	}
	for name, c := range map[string]struct {
		id     string
		sealed []byte
		want   error
	}{
		"another key":    {r.Current(), sealed, ErrBox},
		"no such key":    {"00000000", sealed, ErrNoKey},
		"damaged":        {id, append([]byte{sealed[0] ^ 1}, sealed[1:]...), ErrBox},
		"cut":            {id, sealed[:20], ErrBox},
		"nothing":        {id, nil, ErrBox},
		"too much of it": {id, append(sealed[:len(sealed):len(sealed)], 0), ErrBox},
	} {
		if got, err := r.OpenBox(c.id, c.sealed); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: got %q and error %v, want %v", name, got, err, c.want)
		}
	}
}
