package secret

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
)

const place = "stream/12/signing_secret"

func TestSealAndOpen(t *testing.T) {
	r := NewRing()
	for _, plain := range []string{"", "x", hidden, strings.Repeat("long ", 10_000), "\x00\xff"} {
		sealed := r.Seal([]byte(plain), place)
		got, err := r.Open(sealed, place)
		if err != nil || string(got) != plain {
			t.Errorf("Open: got %.20q, error %v; want %.20q", got, err, plain)
		}
		if id, err := KeyID(sealed); err != nil || id != r.Current() {
			t.Errorf("KeyID: got %q, error %v; want %q", id, err, r.Current())
		}
		if len(sealed) > len(plain)*4/3+60 {
			t.Errorf("sealed value of %d bytes: got %d, want a third and 60 more at most", len(plain), len(sealed))
		}
		if plain != "" && len(plain) > 1 && strings.Contains(sealed, plain) {
			t.Errorf("sealed value shows its content")
		}
	}
	if one, two := r.Seal([]byte("x"), place), r.Seal([]byte("x"), place); one == two {
		t.Error("the same content sealed twice: got the same value")
	}
}

func TestOpenRefusesFlippedBits(t *testing.T) {
	r := NewRing()
	sealed := r.Seal([]byte(hidden), place)
	for i := range len(sealed) * 8 {
		b := []byte(sealed)
		b[i/8] ^= 1 << (i % 8)
		wantRefused(t, r, string(b), place)
	}
}

func TestOpenRefusesOtherForms(t *testing.T) {
	r := NewRing()
	sealed := r.Seal([]byte("hidden words"), place)
	for _, other := range []string{
		"", "x", prefix, head(r.Current()), sealed + "\n", "\n" + sealed, sealed + "=", sealed + "A",
		sealed[:len(sealed)-1], sealed[:40] + "\r\n" + sealed[40:], strings.ToUpper(sealed),
		strings.Replace(sealed, "sealed1", "sealed2", 1), sealed + sealed, hidden,
		"sealed1." + hidden + "." + hidden, sealed[1:], strings.TrimPrefix(sealed, prefix),
	} {
		wantRefused(t, r, other, place)
	}
	for i := range sealed {
		wantRefused(t, r, sealed[:i], place)
	}
}

func TestOpenRefusesOtherPlaces(t *testing.T) {
	r := NewRing()
	sealed := r.Seal([]byte(hidden), place)
	for _, other := range []string{
		"", "stream/13/signing_secret", "stream/12/token", "stream/12/signing_secret ", "Stream/12/signing_secret",
		"." + place, "stream/1", place + "/2",
	} {
		wantRefused(t, r, sealed, other)
	}
}

func TestOpenRefusesOtherKeys(t *testing.T) {
	r, other := NewRing(), NewRing()
	sealed := r.Seal([]byte(hidden), place)
	_, err := other.Open(sealed, place)
	if !errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(), r.Current()) || strings.Contains(err.Error(), hidden) {
		t.Errorf("Open without the key: got error %v, want %v with its id", err, ErrNoKey)
	}
	// The same id with another key, and another key's id on this value.
	forged := other.keys[other.current]
	fake := &Ring{keys: map[string]key{r.Current(): forged}}
	wantRefused(t, fake, sealed, place)
	both := &Ring{current: r.current, keys: map[string]key{r.current: r.keys[r.current], other.current: forged}}
	wantRefused(t, both, head(other.Current())+sealed[len(head(r.Current())):], place)
}

func wantRefused(t *testing.T, r *Ring, sealed, context string) {
	t.Helper()
	plain, err := r.Open(sealed, context)
	if plain != nil || !errors.Is(err, ErrSealed) && !errors.Is(err, ErrNoKey) {
		t.Errorf("Open of %q for %q: got %q, error %v; want it refused", sealed, context, plain, err)
		return
	}
	if strings.Contains(err.Error(), "horse") {
		t.Errorf("Open of %q: the error %q shows the content", sealed, err)
	}
}

func TestRotate(t *testing.T) {
	r := NewRing()
	var sealed []string
	ids := make(map[string]bool)
	for range 5 {
		ids[r.Current()] = true
		sealed = append(sealed, r.Seal([]byte(hidden), place))
		if err := r.Rotate(); err != nil {
			t.Fatalf("Rotate: %v", err)
		}
	}
	if len(ids) != 5 || ids[r.Current()] {
		t.Errorf("current keys: got %d, the last one again %v; want a new one each time", len(ids), ids[r.Current()])
	}
	for i, s := range sealed {
		if got, err := r.Open(s, place); err != nil || string(got) != hidden {
			t.Errorf("Open of value %d: got %q, error %v; want %q", i, got, err, hidden)
		}
	}
}

func TestRingConcurrently(t *testing.T) {
	r := NewRing()
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for range 50 {
				if got, err := r.Open(r.Seal([]byte(hidden), place), place); err != nil || string(got) != hidden {
					t.Errorf("Open: got %q, error %v; want %q", got, err, hidden)
				}
				if w == 0 {
					if err := r.Rotate(); err != nil {
						t.Errorf("Rotate: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
}

func FuzzOpen(f *testing.F) {
	r := NewRing()
	made := r.Seal([]byte(hidden), place)
	f.Add(made, place)
	f.Add(made, "")
	f.Add("sealed1.00000000.AAAA", place)
	f.Add(head(r.Current())+"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", place)
	f.Add(head(r.Current())+"A\nAA", place)
	f.Fuzz(func(t *testing.T, sealed, context string) {
		plain, err := r.Open(sealed, context)
		if sealed == made && context == place {
			if err != nil || string(plain) != hidden {
				t.Errorf("Open of what was sealed: got %q, error %v; want %q", plain, err, hidden)
			}
			return
		}
		if err == nil {
			t.Errorf("Open of %q for %q: got %q, want it refused", sealed, context, plain)
		}
	})
}

func FuzzKeyFile(f *testing.F) {
	r := NewRing()
	f.Add(encodeKeys(r.current, r.keys))
	f.Add([]byte(keyFileHead + "\ncurrent 00000000\nkey 00000000 AAAA\n"))
	f.Add([]byte("#\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		current, keys, err := decodeKeys(bytes.NewReader(b))
		if err != nil {
			return
		}
		again, sameKeys, err := decodeKeys(bytes.NewReader(encodeKeys(current, keys)))
		if err != nil || again != current || len(sameKeys) != len(keys) {
			t.Errorf("encoded again: got %d keys, current %s, error %v; want %d, %s", len(sameKeys), again, err, len(keys), current)
		}
	})
}
